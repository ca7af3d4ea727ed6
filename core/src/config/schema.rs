//! The field tables as a JSON Schema, for editors: completion, documentation and mistakes while one writes.

use super::table::{Field, Given, Kind, Table};
use super::tables::DOCUMENT;
use super::units;
use serde_json::{Map, Value, json};

/// The document's JSON Schema (draft 2020-12). A key that `POST /config` may only say where `admin.allow` names something has
/// that in `x-plimsoll-allow`; one that this version does not have, `x-plimsoll-later`.
#[must_use]
pub fn schema() -> Value {
    let mut definitions = Map::new();
    let root = table_schema(&DOCUMENT, &mut definitions);
    let mut out = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Plimsoll document",
    });
    if let (Value::Object(out), Value::Object(root)) = (&mut out, root) {
        out.extend(root);
        out.insert("$defs".to_owned(), Value::Object(definitions));
    }
    out
}

fn table_schema(table: &'static Table, definitions: &mut Map<String, Value>) -> Value {
    let mut properties = Map::new();
    for field in table.fields {
        properties.insert(field.name.to_owned(), field_schema(field, definitions));
    }
    let required: Vec<&str> = table.fields.iter().filter(|field| field.required).map(|field| field.name).collect();
    json!({
        "description": table.doc,
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}

fn field_schema(field: &Field, definitions: &mut Map<String, Value>) -> Value {
    // An explicit null is as good as no key.
    let kinds = match kind_schema(&field.kind, definitions) {
        Value::Object(empty) if empty.is_empty() => json!({}),
        kind if field.required => kind,
        kind => json!({"anyOf": [kind, {"type": "null"}]}),
    };
    let mut out = if let Value::Object(map) = kinds { map } else { Map::new() };
    out.insert("description".to_owned(), field.doc.into());
    if let Some(default) = given(field.default) {
        out.insert("default".to_owned(), default);
    }
    if let Some(allow) = field.allow {
        out.insert("x-plimsoll-allow".to_owned(), allow.into());
    }
    if matches!(field.kind, Kind::Later | Kind::Plugins) {
        out.insert("x-plimsoll-later".to_owned(), true.into());
    }
    Value::Object(out)
}

fn kind_schema(kind: &Kind, definitions: &mut Map<String, Value>) -> Value {
    match kind {
        Kind::Flag => json!({"type": "boolean"}),
        Kind::Integer(min, max) => json!({"type": "integer", "minimum": min, "maximum": max}),
        Kind::Code(codes) => json!({"enum": codes}),
        Kind::Number(min, max) => json!({"type": "number", "minimum": min, "maximum": max}),
        Kind::Text(rule) if rule.pattern.is_empty() => json!({"type": "string"}),
        Kind::Text(rule) => json!({"type": "string", "pattern": rule.pattern}),
        Kind::Word(words, _) => json!({"enum": words}),
        Kind::Duration => json!({"type": "string", "pattern": units::DURATION_PATTERN}),
        Kind::Size => json!({"type": "string", "pattern": units::SIZE_PATTERN}),
        Kind::Pem(_) | Kind::Path => json!({"type": "string", "minLength": 1}),
        Kind::Literal(word) => json!({"const": word}),
        Kind::Off => json!({"const": false}),
        Kind::On => json!({"const": true}),
        Kind::Either(kinds) => {
            let any: Vec<Value> = kinds.iter().map(|kind| kind_schema(kind, definitions)).collect();
            json!({"anyOf": any})
        }
        Kind::List(kind) => json!({"type": "array", "items": kind_schema(kind, definitions)}),
        Kind::Map(_, kind) => json!({"type": "object", "additionalProperties": kind_schema(kind, definitions)}),
        Kind::Record(table) => {
            if !definitions.contains_key(table.name) {
                // Taken before its fields are read: tables may refer to each other.
                definitions.insert(table.name.to_owned(), Value::Null);
                let schema = table_schema(table, definitions);
                definitions.insert(table.name.to_owned(), schema);
            }
            json!({"$ref": format!("#/$defs/{}", table.name)})
        }
        Kind::Reference(_) => json!({
            "anyOf": [
                {"type": "string"},
                {"type": "object", "properties": {"id": {"type": "string"}}, "required": ["id"]},
            ]
        }),
        Kind::Plugins => json!({"type": "array", "maxItems": 0}),
        Kind::Any | Kind::Later => json!({}),
    }
}

/// The default as a value; blocks say their own.
pub(super) fn given(default: Given) -> Option<Value> {
    Some(match default {
        Given::Nothing | Given::Fields => return None,
        Given::Flag(value) => json!(value),
        Given::Integer(value) => json!(value),
        Given::Number(value) if value.fract() == 0.0 => json!(units::whole(value)),
        Given::Number(value) => json!(value),
        Given::Text(value) => json!(value),
        Given::Texts(values) => json!(values),
        Given::Integers(values) => json!(values),
        Given::Numbers(values) => json!(values),
    })
}
