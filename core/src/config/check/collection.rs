//! Lists, maps and plugins.

use super::Checker;
use crate::config::record::{Item, Value};
use crate::config::table::{Complaint, Field, Kind, Rule};
use crate::config::tree::{Data, Node};

impl Checker<'_> {
    pub(super) fn plugins(&mut self, node: &Node, data: &Data, field: &Field) -> Option<Value> {
        let Data::List(items) = data else { return self.expected(node, field, "expected an array") };
        for (index, item) in items.iter().enumerate() {
            let entries = if let Data::Map(entries) = &item.data { entries.as_slice() } else { &[] };
            let name = entries.iter().find(|entry| &*entry.key == "name");
            let (mark, message) = match name.map(|entry| (&entry.value.data, entry.value.mark)) {
                Some((Data::Text(text), mark)) => {
                    (mark, format!("plugin '{}' is not available in this version: it has no plugins", text.shown()))
                }
                _ => (item.mark, "plugins are not available in this version".to_owned()),
            };
            self.sink.at_index(index, |sink| sink.push(mark, message, None));
        }
        Some(Value::Skipped)
    }

    pub(super) fn list(&mut self, node: &Node, data: &Data, kind: &Kind, field: &Field) -> Option<Value> {
        let items = match data {
            Data::List(items) => items.as_slice(),
            Data::Map(entries) if entries.is_empty() => &[],
            _ => {
                let mut complaint = Complaint::new("expected an array");
                if !matches!(data, Data::Map(_)) {
                    complaint = complaint.help("put it in brackets: [ … ]");
                }
                self.complain(node.mark, field, complaint);
                return None;
            }
        };
        let mut values = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            self.sink.enter_index(index);
            // A bad element keeps its place, so that those behind it keep their numbers in messages.
            let value = self.value(item, kind, field).unwrap_or(Value::Skipped);
            values.push(Item { value, mark: item.mark });
            self.sink.leave();
        }
        Some(Value::List(values))
    }

    pub(super) fn map(
        &mut self,
        node: &Node,
        data: &Data,
        (rule, kind): (&Rule, &Kind),
        field: &Field,
    ) -> Option<Value> {
        let entries = match data {
            Data::Map(entries) => entries.as_slice(),
            Data::List(items) if items.is_empty() => &[],
            _ => return self.expected(node, field, "expected a map"),
        };
        let mut values = Vec::with_capacity(entries.len());
        for entry in entries {
            let shown = entry.shown();
            self.sink.enter(&shown);
            if let Err(complaint) = (rule.check)(&entry.key, &shown) {
                self.complain(entry.mark, field, complaint);
            }
            if !matches!(entry.value.data, Data::Null)
                && let Some(value) = self.value(&entry.value, kind, field)
            {
                values.push((entry.key.clone(), Item { value, mark: entry.value.mark }));
            }
            self.sink.leave();
        }
        Some(Value::Map(values))
    }
}
