//! Routes, and Kong's rules over several of their fields (Kong 3.10 `kong/db/schema/entities/routes_subschemas.lua`).

use super::service::protocol;
use super::{Builder, Found, What};
use crate::config::record::{Record, Value};
use crate::config::{PathHandling, Protocol, Route, rule};
use std::sync::Arc;

impl Builder<'_> {
    pub(super) fn route(&mut self, found: &Found<'_>) {
        let What::Record(record) = found.what else { return };
        let service = self.owner(found, "service");
        let service = service.and_then(|index| self.document.services.get(index)).map(|service| service.name.clone());
        let kinds = ["hosts", "paths", "methods", "snis"];
        let rules = kinds.map(|name| record.texts(name).join(","));
        let content = format!("{}:{}", service.as_deref().unwrap_or_default(), rules.join(";"));
        let (id, name) = self.identity(record, "routes", &content);
        let protocols = self.protocols(record);
        self.check_route(record, &protocols);
        let headers = record.lists("headers");
        let grpc = protocols.iter().any(|protocol| protocol.is_grpc());
        let number = self.document.routes.len();
        self.note_references(record, &format!("/routes/{number}"));
        let paths = self.paths(record);
        self.document.routes.push(Route {
            id,
            name,
            service,
            protocols,
            hosts: record.texts("hosts"),
            paths,
            methods: record.texts("methods"),
            headers: headers.into_iter().map(|(name, values)| (name.to_ascii_lowercase().into(), values)).collect(),
            snis: record.texts("snis"),
            strip_path: if grpc && !record.has("strip_path") { false } else { record.flag("strip_path") },
            preserve_host: record.flag("preserve_host"),
            path_handling: if record.word("path_handling") == "v1" { PathHandling::V1 } else { PathHandling::V0 },
            regex_priority: record.integer("regex_priority"),
            https_redirect_status_code: record.integer("https_redirect_status_code"),
            tags: record.texts("tags"),
            place: record.mark.place,
        });
    }

    fn protocols(&mut self, record: &Record) -> Vec<Protocol> {
        let mut protocols = Vec::new();
        for word in record.texts("protocols") {
            let protocol = protocol(&word);
            if !protocols.contains(&protocol) {
                protocols.push(protocol);
            }
        }
        if protocols.is_empty() && record.list("protocols").is_empty() && record.has("protocols") {
            self.complain(record, "protocols", "length must be at least 1", None);
        }
        let grpc = protocols.iter().filter(|protocol| protocol.is_grpc()).count();
        if grpc != 0 && grpc != protocols.len() {
            let message = "these sets are mutually exclusive: ('http', 'https'), ('grpc', 'grpcs')";
            self.complain(record, "protocols", message, None);
        }
        protocols
    }

    /// The paths; before format 3.0, those that look like a regex become one (`kong/db/migrations/migrate_path_280_300.lua`).
    fn paths(&mut self, record: &Record) -> Vec<Arc<str>> {
        if !self.regex_by_look {
            return record.texts("paths");
        }
        let plain = |c: char| c.is_ascii_alphanumeric() || ".-_~/%".contains(c);
        let mut paths = Vec::new();
        for item in record.list("paths") {
            let Value::Text(text) = &item.value else { continue };
            if text.value.starts_with('~') || text.value.chars().all(plain) {
                paths.push(text.value.clone());
                continue;
            }
            if let Err(complaint) = rule::regex(&text.value, text.shown()) {
                let help = complaint.help.map(std::borrow::Cow::into_owned);
                self.sink.push(item.mark, format!("in 'paths': {}", complaint.message), help);
            }
            paths.push(format!("~{}", text.value).into());
        }
        paths
    }

    fn check_route(&mut self, record: &Record, protocols: &[Protocol]) {
        let tls = protocols.iter().any(|protocol| protocol.is_tls());
        let grpc = protocols.iter().any(|protocol| protocol.is_grpc());
        if !tls && !record.list("snis").is_empty() {
            let message = "'snis' can only be set when 'protocols' is 'grpcs', 'https', 'tls' or 'tls_passthrough'";
            self.complain(record, "snis", message, None);
        }
        if grpc {
            let message = |name| format!("cannot set '{name}' when 'protocols' is 'grpc' or 'grpcs'");
            if record.has("strip_path") && record.flag("strip_path") {
                self.complain(record, "strip_path", &message("strip_path"), None);
            }
            if !record.list("methods").is_empty() {
                self.complain(record, "methods", &message("methods"), None);
            }
        }
        self.check_rules(record, protocols, tls, grpc);
        for (name, item) in record.entries("headers") {
            if let Value::List(values) = &item.value
                && let [value] = values.as_slice()
                && let Value::Text(text) = &value.value
                && let Some(pattern) = text.value.strip_prefix("~*")
                && let Err(complaint) = rule::regex(pattern, text.shown())
            {
                let help = complaint.help.map(std::borrow::Cow::into_owned);
                self.sink.push(value.mark, format!("in 'headers.{name}': {}", complaint.message), help);
            }
        }
    }

    /// A route without any rule would match everything, by mistake more often than not: Kong refuses it.
    fn check_rules(&mut self, record: &Record, protocols: &[Protocol], tls: bool, grpc: bool) {
        let kinds = ["methods", "hosts", "headers", "paths", "snis"];
        // What was written but is wrong has been complained of already.
        let tried = |name: &&str| record.attempted(name) && !(record.has(name) && record.is_empty(name));
        let usable: Vec<&str> =
            kinds.into_iter().filter(|name| !(grpc && *name == "methods") && (tls || *name != "snis")).collect();
        if protocols.is_empty() || kinds.iter().any(tried) {
            return;
        }
        let named: Vec<String> = usable.iter().map(|name| format!("'{name}'")).collect();
        let first = protocols.iter().find(|protocol| protocol.is_tls()).or_else(|| protocols.first());
        let message = format!(
            "must set one of {} when 'protocols' is '{}'",
            named.join(", "),
            first.map_or("http", |protocol| protocol.name())
        );
        let help = "to match every request, write paths: [/]";
        self.sink.push(record.mark, message, Some(help.to_owned()));
    }
}
