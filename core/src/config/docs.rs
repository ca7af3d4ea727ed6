//! The field tables as a reference page in Markdown.

use super::check::describe;
use super::schema::given;
use super::table::{Field, Given, Kind, Table};
use super::tables::DOCUMENT;

/// The reference of the document: every table, every key with its kind, default and bounds.
#[must_use]
pub fn reference_markdown() -> String {
    let mut out = String::from(
        "# Reference of the document\n\n\
         Kong's declarative format, YAML or JSON, and `gateway`. Kong's fields keep Kong's units; new ones take `500ms`, \
         `10s`, `2h` and `64KiB`, `10MiB`. `null` is as good as no key. Paths are relative to the document's folder.\n\n\
         Where a document in a file has a `gateway` key, `${NAME}` and `${NAME:-default}` are taken from the environment and \
         `${file:PATH}` from a file; `$${` is a literal `${`. In a certificate, `{vault://env/NAME}` works as in Kong. What is \
         printed back as a document shows the reference, never the value.\n\n\
         *POST* names what `gateway.admin.allow` must hold before `POST /config` may say the key.\n",
    );
    for table in tables() {
        write_table(&mut out, table);
    }
    out
}

/// Every table, each after the one that first names it.
pub(super) fn tables() -> Vec<&'static Table> {
    let mut all: Vec<&'static Table> = vec![&DOCUMENT];
    let mut next = 0;
    while let Some(table) = all.get(next) {
        for field in table.fields {
            collect(&field.kind, &mut all);
        }
        next += 1;
    }
    all
}

fn collect(kind: &Kind, all: &mut Vec<&'static Table>) {
    match kind {
        Kind::Record(table) if !all.iter().any(|known| known.name == table.name) => all.push(table),
        Kind::List(kind) | Kind::Map(_, kind) => collect(kind, all),
        Kind::Either(kinds) => kinds.iter().for_each(|kind| collect(kind, all)),
        _ => {}
    }
}

fn write_table(out: &mut String, table: &Table) {
    out.push_str(&format!("\n## {}\n\n{}\n\n", table.name, table.doc));
    out.push_str("| key | value | default | meaning |\n|---|---|---|---|\n");
    let mut later = Vec::new();
    for field in table.fields {
        if matches!(field.kind, Kind::Later | Kind::Plugins) {
            later.push(format!("`{}`", field.name));
        } else {
            write_field(out, field);
        }
    }
    if !later.is_empty() {
        out.push_str(&format!("\nNot available in this version: {}.\n", later.join(", ")));
    }
}

fn write_field(out: &mut String, field: &Field) {
    let default = match (field.default, given(field.default)) {
        (_, Some(value)) => format!("`{}`", value.to_string().replace('"', "")),
        (Given::Fields, None) => "its fields'".to_owned(),
        _ if field.required => "required".to_owned(),
        _ => String::new(),
    };
    let mut doc = field.doc.to_owned();
    if !field.example.is_empty() {
        doc.push_str(&format!(" E.g. `{}`.", field.example));
    }
    if let Some(allow) = field.allow {
        doc.push_str(&format!(" *POST: {allow}.*"));
    }
    let kind = describe_fully(&field.kind);
    // A bar would end the cell.
    let cell = |text: &str| text.replace('|', "\\|");
    out.push_str(&format!("| `{}` | {} | {} | {} |\n", field.name, cell(&kind), cell(&default), cell(&doc)));
}

/// The kind with its bounds, and with links to blocks.
fn describe_fully(kind: &Kind) -> String {
    match kind {
        Kind::Integer(i64::MIN, i64::MAX) => "integer".to_owned(),
        Kind::Integer(min, max) => format!("integer, {min} to {max}"),
        Kind::Number(min, max) => format!("number, {min} to {max}"),
        Kind::Text(rule) => rule.name.to_owned(),
        Kind::Reference(kind) => format!("name of one of `{kind}`, or `{{id: …}}`"),
        Kind::Record(table) => format!("[{}](#{})", table.name, table.name.replace('.', "")),
        Kind::List(kind) => format!("list of {}", describe_fully(kind)),
        Kind::Map(rule, kind) => format!("{} → {}", rule.name, describe_fully(kind)),
        Kind::Either(kinds) => kinds.iter().map(describe_fully).collect::<Vec<_>>().join(" or "),
        Kind::Literal(_) | Kind::Off | Kind::On => format!("`{}`", describe(kind)),
        Kind::Word(words, _) => words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", "),
        kind => describe(kind).trim_start_matches("a ").trim_start_matches("an ").to_owned(),
    }
}
