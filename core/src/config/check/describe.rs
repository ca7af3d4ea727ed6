//! Kinds in words.

use crate::config::table::Kind;
use std::borrow::Cow;

/// The integers, with commas.
pub(super) fn join(codes: &[i64]) -> String {
    codes.iter().map(i64::to_string).collect::<Vec<_>>().join(", ")
}

/// The kind in words: `a duration`.
pub(in crate::config) fn describe(kind: &Kind) -> Cow<'static, str> {
    let text = match kind {
        Kind::Flag => "a boolean",
        Kind::Integer(..) => "an integer",
        Kind::Number(..) => "a number",
        Kind::Duration => "a duration",
        Kind::Size => "a size",
        Kind::Pem(_) => "PEM text or a path",
        Kind::Path => "a path",
        Kind::Literal(word) => word,
        Kind::Off => "false",
        Kind::On => "true",
        Kind::Map(..) => "a map",
        Kind::Record(_) => "a record",
        Kind::Reference(_) => "a name, or {id: …}",
        Kind::Plugins => "plugins",
        Kind::Any => "anything",
        Kind::Later => "not available in this version",
        Kind::Text(rule) => return format!("a string ({})", rule.name).into(),
        Kind::Code(codes) => return format!("one of {}", join(codes)).into(),
        Kind::Word(words, _) => return words.join(", ").into(),
        Kind::List(kind) => return format!("a list of: {}", describe(kind)).into(),
        Kind::Either(kinds) => {
            let words: Vec<_> = kinds.iter().map(|kind| describe(kind)).collect();
            return words.join(" or ").into();
        }
    };
    text.into()
}
