//! Documents and what becomes of them. A case is a file: the document, `---- given` (optional: its environment, files and
//! source), and `---- expected`.
//!
//! Under `documents`, what is expected is JSON that the printed document must contain: objects may have more keys, lists not
//! more elements; then `---- warnings`, if there are any. Under `problems`, it is the problems, to the letter.
//! `PLIMSOLL_BLESS=1` writes the problems and warnings that come out into the files: read the difference before you keep it.

#![expect(clippy::expect_used, clippy::panic, reason = "a test may stop")]

use plimsoll_core::config::{self, Credentials, DocumentProblem, ReadOptions, References, Source};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const FILE: &str = "plimsoll.yaml";

#[test]
fn documents_become_what_they_should() {
    for (path, case) in cases("documents") {
        let read = config::read(&case.input, &case.options());
        let read = read.unwrap_or_else(|problems| panic!("{}:\n{problems}", path.display()));
        let got = config::to_json(&read.document, Credentials::Hidden);
        let expected: Value =
            serde_json::from_str(&case.expected).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        if let Err(difference) = contains(&got, &expected, "") {
            panic!("{}: {difference}\n{got:#}", path.display());
        }
        check(&path, &case, "warnings", &case.warnings, &render(&read.warnings, &case.input));
        check_that_what_is_printed_reads_back(&path, &config::to_json(&read.document, Credentials::Shown), &case);
    }
}

#[test]
fn mistakes_are_named_where_they_stand() {
    for (path, case) in cases("problems") {
        let got = match config::read(&case.input, &case.options()) {
            Ok(_) => "none".to_owned(),
            Err(problems) => problems.to_string(),
        };
        check(&path, &case, "expected", &case.expected, &got);
    }
}

/// A document that is printed with its credentials is a document that prints the same.
fn check_that_what_is_printed_reads_back(path: &Path, printed: &Value, case: &Case) {
    let text = printed.to_string();
    let source = if printed.get("gateway").is_some() { Source::File } else { case.source() };
    let options = ReadOptions { source, ..case.options() };
    let again = config::read(&text, &options).unwrap_or_else(|problems| panic!("{}:\n{problems}", path.display()));
    assert_eq!(config::to_json(&again.document, Credentials::Shown), *printed, "{}", path.display());
}

fn render(problems: &[DocumentProblem], text: &str) -> String {
    problems.iter().map(|problem| problem.render(FILE, text, false)).collect::<Vec<_>>().join("\n")
}

fn check(path: &Path, case: &Case, section: &str, expected: &str, got: &str) {
    if expected.trim() == got.trim() {
        return;
    }
    if std::env::var_os("PLIMSOLL_BLESS").is_some() {
        let text = case.with_section(section, got.trim());
        std::fs::write(path, text).expect("the case can be written");
        return;
    }
    panic!("{}: {section}\n{}\n---- came out\n{}", path.display(), expected.trim(), got.trim());
}

/// Whether `got` has everything that `expected` has.
fn contains(got: &Value, expected: &Value, at: &str) -> Result<(), String> {
    match (got, expected) {
        (Value::Object(got), Value::Object(expected)) => {
            expected.iter().try_for_each(|(key, value)| match got.get(key) {
                Some(got) => contains(got, value, &format!("{at}/{key}")),
                None => Err(format!("{at}/{key} is missing")),
            })
        }
        (Value::Array(got), Value::Array(expected)) if got.len() == expected.len() => got
            .iter()
            .zip(expected)
            .enumerate()
            .try_for_each(|(n, (got, value))| contains(got, value, &format!("{at}/{n}"))),
        _ if got == expected => Ok(()),
        _ => Err(format!("{at} is {got}, not {expected}")),
    }
}

struct Case {
    text: String,
    input: String,
    expected: String,
    warnings: String,
    env: BTreeMap<String, String>,
    files: BTreeMap<String, String>,
    post: Option<(Vec<Arc<str>>, bool)>,
}

fn cases(folder: &str) -> Vec<(PathBuf, Case)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(folder);
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(folder).expect("the folder is there").map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    paths.into_iter().map(|path| (path.clone(), Case::load(&path))).collect()
}

impl Case {
    fn load(path: &Path) -> Self {
        let text = std::fs::read_to_string(path).expect("a case can be read");
        let mut sections: BTreeMap<String, String> = BTreeMap::new();
        let mut name = "input".to_owned();
        for line in text.split_inclusive('\n') {
            match line.strip_prefix("---- ") {
                Some(next) => name = next.trim().to_owned(),
                None => sections.entry(name.clone()).or_default().push_str(line),
            }
        }
        let mut section = |name: &str| sections.remove(name).unwrap_or_default();
        let mut case = Self {
            input: section("input"),
            expected: section("expected"),
            warnings: section("warnings"),
            text,
            env: BTreeMap::new(),
            files: BTreeMap::new(),
            post: None,
        };
        for line in section("given").lines() {
            case.give(line);
        }
        case
    }

    /// `env NAME=value`, `file PATH=text`, `post [what…] [references]`.
    fn give(&mut self, line: &str) {
        let (what, rest) = line.split_once(' ').unwrap_or((line, ""));
        let (key, value) = rest.split_once('=').unwrap_or((rest, ""));
        match what {
            "env" => drop(self.env.insert(key.to_owned(), value.to_owned())),
            "file" => drop(self.files.insert(key.to_owned(), value.to_owned())),
            "post" => {
                let words: Vec<&str> = rest.split_whitespace().collect();
                let allow = words.iter().filter(|word| **word != "references").map(|word| Arc::from(*word)).collect();
                self.post = Some((allow, words.contains(&"references")));
            }
            other => panic!("nothing is given by '{other}'"),
        }
    }

    fn source(&self) -> Source<'_> {
        match &self.post {
            Some((allow, references)) => Source::Post { allow, references: *references },
            None => Source::File,
        }
    }

    fn options(&self) -> ReadOptions<'_> {
        ReadOptions { file: FILE, references: self, source: self.source() }
    }

    /// The file's text with another section of that name.
    fn with_section(&self, name: &str, body: &str) -> String {
        let head = format!("---- {name}\n");
        let before = self.text.split(&head).next().unwrap_or_default();
        format!("{}\n{head}{body}\n", before.trim_end())
    }
}

impl References for Case {
    fn env(&self, name: &str) -> Option<String> {
        self.env.get(name).cloned()
    }

    fn file(&self, path: &str) -> Result<String, String> {
        self.files.get(path).cloned().ok_or_else(|| "no such file".to_owned())
    }
}
