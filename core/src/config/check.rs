//! Tree × field table → checked values, with a problem for each that does not fit. Nothing here knows an entity.

use super::problem::{Mark, Sink};
use super::record::{Item, Record, Value};
use super::reference::{self, Mode, References};
use super::table::{Complaint, Field, Kind, Rule, Table};
use super::tree::{Data, Entry, Node, Text};
use super::{Source, suggest, units};
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
                None => self.unknown(entry, table),
            }
        }
        for field in table.fields.iter().filter(|field| field.required) {
            let written = entries.iter().any(|e| &*e.key == field.name && !matches!(e.value.data, Data::Null));
            if !written {
                self.sink.push(record.mark, format!("in '{}': required field missing", field.name), None);
            }
        }
        Some(record)
    }

    fn unknown(&mut self, entry: &Entry, table: &'static Table) {
        let names = table.fields.iter().map(|field| field.name);
        let help = suggest::nearest(&entry.key, names.clone()).map(|name| format!("did you mean '{name}'?"));
        let help = help.unwrap_or_else(|| format!("known here: {}", names.collect::<Vec<_>>().join(", ")));
        let message = format!("in '{}': unknown field", entry.key);
        self.sink.at(&entry.key, |sink| sink.push(entry.mark, message, Some(help)));
    }

    fn entry(&mut self, entry: &Entry, index: usize, record: &mut Record) {
        let Some(field) = record.table.fields.get(index) else { return };
        if matches!(entry.value.data, Data::Null) {
            return;
        }
        self.sink.enter(&entry.key);
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
            (Kind::Any, _) => Some(Value::Skipped),
            (Kind::Later, data) => self.later(node.mark, data, field),
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

    fn later(&mut self, mark: Mark, data: &Data, field: &Field) -> Option<Value> {
        let off = match data {
            Data::Flag(false) => true,
            Data::Text(text) => &*text.value == "none",
            Data::List(items) => items.is_empty(),
            Data::Map(entries) => entries.is_empty(),
            _ => false,
        };
        if !off {
            self.sink.push(mark, format!("'{}' is not available in this version", field.name), None);
        }
        Some(Value::Skipped)
    }

    fn plugins(&mut self, node: &Node, data: &Data, field: &Field) -> Option<Value> {
        let Data::List(items) = data else { return self.expected(node, field, "expected an array") };
        for (index, item) in items.iter().enumerate() {
            let entries = if let Data::Map(entries) = &item.data { entries.as_slice() } else { &[] };
            let name = entries.iter().find(|entry| &*entry.key == "name");
            let (mark, message) = match name.map(|entry| (&entry.value.data, entry.value.mark)) {
                Some((Data::Text(text), mark)) => {
                    (mark, format!("plugin '{}' is not available in this version: it has no plugins", text.shown()))
                }
                _ => (item.mark, "plugins are not available in this version".to_owned()),
            };
            self.sink.at_index(index, |sink| sink.push(mark, message, None));
        }
        Some(Value::Skipped)
    }

    fn integer(&mut self, node: &Node, kind: &Kind, field: &Field) -> Option<Value> {
        let Some(value) = integer(&node.data) else { return self.expected(node, field, "expected an integer") };
        let complaint = match kind {
            Kind::Integer(min, max) if !(min..=max).contains(&&value) => {
                format!("value should be between {min} and {max}")
            }
            Kind::Code(codes) if !codes.contains(&value) => format!("expected one of: {}", join(codes)),
            _ => return Some(Value::Integer(value)),
        };
        self.expected(node, field, complaint)
    }

    fn number(&mut self, node: &Node, (min, max): (f64, f64), field: &Field) -> Option<Value> {
        match number(&node.data) {
            Some(value) if (min..=max).contains(&value) => Some(Value::Number(value)),
            Some(_) => self.expected(node, field, format!("value should be between {min} and {max}")),
            None => self.expected(node, field, "expected a number"),
        }
    }

    fn text(&mut self, mark: Mark, text: &Text, rule: &Rule, field: &Field) -> Option<Value> {
        match (rule.check)(&text.value, text.shown()) {
            Ok(()) => Some(Value::Text(text.clone())),
            Err(complaint) => {
                self.complain(mark, field, complaint);
                None
            }
        }
    }

    fn word(
        &mut self,
        node: &Node,
        text: &Text,
        words: &'static [&'static str],
        later: &[&str],
        field: &Field,
    ) -> Option<Value> {
        if let Some(word) = words.iter().find(|word| **word == &*text.value) {
            return Some(Value::Word(word));
        }
        if later.contains(&&*text.value) {
            let message = format!("'{}: {}' is not available in this version", field.name, text.shown());
            self.sink.push(node.mark, message, Some(format!("available: {}", words.join(", "))));
            return None;
        }
        let mut complaint = Complaint::new(format!("expected one of: {}", words.join(", ")));
        if text.written.is_none()
            && let Some(word) = suggest::nearest(&text.value, words.iter().copied())
        {
            complaint = complaint.help(format!("did you mean '{word}'?"));
        }
        self.complain(node.mark, field, complaint);
        None
    }

    fn list(&mut self, node: &Node, data: &Data, kind: &Kind, field: &Field) -> Option<Value> {
        let items = match data {
            Data::List(items) => items.as_slice(),
            Data::Map(entries) if entries.is_empty() => &[],
            _ => {
                let mut complaint = Complaint::new("expected an array");
                if !matches!(data, Data::Map(_)) {
                    complaint = complaint.help("put it in brackets: [ … ]");
                }
                self.complain(node.mark, field, complaint);
                return None;
            }
        };
        let mut values = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            self.sink.enter_index(index);
            // A bad element keeps its place, so that those behind it keep their numbers in messages.
            let value = self.value(item, kind, field).unwrap_or(Value::Skipped);
            values.push(Item { value, mark: item.mark });
            self.sink.leave();
        }
        Some(Value::List(values))
    }

    fn map(&mut self, node: &Node, data: &Data, (rule, kind): (&Rule, &Kind), field: &Field) -> Option<Value> {
        let entries = match data {
            Data::Map(entries) => entries.as_slice(),
            Data::List(items) if items.is_empty() => &[],
            _ => return self.expected(node, field, "expected a map"),
        };
        let mut values = Vec::with_capacity(entries.len());
        for entry in entries {
            self.sink.enter(&entry.key);
            if let Err(complaint) = (rule.check)(&entry.key, &entry.key) {
                self.complain(entry.mark, field, complaint);
            }
            if !matches!(entry.value.data, Data::Null)
                && let Some(value) = self.value(&entry.value, kind, field)
            {
                values.push((entry.key.clone(), Item { value, mark: entry.value.mark }));
            }
            self.sink.leave();
        }
        Some(Value::Map(values))
    }

    fn reference(&mut self, node: &Node, data: &Data, field: &Field) -> Option<Value> {
        match data {
            Data::Text(text) => Some(Value::Reference { by_id: false, key: text.value.clone() }),
            Data::Map(entries) => match entries.as_slice() {
                [Entry { key, value: Node { data: Data::Text(id), .. }, .. }] if &**key == "id" => {
                    Some(Value::Reference { by_id: true, key: id.value.clone() })
                }
                _ => self.expected(node, field, "expected a name, or {id: …}"),
            },
            _ => self.expected(node, field, "expected a name, or {id: …}"),
        }
    }

    fn path(&mut self, node: &Node, text: &Text, field: &Field) -> Option<Value> {
        if text.value.is_empty() {
            return self.expected(node, field, "length must be at least 1");
        }
        if !self.source.allows("files") {
            self.refuse(node.mark, field.name, "files");
            return None;
        }
        Some(Value::Text(text.clone()))
    }

    fn pem(&mut self, node: &Node, secret: bool, field: &Field) -> Option<Value> {
        let node = &Node { mark: if secret { node.mark.hidden() } else { node.mark }, ..node.clone() };
        let Data::Text(text) = &node.data else { return self.expected(node, field, "expected a string") };
        let mut text = text.clone();
        if let Some(resolved) = reference::vault(&text.value, self.references) {
            let resolved = if self.mode == Mode::Refuse {
                Err(Complaint::new(reference::REFUSED).help(reference::HOW_TO_ALLOW))
            } else {
                resolved
            };
            match resolved {
                Ok(value) => text = Text { value: value.into(), written: Some(text.value.clone()) },
                Err(complaint) => {
                    self.complain(node.mark, field, complaint);
                    return None;
                }
            }
        }
        let pem = if text.value.trim_start().starts_with("-----BEGIN") {
            let what = if secret { "PRIVATE KEY-----" } else { "CERTIFICATE-----" };
            if !text.value.contains(what) || !text.value.contains("-----END") {
                let wrong = if secret {
                    "invalid key: no whole PEM key"
                } else {
                    "invalid certificate: no whole PEM certificate"
                };
                return self.expected(node, field, wrong);
            }
            super::Pem::Text(text.value)
        } else if text.written.is_none() && text.value.contains('\n') || text.value.is_empty() {
            return self.expected(node, field, "expected PEM text (-----BEGIN …) or a path to a file with it");
        } else if !self.source.allows("files") {
            self.refuse(node.mark, field.name, "files");
            return None;
        } else {
            super::Pem::File(text.value)
        };
        Some(Value::Pem(super::record::Pem { pem, written: text.written }))
    }
}

fn simple(kind: &Kind) -> Value {
    match kind {
        Kind::Literal(word) => Value::Word(word),
        kind => Value::Flag(matches!(kind, Kind::On)),
    }
}

/// A boolean; in text that came from a reference, as YAML 1.1 spells it.
fn flag(data: &Data) -> Option<bool> {
    match data {
        Data::Flag(value) => Some(*value),
        Data::Text(Text { value, written: Some(_) }) => match value.to_ascii_lowercase().as_str() {
            "true" | "on" | "yes" | "y" => Some(true),
            "false" | "off" | "no" | "n" => Some(false),
            _ => None,
        },
        _ => None,
    }
}

fn integer(data: &Data) -> Option<i64> {
    match data {
        Data::Integer(value) => Some(*value),
        #[expect(clippy::cast_possible_truncation, reason = "a whole number within the bounds of i64's exact floats")]
        Data::Number(value) if value.fract() == 0.0 && value.abs() < 9e15 => Some(*value as i64),
        Data::Text(Text { value, written: Some(_) }) => value.trim().parse().ok(),
        _ => None,
    }
}

fn number(data: &Data) -> Option<f64> {
    match data {
        Data::Number(value) => Some(*value),
        #[expect(clippy::cast_precision_loss, reason = "bounds refuse integers so large")]
        Data::Integer(value) => Some(*value as f64),
        Data::Text(Text { value, written: Some(_) }) => value.trim().parse().ok().filter(|n: &f64| n.is_finite()),
        _ => None,
    }
}

/// Whether the value has the kind's shape, so that its complaint is the one to make.
fn fits(kind: &Kind, node: &Node) -> bool {
    let data = &node.data;
    let text = if let Data::Text(text) = data { Some(&*text.value) } else { None };
    match kind {
        Kind::Off => flag(data) == Some(false),
        Kind::On => flag(data) == Some(true),
        Kind::Flag => flag(data).is_some(),
        Kind::Literal(word) => text == Some(word),
        Kind::Integer(..) | Kind::Code(_) | Kind::Number(..) => number(data).is_some(),
        Kind::Record(_) | Kind::Map(..) => matches!(data, Data::Map(_)),
        Kind::List(_) | Kind::Plugins => matches!(data, Data::List(_)),
        Kind::Either(kinds) => kinds.iter().any(|kind| fits(kind, node)),
        Kind::Any | Kind::Later => true,
        Kind::Text(_)
        | Kind::Word(..)
        | Kind::Duration
        | Kind::Size
        | Kind::Pem(_)
        | Kind::Path
        | Kind::Reference(_) => text.is_some(),
    }
}

fn join(codes: &[i64]) -> String {
    codes.iter().map(i64::to_string).collect::<Vec<_>>().join(", ")
}

/// The kind in words: `a duration`.
pub(super) fn describe(kind: &Kind) -> Cow<'static, str> {
    let text = match kind {
        Kind::Flag => "a boolean",
        Kind::Integer(..) => "an integer",
        Kind::Number(..) => "a number",
        Kind::Duration => "a duration",
        Kind::Size => "a size",
        Kind::Pem(_) => "PEM text or a path",
        Kind::Path => "a path",
        Kind::Literal(word) => word,
        Kind::Off => "false",
        Kind::On => "true",
        Kind::Map(..) => "a map",
        Kind::Record(_) => "a record",
        Kind::Reference(_) => "a name, or {id: …}",
        Kind::Plugins => "plugins",
        Kind::Any => "anything",
        Kind::Later => "not available in this version",
        Kind::Text(rule) => return format!("a string ({})", rule.name).into(),
        Kind::Code(codes) => return format!("one of {}", join(codes)).into(),
        Kind::Word(words, _) => return words.join(", ").into(),
        Kind::List(kind) => return format!("a list of: {}", describe(kind)).into(),
        Kind::Either(kinds) => {
            let words: Vec<_> = kinds.iter().map(|kind| describe(kind)).collect();
            return words.join(" or ").into();
        }
    };
    text.into()
}
