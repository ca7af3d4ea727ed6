//! What is wrong with a document, where, and the way out.

use super::Place;
use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

/// One mistake, or one warning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DocumentProblem {
    /// Where it stands.
    pub place: Place,
    /// Characters that the caret underlines; 0: a secret stands there, and the line is not to be shown.
    pub length: u32,
    /// The same place in the document's own terms: `services[0].url`.
    pub path: String,
    /// What is wrong, in Kong's words where Kong has some. Never a value that came from the environment or a file.
    pub message: String,
    /// The way out, one line.
    pub help: Option<String>,
}

impl DocumentProblem {
    /// The problem as people read it: `FILE:LINE:COLUMN: message`, the line with a caret, the help. `text` is the document,
    /// [without its secrets](super::without_secrets). Colours are ANSI's.
    #[must_use]
    pub fn render(&self, file: &str, text: &str, colour: bool) -> String {
        let Place { line, column } = self.place;
        let message = one_line(&self.message);
        let mut out =
            if line == 0 { format!("{file}: {message}\n") } else { format!("{file}:{line}:{column}: {message}\n") };
        if let Some(snippet) = self.snippet(text, colour) {
            out.push_str(&snippet);
            out.push('\n');
        }
        if let Some(help) = &self.help {
            out.push_str("help: ");
            out.push_str(&one_line(help));
            out.push('\n');
        }
        out
    }

    /// The same in one line, without the document's: that may hold secrets, and logs are read by many.
    #[must_use]
    pub fn brief(&self, file: &str) -> String {
        let Place { line, column } = self.place;
        let at = if line == 0 { file.to_owned() } else { format!("{file}:{line}:{column}") };
        let help = self.help.as_ref().map(|help| format!(" ({})", one_line(help))).unwrap_or_default();
        format!("{at}: {}{help}", one_line(&self.message))
    }

    fn snippet(&self, text: &str, colour: bool) -> Option<String> {
        let Place { line, column } = self.place;
        if line == 0 || column == 0 || self.length == 0 {
            return None;
        }
        let source = text.lines().nth(line as usize - 1)?.trim_end();
        if source.is_empty() {
            return None;
        }
        let (source, column) = window(source, column as usize);
        let byte_of = |characters: usize| source.char_indices().nth(characters).map_or(source.len(), |(at, _)| at);
        let start = byte_of(column - 1);
        let end = byte_of((column - 1).saturating_add(self.length as usize)).max(start);
        let annotated =
            Snippet::source(source).line_start(line as usize).annotation(AnnotationKind::Primary.span(start..end));
        let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
        let report = [Group::with_level(Level::ERROR).element(annotated)];
        Some(renderer.decor_style(DecorStyle::Ascii).render(&report))
    }
}

/// The text with its control characters escaped: keys and values are quoted in messages, and nobody who writes a document
/// should write lines into a log, or to a terminal.
fn one_line(text: &str) -> Cow<'_, str> {
    if !text.contains(char::is_control) {
        return Cow::Borrowed(text);
    }
    let escaped = text.chars().map(|c| if c.is_control() { c.escape_default().to_string() } else { c.to_string() });
    Cow::Owned(escaped.collect())
}

/// 1000 bytes: JSON without line ends may be one line of a megabyte.
const MAX_LINE: usize = 1000;
/// Characters that are shown on either side of the place in such a line.
const AROUND: usize = 60;

/// The part of a line that is shown, and the column in it.
fn window(source: &str, column: usize) -> (&str, usize) {
    if source.len() <= MAX_LINE {
        return (source, column);
    }
    let skipped = (column - 1).saturating_sub(AROUND);
    let mut chars = source.char_indices().skip(skipped);
    let start = chars.next().map_or(source.len(), |(at, _)| at);
    let end = chars.nth(2 * AROUND).map_or(source.len(), |(at, _)| at);
    (source.get(start..end).unwrap_or_default(), column - skipped)
}

/// Everything that is wrong with a document, sorted by place. Never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems {
    file: Arc<str>,
    text: Arc<str>,
    list: Vec<DocumentProblem>,
}

impl Problems {
    pub(super) fn new(file: &str, text: &str, mut list: Vec<DocumentProblem>) -> Self {
        sort(&mut list);
        Self { file: file.into(), text: text.into(), list }
    }

    /// What messages call the document.
    #[must_use]
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The problems, sorted by place.
    #[must_use]
    pub fn list(&self) -> &[DocumentProblem] {
        &self.list
    }

    /// All of them without the document's lines, a line each.
    #[must_use]
    pub fn brief(&self) -> String {
        self.list.iter().map(|problem| problem.brief(&self.file)).collect::<Vec<_>>().join("\n")
    }

    /// All of them as people read them, with ANSI colours if so wished. In the document's lines `*` stands for what may be a
    /// secret.
    #[must_use]
    pub fn render(&self, colour: bool) -> String {
        let rendered: Vec<String> = self.list.iter().map(|p| p.render(&self.file, &self.text, colour)).collect();
        rendered.join("\n")
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for Problems {}

/// By place, and one of each.
pub(super) fn sort(list: &mut Vec<DocumentProblem>) {
    list.sort_by(|a, b| (a.place, &a.message).cmp(&(b.place, &b.message)));
    list.dedup();
}

/// A place with the length of what stands there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) place: Place,
    /// Characters.
    pub(super) length: u32,
}

impl Mark {
    /// The same place, at which a secret stands.
    pub(super) fn hidden(self) -> Self {
        Self { length: 0, ..self }
    }

    pub(super) fn is_hidden(self) -> bool {
        self.length == 0
    }
}

/// Where problems and warnings are collected, with the path to what is being read.
#[derive(Debug, Default)]
pub(super) struct Sink {
    pub(super) problems: Vec<DocumentProblem>,
    pub(super) warnings: Vec<DocumentProblem>,
    path: Vec<Step>,
}

#[derive(Clone, Debug)]
enum Step {
    Key(Arc<str>),
    Index(usize),
}

/// 200: enough to work on; a document of another kind altogether must not print a book.
const MAX_PROBLEMS: usize = 200;

impl Sink {
    /// A mistake.
    pub(super) fn push(&mut self, mark: Mark, message: impl Into<String>, help: Option<String>) {
        if self.problems.len() < MAX_PROBLEMS {
            let problem = self.problem(mark, message.into(), help);
            self.problems.push(problem);
        }
    }

    /// Something that works, but hardly as meant.
    pub(super) fn warn(&mut self, mark: Mark, message: impl Into<String>, help: Option<String>) {
        if self.warnings.len() < MAX_PROBLEMS {
            let problem = self.problem(mark, message.into(), help);
            self.warnings.push(problem);
        }
    }

    fn problem(&self, mark: Mark, message: String, help: Option<String>) -> DocumentProblem {
        DocumentProblem { place: mark.place, length: mark.length, path: self.path(), message, help }
    }

    /// Goes one key further in, until [`Sink::leave`].
    pub(super) fn enter(&mut self, key: &Arc<str>) {
        self.path.push(Step::Key(key.clone()));
    }

    /// Goes to an element of the list that is being read, until [`Sink::leave`].
    pub(super) fn enter_index(&mut self, index: usize) {
        self.path.push(Step::Index(index));
    }

    /// Goes back out.
    pub(super) fn leave(&mut self) {
        self.path.pop();
    }

    /// Does `work` one key further in.
    pub(super) fn at<T>(&mut self, key: &Arc<str>, work: impl FnOnce(&mut Self) -> T) -> T {
        self.enter(key);
        let result = work(self);
        self.leave();
        result
    }

    /// Does `work` at an element of the list that is being read.
    pub(super) fn at_index<T>(&mut self, index: usize, work: impl FnOnce(&mut Self) -> T) -> T {
        self.enter_index(index);
        let result = work(self);
        self.leave();
        result
    }

    fn path(&self) -> String {
        let mut path = String::new();
        for step in &self.path {
            match step {
                Step::Key(key) if path.is_empty() => path.push_str(key),
                Step::Key(key) => {
                    path.push('.');
                    path.push_str(key);
                }
                Step::Index(index) => path.push_str(&format!("[{index}]")),
            }
        }
        path
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(line: u32, column: u32, length: u32) -> DocumentProblem {
        let (path, message) = ("services[0].url".to_owned(), "is wrong".to_owned());
        DocumentProblem { place: Place { line, column }, length, path, message, help: Some("mend it".to_owned()) }
    }

    #[test]
    fn a_problem_shows_its_line_with_a_caret() {
        let check = |problem: DocumentProblem, text: &str, expected: &str| {
            assert_eq!(problem.render("a.yaml", text, false), expected);
        };
        check(at(2, 3, 2), "one\nat wo\n", "a.yaml:2:3: is wrong\n  |\n2 | at wo\n  |   ^^\nhelp: mend it\n");
        // A caret past the end, wide letters, no such line, no place, a line that may hold a secret.
        check(at(1, 9, 5), "short", "a.yaml:1:9: is wrong\n  |\n1 | short\n  |      ^\nhelp: mend it\n");
        check(at(1, 2, 1), "éé", "a.yaml:1:2: is wrong\n  |\n1 | éé\n  |  ^\nhelp: mend it\n");
        check(at(7, 1, 1), "short", "a.yaml:7:1: is wrong\nhelp: mend it\n");
        check(at(0, 0, 1), "short", "a.yaml: is wrong\nhelp: mend it\n");
        check(at(1, 1, 0), "short", "a.yaml:1:1: is wrong\nhelp: mend it\n");
    }

    #[test]
    fn of_a_long_line_only_the_part_around_the_place_is_shown() {
        let text = format!("{}é{}", "a".repeat(5000), "b".repeat(5000));
        let rendered = at(1, 5001, 1).render("a.json", &text, false);
        assert!(rendered.starts_with("a.json:1:5001: is wrong\n"), "{rendered}");
        assert!(rendered.contains(&format!("{}é{}", "a".repeat(60), "b".repeat(60))), "{rendered}");
        assert!(rendered.len() < 500, "{rendered}");
    }

    #[test]
    fn colours_are_only_there_if_wished() {
        let problem = at(1, 1, 2);
        assert!(problem.render("a.yaml", "text", true).contains('\u{1b}'));
        assert!(!problem.render("a.yaml", "text", false).contains('\u{1b}'));
    }
}
