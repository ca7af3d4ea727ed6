//! Text → a tree in which every key and value knows its place. YAML and JSON alike; nothing is typed yet.
//!
//! The parser stops at the first place where the text is not YAML at all. Duplicate keys are let through here and found
//! afterwards, so that all of them are named.

mod json;

use super::problem::{Mark, Sink};
use super::{DocumentProblem, Place};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{Location, MessageFormatter, Spanned, UserMessageFormatter};
use std::cell::Cell;
use std::fmt;
use std::sync::Arc;

/// A value and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Node {
    pub(super) data: Data,
    pub(super) mark: Mark,
}

/// A value. YAML 1.1's `on`, `off`, `yes` and `no` are booleans, as in Kong.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Data {
    Null,
    Flag(bool),
    Integer(i64),
    Number(f64),
    Text(Text),
    List(Vec<Node>),
    Map(Vec<Entry>),
    /// Something that a problem was reported for already.
    Failed,
}

/// A string and, if it holds references, what was written instead.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Text {
    pub(super) value: Arc<str>,
    /// `${NAME}` and the like, unexpanded. What may be shown in place of the value.
    pub(super) written: Option<Arc<str>>,
}

impl Text {
    /// What messages may show.
    pub(super) fn shown(&self) -> &str {
        self.written.as_deref().unwrap_or(&self.value)
    }
}

/// One `key: value`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    pub(super) key: Arc<str>,
    pub(super) mark: Mark,
    pub(super) value: Node,
}

impl Entry {
    /// What messages may show of the key.
    pub(super) fn shown(&self) -> Arc<str> {
        if self.mark.is_hidden() { "***".into() } else { Arc::clone(&self.key) }
    }
}

/// 32 MiB: more than [`MAX_EVENTS`] of sensible text.
const MAX_BYTES: usize = 32 << 20;
/// Levels of lists and maps: a document needs about ten, a plugin's settings some more. It bounds the stack, too.
const MAX_DEPTH: u8 = 32;
/// Parser events, about 25 a route: 80,000 routes. A hundred bytes of memory each, so that no document takes all there is.
const MAX_EVENTS: usize = 2_000_000;
/// Events that aliases (`*x`) may expand to.
const MAX_REPLAYED: usize = 200_000;

/// Parses `text`, which is YAML or JSON.
pub(super) fn parse(text: &str) -> Result<Node, DocumentProblem> {
    if text.len() > MAX_BYTES {
        return Err(problem("the document is larger than 32 MiB".to_owned(), Mark::default()));
    }
    json::parse(text).map_or_else(|| parse_yaml(text), Ok)
}

fn parse_yaml(text: &str) -> Result<Node, DocumentProblem> {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_events: MAX_EVENTS,
            max_nodes: MAX_EVENTS,
            max_depth: usize::from(MAX_DEPTH),
            max_documents: 1,
            max_recorded_anchor_events: MAX_REPLAYED,
        },
        duplicate_keys: serde_saphyr::options::DuplicateKeyPolicy::PassThrough,
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: MAX_REPLAYED },
        with_snippet: false,
        emit_comments: false,
    };
    DEPTH.set(0);
    match serde_saphyr::from_str_with_options::<Spanned<Data>>(text, options) {
        Ok(root) => Ok(root.into()),
        Err(error) => {
            let error = error.without_snippet();
            let mark = error.location().map(Mark::from).unwrap_or_default();
            Err(problem(message(error), mark))
        }
    }
}

const TOO_LARGE: &str = "the document is too large, or its aliases expand to too much";

fn message(error: &serde_saphyr::Error) -> String {
    use serde_saphyr::budget::BudgetBreach;
    match error {
        serde_saphyr::Error::Budget { breach: BudgetBreach::Depth { .. }, .. } => {
            format!("nested more than {MAX_DEPTH} levels deep")
        }
        serde_saphyr::Error::Budget { breach: BudgetBreach::Documents { .. }, .. } => {
            "a second document: expected one".to_owned()
        }
        serde_saphyr::Error::Budget { .. } => TOO_LARGE.to_owned(),
        error => match UserMessageFormatter.format_message(error) {
            // A budget's breach inside of an alias.
            text if text.contains("limits breached") => TOO_LARGE.to_owned(),
            text => text.into_owned(),
        },
    }
}

fn problem(message: String, mark: Mark) -> DocumentProblem {
    DocumentProblem { place: mark.place, length: mark.length, path: String::new(), message, help: None }
}

/// Names every key that a map has twice.
pub(super) fn report_duplicates(node: &Node, sink: &mut Sink) {
    match &node.data {
        Data::List(items) => items.iter().for_each(|item| report_duplicates(item, sink)),
        Data::Map(entries) => {
            let mut seen = rustc_hash::FxHashMap::default();
            for entry in entries {
                if let Some(first) = seen.insert(&entry.key, entry.mark.place) {
                    let help = format!("it is written on line {} already", first.line);
                    sink.push(entry.mark, format!("duplicate key '{}'", entry.shown()), Some(help));
                }
                report_duplicates(&entry.value, sink);
            }
        }
        _ => {}
    }
}

thread_local! {
    /// How deep the parse that runs on this thread is. The parser's own bound does not count what aliases nest.
    static DEPTH: Cell<u8> = const { Cell::new(0) };
}

fn deeper<T, E: serde::de::Error>(read: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
    let depth = DEPTH.get();
    if depth >= MAX_DEPTH {
        return Err(E::custom(format_args!("nested more than {MAX_DEPTH} levels deep")));
    }
    DEPTH.set(depth + 1);
    let result = read();
    DEPTH.set(depth);
    result
}

impl From<Spanned<Data>> for Node {
    fn from(spanned: Spanned<Data>) -> Self {
        Self { data: spanned.value, mark: spanned.referenced.into() }
    }
}

impl From<Location> for Mark {
    fn from(location: Location) -> Self {
        let small = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
        let length = u32::try_from(location.span().len()).unwrap_or(u32::MAX);
        Self { place: Place { line: small(location.line()), column: small(location.column()) }, length: length.max(1) }
    }
}

impl<'de> Deserialize<'de> for Data {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(DataVisitor)
    }
}

struct DataVisitor;

impl<'de> Visitor<'de> for DataVisitor {
    type Value = Data;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Data, E> {
        Ok(Data::Null)
    }

    fn visit_none<E>(self) -> Result<Data, E> {
        Ok(Data::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Data, D::Error> {
        Data::deserialize(deserializer)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Data, E> {
        Ok(Data::Flag(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Data, E> {
        Ok(Data::Integer(value))
    }

    #[expect(clippy::cast_precision_loss, reason = "no field takes integers so large; bounds refuse it")]
    fn visit_u64<E>(self, value: u64) -> Result<Data, E> {
        Ok(i64::try_from(value).map_or(Data::Number(value as f64), Data::Integer))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Data, E> {
        Ok(Data::Number(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Data, E> {
        Ok(Data::Text(Text { value: value.into(), written: None }))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Data, A::Error> {
        deeper(|| {
            let mut items = Vec::new();
            while let Some(item) = access.next_element::<Spanned<Data>>()? {
                items.push(Node::from(item));
            }
            Ok(Data::List(items))
        })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Data, A::Error> {
        deeper(|| {
            let mut entries = Vec::new();
            while let Some(key) = access.next_key::<Spanned<String>>()? {
                let value = access.next_value::<Spanned<Data>>()?;
                entries.push(Entry { key: key.value.into(), mark: key.referenced.into(), value: value.into() });
            }
            Ok(Data::Map(entries))
        })
    }
}
