//! Documents, YAML and JSON: every mistake has a place in the text and can be shown; what was read prints, and reads back.
#![no_main]

use libfuzzer_sys::fuzz_target;
use plimsoll_core::config::{Credentials, ReadOptions, References, Source, read, to_json};

/// An environment in which some names are set, and one file.
struct World;

impl References for World {
    fn env(&self, name: &str) -> Option<String> {
        (name.len() < 4).then(|| name.to_ascii_lowercase())
    }

    fn file(&self, path: &str) -> Result<String, String> {
        if path == "a" { Ok("8080\n".to_owned()) } else { Err("no such file".to_owned()) }
    }
}

// The text comes last, so that a document is its own seed but for the byte that says where it came from.
fuzz_target!(|input: &[u8]| {
    let Some((&from, text)) = input.split_first() else { return };
    let Ok(text) = std::str::from_utf8(text) else { return };
    let allow = ["gateway".into()];
    let source = match from & 3 {
        0 => Source::Post { allow: &[], references: false },
        1 => Source::Post { allow: &allow, references: true },
        _ => Source::File,
    };
    let options = ReadOptions { file: "fuzzed.yaml", references: &World, source };
    match read(text, &options) {
        Err(problems) => {
            assert!(!problems.list().is_empty());
            // To YAML a CR of its own ends a line, too.
            let lines = text.matches(['\n', '\r']).count() + 2;
            for problem in problems.list() {
                assert!(!problem.message.is_empty());
                assert!(problem.place.line as usize <= lines, "{problem:?} in {lines} lines");
                assert!(!problem.brief("fuzzed.yaml").contains('\n'), "{problem:?}");
            }
            assert!(problems.list().is_sorted_by_key(|problem| problem.place));
            assert!(problems.render(false).len() >= problems.list().len());
        }
        Ok(whole) => {
            for warning in &whole.warnings {
                assert!(!warning.render("fuzzed.yaml", text, true).is_empty());
            }
            let printed = to_json(&whole.document, Credentials::Shown).to_string();
            let as_file = ReadOptions { source: Source::File, ..options };
            let again = read(&printed, &as_file).unwrap_or_else(|problems| panic!("{problems}{printed}"));
            assert_eq!(to_json(&again.document, Credentials::Shown).to_string(), printed);
        }
    }
});
