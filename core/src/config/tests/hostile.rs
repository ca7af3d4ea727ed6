//! Input that means no good: no text makes the reader panic, overflow the stack or take all memory.

use super::options;
use crate::config::{Credentials, Source, read, to_json};
use proptest::prelude::*;

fn never_panics(text: &str) {
    for source in [Source::File, Source::Post { allow: &[], references: true }] {
        match read(text, &options(source)) {
            Ok(read) => {
                let printed = to_json(&read.document, Credentials::Hidden);
                assert!(printed.is_object());
            }
            Err(problems) => assert!(!problems.to_string().is_empty()),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        never_panics(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn no_yaml_makes_the_reader_panic(words in proptest::collection::vec("[-a-z0-9:{}\\[\\],&*<>|!#%~\"' \n\t$é]{1,6}", 0..60)) {
        never_panics(&words.concat());
    }

    #[test]
    fn no_damage_to_a_document_makes_the_reader_panic(at in 0..9000_usize, cut in 0..40_usize, put in "\\PC{0,8}") {
        let text = include_str!("../../../../config/full.yaml");
        let chars: Vec<char> = text.chars().collect();
        let at = at.min(chars.len());
        let end = (at + cut).min(chars.len());
        let damaged: String = chars[..at].iter().copied().chain(put.chars()).chain(chars[end..].iter().copied()).collect();
        never_panics(&damaged);
    }
}

#[test]
fn a_mistake_is_told_in_one_line_whatever_is_quoted_in_it() {
    let text = "services:\n- {name: a, \"b\\nERROR all is lost\\e[31m\": 1, port: \"1\\n2\"}\n";
    let problems = read(text, &options(Source::File)).expect_err("an unknown field");
    for problem in problems.list() {
        let told = [problem.brief("file"), problem.render("file", "", false).trim_end().to_owned()];
        // A help has a line of its own.
        assert!(told[0].lines().count() == 1 && told[1].lines().count() <= 2, "{told:?}");
        assert!(!told.concat().contains('\x1b'), "{told:?}");
    }
    assert!(problems.list().iter().any(|problem| problem.brief("file").contains(r"b\nERROR all is lost\u{1b}[31m")));
}

#[test]
fn deep_nesting_and_bombs_end_in_a_problem() {
    let deep = |open: &str, close: &str, n: usize| format!("{}{}", open.repeat(n), close.repeat(n));
    let mut chain = String::from("_ignore:\n  - &x0 [a]\n");
    for n in 1..3000 {
        chain.push_str(&format!("  - &x{n} [*x{}]\n", n - 1));
    }
    let wide = format!("_ignore: [{}]", "a,".repeat(2_100_000));
    let block: String = (0..5000).map(|n| format!("{}a:\n", " ".repeat(n))).collect();
    for text in [deep("[", "]", 100_000), deep("{a: ", "}", 100_000), deep("- ", "", 100_000), chain, wide, block] {
        let problems = read(&text, &options(Source::File)).expect_err("a problem");
        assert!(problems.to_string().len() < 10_000, "{problems}");
    }
}

#[test]
fn a_hundred_mistakes_are_all_named_and_a_thousand_are_cut() {
    let document = |n: usize| {
        let keys: Vec<String> = (0..n).map(|n| format!("\"key{n}\": 1")).collect();
        format!("{{\"_format_version\": \"3.0\", {}}}", keys.join(", "))
    };
    let count = |n| read(&document(n), &options(Source::File)).expect_err("problems").list().len();
    assert_eq!(count(100), 100);
    assert_eq!(count(1000), 200);
}
