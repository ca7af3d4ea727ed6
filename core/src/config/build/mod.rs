//! Checked values → entities. What one field cannot know is checked here: uniqueness, references between entities, and rules
//! over several fields. One file an entity.

mod certificate;
mod gateway;
mod health;
mod listener;
mod names;
mod providers;
mod route;
mod service;
mod upstream;
mod url;
mod written;

use super::problem::{Mark, Sink};
use super::record::{Record, Value};
use super::uuid;
use super::{Document, Place};
use names::Names;
use std::sync::Arc;

/// Builds what can be built; what cannot, and all that is wrong, goes to `sink`.
pub(super) fn document(root: &Record, sink: &mut Sink) -> Document {
    let mut builder = Builder { sink, document: Document::default(), names: Names::default(), regex_by_look: false };
    builder.regex_by_look = matches!(root.word("_format_version"), "1.1" | "2.1");
    for (index, record) in root.records("services") {
        builder.within("services", index, |builder| builder.service(record));
    }
    for found in gather(root, "services", "routes") {
        builder.at(&found, |builder| builder.route(&found));
    }
    for (index, record) in root.records("upstreams") {
        builder.within("upstreams", index, |builder| builder.upstream(record));
    }
    for found in gather(root, "upstreams", "targets") {
        builder.at(&found, |builder| builder.target(&found));
    }
    for (index, record) in root.records("certificates") {
        builder.within("certificates", index, |builder| builder.certificate(record));
    }
    for found in gather(root, "certificates", "snis") {
        builder.at(&found, |builder| builder.sni(&found));
    }
    if let Some(record) = root.record("gateway") {
        builder.sink.enter(&"gateway".into());
        builder.gateway(record);
        builder.sink.leave();
    }
    builder.warn_of_unverified_targets();
    builder.document
}

/// Builds a document, entity by entity.
struct Builder<'a> {
    sink: &'a mut Sink,
    document: Document,
    names: Names,
    /// Formats before 3.0 had no `~`: a path with a regex's characters was one.
    regex_by_look: bool,
}

/// An entity that may stand by itself, or in the entity that it belongs to.
struct Found<'r> {
    what: What<'r>,
    mark: Mark,
    /// `services`, `routes`.
    outer: &'static str,
    inner: &'static str,
    /// The number of the entity that it stands in.
    parent: Option<usize>,
    index: usize,
}

/// An entity's block; SNIs may be a name alone.
enum What<'r> {
    Record(&'r Record),
    Name(&'r super::tree::Text),
}

/// All `inner` entities, in document order.
fn gather<'r>(root: &'r Record, outer: &'static str, inner: &'static str) -> Vec<Found<'r>> {
    let mut all = Vec::new();
    let mut add = |record: &'r Record, parent: Option<usize>| {
        for (index, item) in record.list(inner).iter().enumerate() {
            let what = match &item.value {
                Value::Record(record) => What::Record(record),
                Value::Text(text) => What::Name(text),
                _ => continue,
            };
            all.push(Found { what, mark: item.mark, outer, inner, parent, index });
        }
    };
    for (index, record) in root.records(outer) {
        add(record, Some(index));
    }
    add(root, None);
    all.sort_by_key(|found| found.mark.place);
    all
}

impl Builder<'_> {
    /// Does `work` with messages' path at an element of a top-level list.
    fn within(&mut self, list: &str, index: usize, work: impl FnOnce(&mut Self)) {
        self.sink.enter(&list.into());
        self.sink.enter_index(index);
        work(self);
        self.sink.leave();
        self.sink.leave();
    }

    fn at(&mut self, found: &Found<'_>, work: impl FnOnce(&mut Self)) {
        match found.parent {
            Some(parent) => self.within(found.outer, parent, |builder| builder.within(found.inner, found.index, work)),
            None => self.within(found.inner, found.index, work),
        }
    }

    /// A mistake in the field `name` of `record`.
    fn complain(&mut self, record: &Record, name: &str, message: &str, help: Option<&str>) {
        let mark = record.mark_of(name);
        self.sink.enter(&name.into());
        self.sink.push(mark, format!("in '{name}': {message}"), help.map(str::to_owned));
        self.sink.leave();
    }

    /// The entity's id: as written, else derived from `key`. Known to be unique from here on.
    fn id(&mut self, record: &Record, kind: &'static str, key: &str) -> Arc<str> {
        let id: Arc<str> = match record.written_text("id") {
            Some(text) => text.value.to_ascii_lowercase().into(),
            None => uuid::derive(kind, key),
        };
        // Two derived ids are equal where two names are, which is said of the names.
        let first = self.names.claim(kind, "primary key", &id, record.mark_of("id").place);
        if let (Some(first), true) = (first, record.has("id")) {
            self.report_taken(kind, "primary key", &id, record.mark_of("id"), first);
        }
        id
    }

    /// The entity's id and name, where the name is optional and the id its default. `content` tells an entity without either
    /// from others: what it says, and not where it stands, so that the one before it may go.
    fn identity(&mut self, record: &Record, kind: &'static str, content: &str) -> (Arc<str>, Arc<str>) {
        let name = record.text("name");
        let id = match &name {
            Some(name) => self.id(record, kind, name),
            None => {
                let mut key = content.to_owned();
                while !record.has("id") && self.names.is_taken(kind, "primary key", &uuid::derive(kind, &key)) {
                    key.push('+');
                }
                self.id(record, kind, &key)
            }
        };
        if let Some(name) = &name {
            self.unique(kind, "name", name, record.mark_of("name"));
        }
        let name = name.unwrap_or_else(|| id.clone());
        (id, name)
    }

    fn unique(&mut self, kind: &'static str, field: &'static str, value: &Arc<str>, mark: Mark) {
        if let Some(first) = self.names.claim(kind, field, value, mark.place) {
            self.report_taken(kind, field, value, mark, first);
        }
    }

    fn report_taken(&mut self, kind: &str, field: &str, value: &str, mark: Mark, first: Place) {
        let message = format!("uniqueness violation: '{kind}' entity with {field} set to '{value}' already declared");
        self.sink.push(mark, message, Some(format!("the first one is on line {}", first.line)));
    }

    /// The number of the `kind` entity that the field `name` refers to.
    fn resolve(&mut self, record: &Record, name: &str, kind: &'static str) -> Option<usize> {
        let Some(Value::Reference { by_id, key }) = record.value(name) else { return None };
        let index = self.names.index(kind, key);
        if index.is_none() {
            let shown = if *by_id { format!("{{\"id\":\"{key}\"}}") } else { key.to_string() };
            let help = self.names.nearest(kind, key).map(|name| format!("did you mean '{name}'?"));
            let mark = record.mark_of(name);
            let message = format!("invalid reference '{name}: {shown}' (no such entry in '{kind}')");
            self.sink.push(mark, message, help);
        }
        index
    }

    /// The entity that `found` belongs to: the one it stands in, or the one it names.
    fn owner(&mut self, found: &Found<'_>, name: &str) -> Option<usize> {
        let What::Record(record) = found.what else { return found.parent };
        if found.parent.is_some() && record.has(name) {
            let help = format!("it stands in its {name} already");
            self.complain(record, name, "value must be null", Some(&help));
        }
        found.parent.or_else(|| self.resolve(record, name, found.outer))
    }

    /// Kong's targets are not verified; said once a service, where nothing in the document decides it.
    fn warn_of_unverified_targets(&mut self) {
        if self.document.gateway.is_some() {
            return;
        }
        for (index, service) in self.document.services.iter().enumerate() {
            if service.protocol.is_tls() && service.tls_verify.is_none() {
                let mark = Mark { place: service.place, length: 1 };
                let message = format!("service '{}': certificates of its targets are not verified", service.name);
                let help = "as in Kong; set tls_verify: true, or write a gateway: key, with which they are";
                self.sink.enter(&"services".into());
                self.sink.enter_index(index);
                self.sink.warn(mark, message, Some(help.to_owned()));
                self.sink.leave();
                self.sink.leave();
            }
        }
    }
}
