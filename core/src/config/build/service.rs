//! Services.

use super::{Builder, url};
use crate::config::record::Record;
use crate::config::{Protocol, Service};
use std::sync::Arc;

impl Builder<'_> {
    pub(super) fn service(&mut self, record: &Record) {
        let (protocol, host, port, path) = self.address(record);
        let content = format!("{}://{host}:{port}{}", protocol.name(), path.as_deref().unwrap_or_default());
        let (id, name) = self.identity(record, "services", &content);
        if protocol.is_grpc() && path.is_some() {
            let field = if record.has("url") { "url" } else { "path" };
            self.complain(record, field, "value must be null", Some("a grpc service has no path"));
        }
        let number = self.document.services.len();
        self.names.register("services", &name, number);
        self.names.register("services", &id, number);
        self.note_references(record, &format!("/services/{number}"));
        self.document.services.push(Service {
            id,
            name,
            protocol,
            host,
            port,
            path,
            retries: record.integer("retries"),
            connect_timeout: record.milliseconds("connect_timeout"),
            write_timeout: record.milliseconds("write_timeout"),
            read_timeout: record.milliseconds("read_timeout"),
            enabled: record.flag("enabled"),
            tls_verify: record.has("tls_verify").then(|| record.flag("tls_verify")),
            tags: record.texts("tags"),
            place: record.mark.place,
        });
    }

    /// From `url`, which wins as in Kong, or from the four fields.
    fn address(&mut self, record: &Record) -> (Protocol, Arc<str>, u16, Option<Arc<str>>) {
        if let Some(text) = record.written_text("url") {
            for name in ["protocol", "host", "port", "path"] {
                if record.has(name) {
                    let message = format!("'{name}' is not used: 'url' says it");
                    self.sink.warn(record.mark_of(name), message, None);
                }
            }
            match url::parse(&text.value) {
                Ok(url) => return (url.protocol, url.host.into(), url.port, url.path.map(Arc::from)),
                Err(complaint) => self.complain(record, "url", &complaint.message, complaint.help.as_deref()),
            }
        } else if !record.attempted("host") && !record.attempted("url") {
            self.sink.push(
                record.mark,
                "in 'host': required field missing",
                Some("write host, or url: http://HOST[:PORT][/PATH]".to_owned()),
            );
        }
        let host = record.text("host").unwrap_or_else(|| "".into());
        (protocol(record.word("protocol")), host, record.integer("port"), record.text("path"))
    }
}

/// The protocol of that name; the field's table admits no other.
pub(super) fn protocol(word: &str) -> Protocol {
    match word {
        "https" => Protocol::Https,
        "grpc" => Protocol::Grpc,
        "grpcs" => Protocol::Grpcs,
        _ => Protocol::Http,
    }
}
