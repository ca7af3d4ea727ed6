//! What was written where a value came from the environment, a file or a vault: kept beside the document, so that what is
//! printed back shows the reference and never the value.

use super::Builder;
use crate::config::Written;
use crate::config::record::{Item, Record, Value};
use crate::config::reference::without_literals;
use crate::config::tree::Text;
use std::sync::Arc;

/// Lists of entities, which have pointers of their own.
const ENTITIES: [&str; 3] = ["routes", "targets", "snis"];

impl Builder<'_> {
    /// Notes every reference of the entity at `pointer` of the printed document.
    pub(super) fn note_references(&mut self, record: &Record, pointer: &str) {
        for (name, item) in record.written() {
            if !ENTITIES.contains(&name) {
                self.note_item(item, &format!("{pointer}/{name}"));
            }
        }
    }

    fn note_item(&mut self, item: &Item, pointer: &str) {
        match &item.value {
            Value::Text(Text { written: Some(written), .. }) if item.mark.is_hidden() => {
                self.note(Some(&without_literals(written).into()), pointer);
            }
            Value::Text(text) => self.note_text(text, pointer),
            Value::Pem(pem) => self.note(pem.written.as_ref(), pointer),
            Value::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.note_item(item, &format!("{pointer}/{index}"));
                }
            }
            Value::Map(entries) => {
                for (key, item) in entries {
                    // RFC 6901's escapes.
                    let key = key.replace('~', "~0").replace('/', "~1");
                    self.note_item(item, &format!("{pointer}/{key}"));
                }
            }
            Value::Record(record) => self.note_references(record, pointer),
            _ => {}
        }
    }

    pub(super) fn note_text(&mut self, text: &Text, pointer: &str) {
        self.note(text.written.as_ref(), pointer);
    }

    fn note(&mut self, written: Option<&Arc<str>>, pointer: &str) {
        if let Some(text) = written {
            self.document.written.push(Written { pointer: pointer.into(), text: text.clone() });
        }
    }
}
