//! The tables against what they promise: each row reads, prints and is refused as it says.

mod examples;
mod hostile;
mod post;
mod rows;

use super::table::{Field, Kind, Table};
use super::tables::DOCUMENT;
use super::{NoReferences, ReadOptions, Source, read};
use serde_json::{Value, json};
use std::collections::BTreeSet;

fn options<'a>(source: Source<'a>) -> ReadOptions<'a> {
    ReadOptions { file: "test.yaml", references: &NoReferences, source }
}

fn messages(document: &Value, source: Source<'_>) -> Vec<String> {
    match read(&document.to_string(), &options(source)) {
        Ok(_) => Vec::new(),
        Err(problems) => problems.list().iter().map(|problem| problem.message.clone()).collect(),
    }
}

/// Something that the kind accepts.
fn sample(kind: &Kind) -> Value {
    match kind {
        Kind::Flag | Kind::On => json!(true),
        Kind::Off | Kind::Later => json!(false),
        Kind::Integer(min, max) => json!(8.clamp(*min, *max)),
        Kind::Code(codes) => json!(codes[0]),
        Kind::Number(min, max) => json!(1.25_f64.clamp(*min, *max)),
        Kind::Text(rule) => {
            let samples = ["web.internal", "/a", "GET", "127.0.0.1:80", "10.0.0.0/8", "http://a.b", "auto"];
            let uuid = "5f1d7e4a-3a51-4c0e-9d4b-0c7f6f1f2a10";
            let fit = samples.into_iter().chain([uuid]).find(|text| (rule.check)(text, text).is_ok());
            json!(fit.unwrap_or_else(|| panic!("no sample for {}", rule.name)))
        }
        Kind::Word(words, _) => json!(words[0]),
        Kind::Literal(word) => json!(word),
        Kind::Duration => json!("7s"),
        Kind::Size => json!("7KiB"),
        Kind::Pem(_) | Kind::Path => json!("some/path"),
        Kind::Either(kinds) => sample(kinds.last().expect("a kind")),
        Kind::List(kind) => json!([sample(kind)]),
        Kind::Map(_, kind) => json!({"key": sample(kind)}),
        Kind::Record(table) => record(table, None),
        Kind::Reference(_) => json!("nothing"),
        Kind::Plugins => json!([]),
        Kind::Any => json!("anything"),
    }
}

/// A block with what it needs, and one field more.
fn record(table: &Table, more: Option<(&str, Value)>) -> Value {
    let needed =
        table.fields.iter().filter(|field| field.required).map(|field| (field.name.to_owned(), sample(&field.kind)));
    let more = more.into_iter().map(|(name, value)| (name.to_owned(), value));
    Value::Object(needed.chain(more).collect())
}

type Visit<'a> = dyn FnMut(&Spot<'_>) + 'a;

/// A field, and where it stands.
struct Spot<'a> {
    table: &'static Table,
    field: &'static Field,
    /// The keys that lead to the table.
    way: &'a [&'static str],
    wrap: &'a dyn Fn(Value) -> Value,
}

impl Spot<'_> {
    /// A document with that value in the field, and nothing more than it needs.
    fn document(&self, value: Value) -> Value {
        (self.wrap)(record(self.table, Some((self.field.name, value))))
    }
}

/// Calls `visit` with every field of every table.
fn each_field(visit: &mut Visit<'_>) {
    fn walk(
        table: &'static Table,
        wrap: &dyn Fn(Value) -> Value,
        way: &[&'static str],
        seen: &mut BTreeSet<&'static str>,
        visit: &mut Visit<'_>,
    ) {
        if !seen.insert(table.name) {
            return;
        }
        for field in table.fields {
            visit(&Spot { table, field, way, wrap });
            let mut inner = field.kind;
            let mut listed = false;
            while let Kind::List(kind) = inner {
                (inner, listed) = (*kind, true);
            }
            if let Kind::Either(kinds) = inner {
                inner = *kinds.last().expect("a kind");
            }
            if let Kind::Record(next) = inner {
                let around = |block: Value| {
                    let block = if listed { json!([block]) } else { block };
                    wrap(record(table, Some((field.name, block))))
                };
                let way: Vec<_> = way.iter().copied().chain([field.name]).collect();
                walk(next, &around, &way, seen, visit);
            }
        }
    }
    walk(&DOCUMENT, &|block| block, &[], &mut BTreeSet::new(), visit);
}
