//! What leads elsewhere: to other entities, and to files.

use super::Checker;
use crate::config::record::{self, Value};
use crate::config::reference::{self, Mode};
use crate::config::table::{Complaint, Field};
use crate::config::tree::{Data, Entry, Node, Text};

impl Checker<'_> {
    pub(super) fn reference(&mut self, node: &Node, data: &Data, field: &Field) -> Option<Value> {
        match data {
            Data::Text(text) => Some(Value::Reference { by_id: false, key: text.value.clone() }),
            Data::Map(entries) => match entries.as_slice() {
                [Entry { key, value: Node { data: Data::Text(id), .. }, .. }]
                    if &**key == "id" && id.written.is_none() =>
                {
                    Some(Value::Reference { by_id: true, key: id.value.clone() })
                }
                _ => self.expected(node, field, "expected a name, or {id: …}"),
            },
            _ => self.expected(node, field, "expected a name, or {id: …}"),
        }
    }

    pub(super) fn path(&mut self, node: &Node, text: &Text, field: &Field) -> Option<Value> {
        if text.value.is_empty() {
            return self.expected(node, field, "length must be at least 1");
        }
        if !self.source.allows("files") {
            self.refuse(node.mark, field.name, "files");
            return None;
        }
        Some(Value::Text(text.clone()))
    }

    pub(super) fn pem(&mut self, node: &Node, secret: bool, field: &Field) -> Option<Value> {
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
            crate::config::Pem::Text(text.value)
        } else if text.value.contains('\n') || text.value.is_empty() || is_bare_base64(&text.value) {
            // Neither PEM nor a path; taken for a path, it would be shown when it cannot be read.
            return self.expected(node, field, "expected PEM text (-----BEGIN …) or a path to a file with it");
        } else if !self.source.allows("files") {
            self.refuse(node.mark, field.name, "files");
            return None;
        } else {
            crate::config::Pem::File(text.value)
        };
        Some(Value::Pem(record::Pem { pem, written: text.written }))
    }
}

/// 48: the smallest key, of Ed25519, has 48 bytes, and so 64 characters of base64.
const BARE_MIN: usize = 48;

/// Whether this is PEM without its first and last line: every key and certificate in DER begins with 0x30, an `M` in base64.
fn is_bare_base64(text: &str) -> bool {
    let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte);
    text.len() >= BARE_MIN && text.starts_with('M') && text.bytes().all(is_base64)
}
