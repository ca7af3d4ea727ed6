//! The document: read, and replaced.

use super::answer::{Answer, empty, json, later, message, ok};
use super::entities;
use super::routes::{Ask, View};
use super::status::hash;
use crate::control::{ApplyError, Source};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use plimsoll_core::config::{Credentials, Document, DocumentProblem, to_json};
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// Kong's number of the error.
const INVALID: u8 = 14;

/// `GET /config`. As it was said; with `***` in the place of secrets for who is not trusted with them.
pub(super) async fn get(ask: Ask) -> Answer {
    let view = ask.gateway.view();
    let shown = to_json(&view.parsed, Credentials::Hidden);
    if ask.trusted.0 || !hides_something(&shown) {
        return ok(&json!({"config": &*view.document}));
    }
    ok(&json!({"config": format!("{shown:#}")}))
}

fn hides_something(value: &Value) -> bool {
    match value {
        Value::String(text) => text == "***",
        Value::Array(list) => list.iter().any(hides_something),
        Value::Object(map) => map.values().any(hides_something),
        _ => false,
    }
}

/// `GET /snapshot`.
pub(super) async fn snapshot(ask: Ask) -> Answer {
    let view = ask.gateway.view();
    ok(&to_json(&served(&view), ask.trusted.credentials()))
}

/// What is served, as one document.
fn served(view: &View) -> Document {
    Document {
        services: view.plan.services.iter().map(|planned| planned.service.clone()).collect(),
        routes: view.plan.routes.iter().map(|planned| planned.route.clone()).collect(),
        upstreams: entities::entities(view),
        certificates: view.plan.certificates.clone(),
        gateway: view.plan.gateway_written.then(|| view.plan.gateway.clone()),
        // Those of labels come after the document's in every list: places of references are the same.
        written: view.parsed.written.clone(),
    }
}

/// `POST /config`.
pub(super) async fn post(ask: Ask) -> Answer {
    let Some(text) = text_of(&ask) else {
        return message(StatusCode::BAD_REQUEST, "the body is not UTF-8");
    };
    if text.trim().is_empty() {
        return message(StatusCode::BAD_REQUEST, "expected a declarative configuration");
    }
    if ask.parameter("check_hash") == Some("1") && hash(&text) == hash(&ask.gateway.view().document) {
        return empty(StatusCode::NOT_MODIFIED);
    }
    match ask.gateway.apply(&text, Source::Post).await {
        Ok(applied) => {
            let mut entities = by_id(&applied.document, ask.trusted.credentials());
            if !applied.warnings.is_empty() {
                entities.insert("warnings".to_owned(), json!(applied.warnings));
            }
            json(StatusCode::CREATED, &Value::Object(entities))
        }
        Err(error) => refused(&error),
    }
}

/// The document: the body, or what a JSON body has under `config`.
fn text_of(ask: &Ask) -> Option<String> {
    /// Of what else is there no tree is made: it may be large.
    #[derive(Deserialize)]
    struct Body {
        config: String,
    }
    let text = std::str::from_utf8(&ask.body).ok()?;
    let kind = ask.fields.get(CONTENT_TYPE).map(|kind| kind.as_bytes().to_ascii_lowercase()).unwrap_or_default();
    let body = if kind.starts_with(b"application/json") { serde_json::from_str(text).ok() } else { None };
    Some(body.map_or_else(|| text.to_owned(), |Body { config }| config))
}

/// Entities by kind and id, as Kong answers.
fn by_id(document: &Document, credentials: Credentials) -> Map<String, Value> {
    let Value::Object(mut lists) = to_json(document, credentials) else { return Map::new() };
    let by_id = |list: Value| {
        let Value::Array(entities) = list else { return Value::Null };
        let pairs = entities.into_iter().filter_map(|one| Some((one.get("id")?.as_str()?.to_owned(), one)));
        Value::Object(pairs.collect())
    };
    let kinds = ["services", "routes", "upstreams", "certificates"];
    let found = kinds.into_iter().filter_map(|kind| Some((kind.to_owned(), by_id(lists.remove(kind)?))));
    found.collect()
}

fn refused(error: &ApplyError) -> Answer {
    let problems: &[DocumentProblem] = match error {
        ApplyError::Document(problems) => problems.list(),
        ApplyError::Compile { problems, .. } => problems,
        ApplyError::Stopped | ApplyError::HandingOver => return later(&error.to_string()),
        _ => return message(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    };
    let mut fields = Map::new();
    for problem in problems {
        let name = if problem.path.is_empty() { "@entity" } else { problem.path.as_str() };
        fields.entry(name).or_insert_with(|| problem.message.clone().into());
    }
    let list: Vec<Value> = problems
        .iter()
        .map(|problem| {
            let (line, column) = (problem.place.line, problem.place.column);
            json!({"line": line, "column": column, "path": problem.path, "message": problem.message, "help": problem.help})
        })
        .collect();
    json(
        StatusCode::BAD_REQUEST,
        &json!({
            "code": INVALID,
            "name": "invalid declarative configuration",
            "message": format!("declarative config is invalid: {error}"),
            "fields": fields,
            "problems": list,
        }),
    )
}
