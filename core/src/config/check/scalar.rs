//! Numbers, texts, words.

use super::Checker;
use super::describe::join;
use crate::config::problem::Mark;
use crate::config::record::Value;
use crate::config::suggest;
use crate::config::table::{Complaint, Field, Kind, Rule};
use crate::config::tree::{Data, Node, Text};

impl Checker<'_> {
    pub(super) fn integer(&mut self, node: &Node, kind: &Kind, field: &Field) -> Option<Value> {
        let Some(value) = integer(&node.data) else { return self.expected(node, field, "expected an integer") };
        let complaint = match kind {
            Kind::Integer(min, max) if !(min..=max).contains(&&value) => {
                format!("value should be between {min} and {max}")
            }
            Kind::Code(codes) if !codes.contains(&value) => format!("expected one of: {}", join(codes)),
            _ => return Some(Value::Integer(value)),
        };
        self.expected(node, field, complaint)
    }

    pub(super) fn number(&mut self, node: &Node, (min, max): (f64, f64), field: &Field) -> Option<Value> {
        match number(&node.data) {
            Some(value) if (min..=max).contains(&value) => Some(Value::Number(value)),
            Some(_) => self.expected(node, field, format!("value should be between {min} and {max}")),
            None => self.expected(node, field, "expected a number"),
        }
    }

    pub(super) fn text(&mut self, mark: Mark, text: &Text, rule: &Rule, field: &Field) -> Option<Value> {
        match (rule.check)(&text.value, text.shown()) {
            Ok(()) => Some(Value::Text(text.clone())),
            Err(complaint) => {
                self.complain(mark, field, complaint);
                None
            }
        }
    }

    pub(super) fn word(
        &mut self,
        node: &Node,
        text: &Text,
        words: &'static [&'static str],
        later: &[&str],
        field: &Field,
    ) -> Option<Value> {
        if let Some(word) = words.iter().find(|word| **word == &*text.value) {
            return Some(Value::Word(word));
        }
        if later.contains(&&*text.value) {
            let message = format!("'{}: {}' is not available in this version", field.name, text.shown());
            self.sink.push(node.mark, message, Some(format!("available: {}", words.join(", "))));
            return None;
        }
        let mut complaint = Complaint::new(format!("expected one of: {}", words.join(", ")));
        if text.written.is_none()
            && let Some(word) = suggest::nearest(&text.value, words.iter().copied())
        {
            complaint = complaint.help(format!("did you mean '{word}'?"));
        }
        self.complain(node.mark, field, complaint);
        None
    }
}

/// The value of a kind that is one value.
pub(super) fn simple(kind: &Kind) -> Value {
    match kind {
        Kind::Literal(word) => Value::Word(word),
        kind => Value::Flag(matches!(kind, Kind::On)),
    }
}

/// A boolean; in text that came from a reference, as YAML 1.1 spells it.
pub(super) fn flag(data: &Data) -> Option<bool> {
    match data {
        Data::Flag(value) => Some(*value),
        Data::Text(Text { value, written: Some(_) }) => match value.to_ascii_lowercase().as_str() {
            "true" | "on" | "yes" | "y" => Some(true),
            "false" | "off" | "no" | "n" => Some(false),
            _ => None,
        },
        _ => None,
    }
}

fn integer(data: &Data) -> Option<i64> {
    match data {
        Data::Integer(value) => Some(*value),
        #[expect(clippy::cast_possible_truncation, reason = "a whole number within the bounds of i64's exact floats")]
        Data::Number(value) if value.fract() == 0.0 && value.abs() < 9e15 => Some(*value as i64),
        Data::Text(Text { value, written: Some(_) }) => value.trim().parse().ok(),
        _ => None,
    }
}

fn number(data: &Data) -> Option<f64> {
    match data {
        Data::Number(value) => Some(*value),
        #[expect(clippy::cast_precision_loss, reason = "bounds refuse integers so large")]
        Data::Integer(value) => Some(*value as f64),
        Data::Text(Text { value, written: Some(_) }) => value.trim().parse().ok().filter(|n: &f64| n.is_finite()),
        _ => None,
    }
}

/// Whether the value has the kind's shape, so that its complaint is the one to make.
pub(in crate::config) fn fits(kind: &Kind, node: &Node) -> bool {
    let data = &node.data;
    let text = if let Data::Text(text) = data { Some(&*text.value) } else { None };
    match kind {
        _ if matches!(data, Data::Failed) => true,
        Kind::Off => flag(data) == Some(false),
        Kind::On => flag(data) == Some(true),
        Kind::Flag => flag(data).is_some(),
        Kind::Literal(word) => text == Some(word),
        Kind::Integer(..) | Kind::Code(_) | Kind::Number(..) => number(data).is_some(),
        Kind::Record(_) | Kind::Map(..) => matches!(data, Data::Map(_)),
        Kind::List(_) | Kind::Plugins => matches!(data, Data::List(_)),
        Kind::Either(kinds) => kinds.iter().any(|kind| fits(kind, node)),
        Kind::Any | Kind::Later => true,
        Kind::Text(_)
        | Kind::Word(..)
        | Kind::Duration
        | Kind::Size
        | Kind::Pem(_)
        | Kind::Path
        | Kind::Reference(_) => text.is_some(),
    }
}
