//! The door: text in, a document or everything that is wrong with it out.

use super::Document;
use super::build;
use super::check::Checker;
use super::problem::{self, DocumentProblem, Problems, Sink};
use super::reference::{self, Mode, References};
use super::secret;
use super::tables::DOCUMENT;
use super::tree::{self, Data, Node};
use std::sync::Arc;

/// How a document is read.
#[derive(Clone, Copy)]
pub struct ReadOptions<'a> {
    /// What messages call it.
    pub file: &'a str,
    /// What `${…}` is taken from.
    pub references: &'a dyn References,
    /// Where it comes from.
    pub source: Source<'a>,
}

/// Where a document comes from, and so what it may say.
#[derive(Clone, Copy, Debug)]
pub enum Source<'a> {
    /// A file that the operator wrote: everything.
    File,
    /// The network (`POST /config`): Kong's entities, and what the running document's `gateway.admin` adds.
    Post {
        /// `gateway.admin.allow`.
        allow: &'a [Arc<str>],
        /// `gateway.admin.references`.
        references: bool,
    },
}

impl Source<'_> {
    /// Whether it may say what is only allowed by the name `what`.
    pub(super) fn allows(&self, what: &str) -> bool {
        match self {
            Self::File => true,
            Self::Post { allow, .. } => allow.iter().any(|allowed| &**allowed == what),
        }
    }
}

/// A document without mistakes.
#[derive(Clone, Debug, PartialEq)]
pub struct Read {
    /// The document.
    pub document: Document,
    /// What works, but hardly as meant; sorted by place.
    pub warnings: Vec<DocumentProblem>,
}

/// Reads a document, YAML or JSON.
///
/// # Errors
/// Every mistake in it. Only where the text is not YAML at all, reading ends at the first one.
pub fn read(text: &str, options: &ReadOptions<'_>) -> Result<Read, Problems> {
    let mut root =
        tree::parse(text).map_err(|problem| Problems::new(options.file, &secret::structure(text), vec![problem]))?;
    let secrets = secret::find(&mut root);
    let fail = |list| Problems::new(options.file, &secrets.masked(text), list);
    if matches!(root.data, Data::Null) {
        let mut sink = Sink::default();
        sink.push(root.mark, "expected a declarative configuration", None);
        return Err(fail(sink.problems));
    }
    let mut sink = Sink::default();
    tree::report_duplicates(&root, &mut sink);
    let mode = mode(&root, options.source);
    reference::expand(&mut root, mode, options.references, &mut sink);
    let mut checker = Checker { sink, source: options.source, mode, references: options.references };
    let record = checker.record(&root, &DOCUMENT);
    let mut sink = checker.sink;
    let document = record.map(|record| build::document(&record, &mut sink)).unwrap_or_default();
    if !sink.problems.is_empty() {
        return Err(fail(sink.problems));
    }
    problem::sort(&mut sink.warnings);
    Ok(Read { document, warnings: sink.warnings })
}

/// A document of Kong's has no references of ours: there, `${` is text.
fn mode(root: &Node, source: Source<'_>) -> Mode {
    let entries = if let Data::Map(entries) = &root.data { entries.as_slice() } else { &[] };
    let gateway = entries.iter().any(|entry| &*entry.key == "gateway" && !matches!(entry.value.data, Data::Null));
    match source {
        Source::File if gateway => Mode::Expand,
        Source::Post { references: true, .. } => Mode::Expand,
        Source::Post { .. } if gateway => Mode::Refuse,
        Source::File | Source::Post { .. } => Mode::Literal,
    }
}
