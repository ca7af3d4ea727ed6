//! What is wrong with a document, where, and the way out.

use super::Place;
use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use std::fmt;
use std::sync::Arc;

/// One mistake, or one warning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DocumentProblem {
    /// Where it stands.
    pub place: Place,
    /// Characters that the caret underlines; 0: the line is not to be shown, since it may hold a secret.
    pub length: u32,
    /// The same place in the document's own terms: `services[0].url`.
    pub path: String,
    /// What is wrong, in Kong's words where Kong has some. Never a value that came from the environment or a file.
    pub message: String,
    /// The way out, one line.
    pub help: Option<String>,
}

impl DocumentProblem {
    /// The problem as people read it: `FILE:LINE:COLUMN: message`, the line with a caret, the help. `text` is the document.
    /// Colours are ANSI's.
    #[must_use]
    pub fn render(&self, file: &str, text: &str, colour: bool) -> String {
        let Place { line, column } = self.place;
        let mut out = if line == 0 {
            format!("{file}: {}\n", self.message)
        } else {
            format!("{file}:{line}:{column}: {}\n", self.message)
        };
        if let Some(snippet) = self.snippet(text, colour) {
            out.push_str(&snippet);
            out.push('\n');
        }
        if let Some(help) = &self.help {
            out.push_str("help: ");
            out.push_str(help);
            out.push('\n');
        }
        out
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
        let byte_of = |characters: usize| source.char_indices().nth(characters).map_or(source.len(), |(at, _)| at);
        let start = byte_of(column as usize - 1);
        let end = byte_of((column as usize - 1).saturating_add(self.length as usize)).max(start);
        let annotated =
            Snippet::source(source).line_start(line as usize).annotation(AnnotationKind::Primary.span(start..end));
        let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
        let report = [Group::with_level(Level::ERROR).element(annotated)];
        Some(renderer.decor_style(DecorStyle::Ascii).render(&report))
    }
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

    /// The problems, sorted by place.
    #[must_use]
    pub fn list(&self) -> &[DocumentProblem] {
        &self.list
    }

    /// All of them as people read them, with ANSI colours if so wished.
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
    /// The same place, whose line is not to be shown.
    pub(super) fn hidden(self) -> Self {
        Self { length: 0, ..self }
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
