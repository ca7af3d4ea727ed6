//! Each row: its name, default, example, and what is generated from it.

use super::{each_field, messages, options};
use crate::config::docs::tables;
use crate::config::schema::given;
use crate::config::table::Given;
use crate::config::{DockerProvider, Gateway, Providers, Source, UpstreamSettings, read, reference_markdown, schema};
use serde_json::{Value, json};
use std::collections::BTreeSet;

#[test]
fn every_table_and_every_row_has_a_name_of_its_own_and_a_doc() {
    let mut names = BTreeSet::new();
    for table in tables() {
        assert!(names.insert(table.name), "two tables are called {}", table.name);
        assert!(table.doc.ends_with('.'), "{}: {}", table.name, table.doc);
        let mut keys = BTreeSet::new();
        for field in table.fields {
            assert!(keys.insert(field.name), "{}.{} is there twice", table.name, field.name);
            assert!(field.doc.ends_with('.'), "{}.{}: {}", table.name, field.name, field.doc);
        }
    }
    assert!(names.len() > 25, "{names:?}");
}

#[test]
fn every_default_and_every_example_is_accepted() {
    each_field(&mut |spot| {
        let (table, field) = (spot.table, spot.field);
        let example: Option<Value> =
            (!field.example.is_empty()).then(|| serde_saphyr::from_str(field.example).expect("an example is YAML"));
        for value in given(field.default).into_iter().chain(example) {
            let found = messages(&spot.document(value.clone()), Source::File);
            // These documents hold no more than one entity: what is named is not there.
            let other = ["must set one of", "invalid reference", "can only be set when", "value must be null"];
            let about = |message: &&String| {
                message.contains(&format!("'{}'", field.name)) && !other.iter().any(|part| message.contains(part))
            };
            let bad: Vec<_> = found.iter().filter(about).collect();
            assert!(bad.is_empty(), "{}.{}: {value}: {bad:?}", table.name, field.name);
        }
    });
}

#[test]
fn a_required_field_has_no_default() {
    for table in tables() {
        for field in table.fields.iter().filter(|field| field.required) {
            assert_eq!(field.default, Given::Nothing, "{}.{}", table.name, field.name);
        }
    }
}

#[test]
fn the_tables_defaults_are_the_types_defaults() {
    let text = r#"{"_format_version": "3.0", "upstreams": [{"name": "u", "healthchecks": {"active": {"healthy": {},
        "unhealthy": {}}, "passive": {"healthy": {}, "unhealthy": {}}}}],
        "gateway": {"admin": {}, "limits": {}, "timeouts": {}, "http2": {}, "access_log": {}, "log": {}, "metrics": {},
        "shutdown": {}, "providers": {"docker": {"allow": {}, "limits": {}}}}}"#;
    let document = read(text, &options(Source::File)).expect("a document").document;
    assert_eq!(document.upstreams[0].settings, UpstreamSettings::default());
    let gateway = document.gateway.expect("a gateway");
    let providers = Providers { written: true, docker: Some(DockerProvider::default()), ..Providers::default() };
    assert_eq!(gateway, Gateway { providers, ..Gateway::default() });
    let bare = read("_format_version: '3.0'\ngateway: {}", &options(Source::File)).expect("a document").document;
    assert_eq!(bare.gateway, Some(Gateway::default()));
}

#[test]
fn the_schema_has_every_key_and_every_reference_leads_somewhere() {
    let schema = schema();
    let definitions = schema["$defs"].as_object().expect("definitions");
    for table in tables() {
        let here = if table.name == "document" { &schema } else { &definitions[table.name] };
        for field in table.fields {
            assert!(here["properties"].get(field.name).is_some(), "{}.{}", table.name, field.name);
        }
        assert_eq!(here["additionalProperties"], json!(false));
    }
    let text = schema.to_string();
    for part in text.split("#/$defs/").skip(1) {
        let name = part.split('"').next().unwrap_or_default();
        assert!(definitions.contains_key(name), "{name}");
    }
}

#[test]
fn the_reference_page_has_every_key() {
    let page = reference_markdown();
    for table in tables() {
        assert!(page.contains(&format!("\n## {}\n", table.name)), "{}", table.name);
        for field in table.fields {
            assert!(page.contains(&format!("`{}`", field.name)), "{}", field.name);
        }
    }
}
