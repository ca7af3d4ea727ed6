//! Tree × field table → checked values, with a problem for each that does not fit. Nothing here knows an entity.

mod collection;
mod describe;
mod elsewhere;
mod scalar;

pub(super) use describe::describe;

use super::problem::{Mark, Sink};
use super::record::{Item, Record, Value};
use super::reference::{Mode, References};
use super::table::{Complaint, Field, Kind, Table};
use super::tree::{Data, Entry, Node, Text};
use super::{Source, suggest, units};
pub(super) use scalar::fits;
use scalar::{flag, simple};
use std::borrow::Cow;

/// Checks nodes against tables, and collects what is wrong.
pub(super) struct Checker<'a> {
    pub(super) sink: Sink,
    pub(super) source: Source<'a>,
    pub(super) mode: Mode,
    pub(super) references: &'a dyn References,
}

impl Checker<'_> {
    /// Checks a block: unknown keys, missing ones, those that the source may not say, and every value.
    pub(super) fn record(&mut self, node: &Node, table: &'static Table) -> Option<Record> {
        let mut record = Record::new(table, node.mark);
        let entries = match &node.data {
            Data::Map(entries) => entries.as_slice(),
            // Kong reads an empty list as an empty block: Lua does not tell them apart.
            Data::List(items) if items.is_empty() => &[],
            _ => {
                self.sink.push(node.mark, format!("expected a record: {}", table.name), None);
                return None;
            }
        };
        for entry in entries {
            match table.fields.iter().position(|field| field.name == &*entry.key) {
                Some(index) => self.entry(entry, index, &mut record),
                None => self.unknown(entry, &mut record),
            }
        }
        for field in table.fields.iter().filter(|field| field.required) {
            if !record.attempted(field.name) {
                self.sink.push(record.mark, format!("in '{}': required field missing", field.name), None);
            }
        }
        Some(record)
    }

    fn unknown(&mut self, entry: &Entry, record: &mut Record) {
        let fields = record.table.fields;
        let help = match suggest::nearest(&entry.key, fields.iter().map(|field| field.name)) {
            Some(name) => {
                // It is not missed as well.
                record.fail(name);
                format!("did you mean '{name}'?")
            }
            None => {
                let known = fields.iter().filter(|field| !field.is_obscure()).map(|field| field.name);
                format!("known here: {}", known.collect::<Vec<_>>().join(", "))
            }
        };
        let message = format!("in '{}': unknown field", entry.key);
        self.sink.at(&entry.key, |sink| sink.push(entry.mark, message, Some(help)));
    }

    fn entry(&mut self, entry: &Entry, index: usize, record: &mut Record) {
        let Some(field) = record.table.fields.get(index) else { return };
        if matches!(entry.value.data, Data::Null) {
            return;
        }
        self.sink.enter(&entry.key);
        if matches!(field.kind, Kind::Later) {
            self.later(entry);
        }
        let allowed = self.allowed(field, entry);
        match allowed.then(|| self.value(&entry.value, &field.kind, field)).flatten() {
            Some(value) => record.put(index, Item { value, mark: entry.value.mark }),
            None => record.fail(field.name),
        }
        self.sink.leave();
    }

    /// Whether the document's source may say the field at all.
    fn allowed(&mut self, field: &Field, entry: &Entry) -> bool {
        if let Data::Text(Text { written: Some(_), .. }) = &entry.value.data
            && field.public
        {
            let help = "it is shown in logs, metrics and answers: write it out";
            self.complain(entry.value.mark, field, Complaint::new("a reference cannot be used here").help(help));
            return false;
        }
        match field.allow {
            Some(what) if !self.source.allows(what) => {
                self.refuse(entry.mark, field.name, what);
                false
            }
            _ => true,
        }
    }

    fn refuse(&mut self, mark: Mark, name: &str, what: &str) {
        let help = format!("to allow it, put {what} into gateway.admin.allow in the document's file");
        self.sink.push(mark, format!("'{name}' may not be said through POST /config"), Some(help));
    }

    fn complain(&mut self, mark: Mark, field: &Field, complaint: Complaint) {
        let message = format!("in '{}': {}", field.name, complaint.message);
        self.sink.push(mark, message, complaint.help.map(Cow::into_owned));
    }

    fn expected(&mut self, node: &Node, field: &Field, what: impl Into<Cow<'static, str>>) -> Option<Value> {
        let mut complaint = Complaint::new(what);
        if let (Data::Flag(_) | Data::Integer(_) | Data::Number(_), Kind::Text(_) | Kind::Word(..)) =
            (&node.data, &field.kind)
        {
            complaint = complaint.help("put it in quotes: without them it is a number or a boolean");
        }
        self.complain(node.mark, field, complaint);
        None
    }

    fn value(&mut self, node: &Node, kind: &Kind, field: &Field) -> Option<Value> {
        match (kind, &node.data) {
            (_, Data::Failed) => None,
            (Kind::Any, _) => Some(Value::Skipped),
            (Kind::Later, _) => Some(Value::Skipped),
            (Kind::Plugins, data) => self.plugins(node, data, field),
            (Kind::Flag, _) => match flag(&node.data) {
                Some(value) => Some(Value::Flag(value)),
                None => self.expected(node, field, "expected a boolean"),
            },
            (Kind::Integer(..) | Kind::Code(_), _) => self.integer(node, kind, field),
            (Kind::Number(min, max), _) => self.number(node, (*min, *max), field),
            (Kind::Text(rule), Data::Text(text)) => self.text(node.mark, text, rule, field),
            (Kind::Word(words, later), Data::Text(text)) => self.word(node, text, words, later, field),
            (Kind::Text(_) | Kind::Word(..), _) => self.expected(node, field, "expected a string"),
            (Kind::Duration, Data::Text(text)) => match units::parse_duration(&text.value) {
                Some(duration) => Some(Value::Duration(duration)),
                None => self.expected(node, field, units::DURATION),
            },
            (Kind::Duration, Data::Integer(number)) => {
                let complaint = Complaint::new(units::DURATION).help(format!("did you mean {number}s?"));
                self.complain(node.mark, field, complaint);
                None
            }
            (Kind::Duration, _) => self.expected(node, field, units::DURATION),
            (Kind::Size, Data::Text(text)) => match units::parse_size(&text.value) {
                Some(size) => Some(Value::Size(size)),
                None => self.expected(node, field, units::SIZE),
            },
            (Kind::Size, _) => self.expected(node, field, units::SIZE),
            (Kind::Pem(secret), _) => self.pem(node, *secret, field),
            (Kind::Path, Data::Text(text)) => self.path(node, text, field),
            (Kind::Path, _) => self.expected(node, field, "expected a string"),
            (Kind::Literal(_) | Kind::Off | Kind::On, _) if fits(kind, node) => Some(simple(kind)),
            (Kind::Literal(_) | Kind::Off | Kind::On, _) => {
                self.expected(node, field, format!("expected {}", describe(kind)))
            }
            (Kind::Either(kinds), _) => match kinds.iter().find(|kind| fits(kind, node)) {
                Some(kind) => self.value(node, kind, field),
                None => self.expected(node, field, format!("expected {}", describe(kind))),
            },
            (Kind::List(kind), data) => self.list(node, data, kind, field),
            (Kind::Map(rule, kind), data) => self.map(node, data, (rule, kind), field),
            (Kind::Record(table), _) => self.record(node, table).map(Value::Record),
            (Kind::Reference(_), data) => self.reference(node, data, field),
        }
    }

    /// Says that this version does not have the key, unless its value is what it is without the feature.
    fn later(&mut self, entry: &Entry) {
        let off = match &entry.value.data {
            Data::Flag(false) => true,
            Data::Text(text) => &*text.value == "none",
            Data::List(items) => items.is_empty(),
            Data::Map(entries) => entries.is_empty(),
            _ => false,
        };
        if !off {
            self.sink.push(entry.mark, format!("'{}' is not available in this version", entry.key), None);
        }
    }
}
