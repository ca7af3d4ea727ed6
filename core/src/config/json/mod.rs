//! Entities as JSON, under Kong's names and in Kong's units: what `/snapshot`, `GET /config` and Kong's lists answer. What was
//! printed reads back to the same document, credentials apart, which are `***` but for whom [`Credentials::Shown`] is meant. A
//! value that came from the environment, a file or a vault is shown to everybody as the reference that was written.

mod entities;
mod gateway;
mod upstream;

pub use entities::{certificate_json, route_json, service_json};
pub use gateway::gateway_json;
pub use upstream::{target_json, upstream_json};

use super::{Document, Pem, Route};
use rustc_hash::FxHashMap;
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// What stands in a credential's place.
const HIDDEN: &str = "***";

/// Whether private keys, the fields of active checks and processes' environments are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Credentials {
    /// As `***`.
    Hidden,
    /// As they are.
    Shown,
}

impl Credentials {
    fn show(self, value: &str) -> &str {
        match self {
            Self::Hidden => HIDDEN,
            Self::Shown => value,
        }
    }
}

/// The whole document, flat: routes beside services, SNIs and targets in what they belong to.
#[must_use]
pub fn to_json(document: &Document, credentials: Credentials) -> Value {
    let Document { services, routes, upstreams, certificates, gateway, written: _ } = document;
    let mut out = object(json!({"_format_version": "3.0", "_transform": true}));
    if let Some(gateway) = gateway {
        out.insert("gateway".to_owned(), gateway_json(gateway));
    }
    let ids: FxHashMap<&str, &str> = services.iter().map(|service| (&*service.name, &*service.id)).collect();
    let service_id = |route: &Route| route.service.as_deref().and_then(|name| ids.get(name).copied());
    let routes = routes.iter().map(|route| route_json(route, service_id(route))).collect();
    let lists = [
        ("services", services.iter().map(service_json).collect()),
        ("routes", routes),
        ("upstreams", upstreams.iter().map(|upstream| upstream_json(upstream, credentials)).collect()),
        ("certificates", certificates.iter().map(|one| certificate_json(one, credentials)).collect::<Vec<_>>()),
    ];
    for (name, list) in lists {
        if !list.is_empty() {
            out.insert(name.to_owned(), Value::Array(list));
        }
    }
    let mut out = Value::Object(out);
    show_references(document, "", &mut out);
    out
}

/// Puts what was written in the place of what it came to, in the part of the printed document that is at this pointer.
pub fn show_references(document: &Document, part: &str, out: &mut Value) {
    for written in &document.written {
        let Some(pointer) = written.pointer.strip_prefix(part).filter(|rest| rest.starts_with('/')) else { continue };
        let text = Value::String(written.text.to_string());
        if let Some(parent) = pointer.strip_suffix("/url") {
            // The shorthand stands for four fields, each of which may hold a part of the value.
            if let Some(Value::Object(service)) = out.pointer_mut(parent) {
                service.retain(|name, _| !["protocol", "host", "port", "path"].contains(&name.as_str()));
                service.insert("url".to_owned(), text);
            }
        } else if let Some(slot) = slot(out, pointer) {
            *slot = text;
        }
    }
}

/// What a pointer leads to. A key may be printed in another case than it was written in, as names of fields are: a value
/// must not be shown for that.
fn slot<'a>(out: &'a mut Value, pointer: &str) -> Option<&'a mut Value> {
    pointer.split('/').skip(1).try_fold(out, |at, step| match at {
        Value::Object(map) => {
            let step = step.replace("~1", "/").replace("~0", "~");
            let is_there = map.contains_key(&step);
            let other_case = || map.keys().find(|key| key.eq_ignore_ascii_case(&step)).cloned();
            let key = if is_there { step } else { other_case()? };
            map.get_mut(&key)
        }
        Value::Array(list) => list.get_mut(step.parse::<usize>().ok()?),
        _ => None,
    })
}

fn object(value: Value) -> Map<String, Value> {
    if let Value::Object(map) = value { map } else { Map::new() }
}

/// Puts the value in if there is one.
fn put(out: &mut Value, name: &str, value: Option<Value>) {
    if let (Value::Object(map), Some(value)) = (out, value) {
        map.insert(name.to_owned(), value);
    }
}

fn texts(list: &[Arc<str>]) -> Value {
    list.iter().map(|text| Value::from(&**text)).collect()
}

/// The list, unless it is empty.
fn filled(list: &[Arc<str>]) -> Option<Value> {
    (!list.is_empty()).then(|| texts(list))
}

fn pairs(list: &[(Arc<str>, Arc<str>)]) -> Value {
    Value::Object(list.iter().map(|(key, value)| (key.to_string(), Value::from(&**value))).collect())
}

fn lists(list: &[(Arc<str>, Vec<Arc<str>>)]) -> Value {
    Value::Object(list.iter().map(|(key, values)| (key.to_string(), texts(values))).collect())
}

fn pem(pem: &Pem) -> Value {
    match pem {
        Pem::Text(text) | Pem::File(text) => Value::from(&**text),
    }
}
