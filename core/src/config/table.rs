//! What a field table is made of. One row says everything about a key: reading, messages, the JSON schema, the reference
//! page and what `POST /config` may say all come from it.

use std::borrow::Cow;

/// An entity, or a block inside of one.
#[derive(Debug)]
pub(super) struct Table {
    /// As a reference page names it: `service`.
    pub(super) name: &'static str,
    /// One sentence.
    pub(super) doc: &'static str,
    pub(super) fields: &'static [Field],
}

/// One key.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) default: Given,
    /// One sentence; the unit, where the kind does not say it.
    pub(super) doc: &'static str,
    /// As it would stand in a document, after the colon; empty: the default, or the kind, says it.
    pub(super) example: &'static str,
    pub(super) required: bool,
    /// What must be in `admin.allow` before `POST /config` may say it; `None`: it always may.
    pub(super) allow: Option<&'static str>,
    /// It is shown everywhere (names, ids), so it may not come from the environment or a file.
    pub(super) public: bool,
    /// It may hold a secret, or is not looked at: neither messages nor the lines beside them show it.
    pub(super) secret: bool,
}

/// What a value may be.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    /// `true` or `false`.
    Flag,
    /// An integer within bounds.
    Integer(i64, i64),
    /// One of a few integers.
    Code(&'static [i64]),
    /// A number within bounds.
    Number(f64, f64),
    /// A string that follows a rule.
    Text(&'static Rule),
    /// One of a few words, and those that later versions will know.
    Word(&'static [&'static str], &'static [&'static str]),
    /// `500ms`, `10s`.
    Duration,
    /// `64KiB`.
    Size,
    /// PEM text, or a path to a file with it. `true`: a secret.
    Pem(bool),
    /// A path, relative to the document's folder.
    Path,
    /// The word alone.
    Literal(&'static str),
    /// `false`: the feature is off.
    Off,
    /// `true`: the feature is on with its defaults.
    On,
    /// The first kind whose shape fits; the last one complains if none does.
    Either(&'static [Self]),
    /// A list.
    List(&'static Self),
    /// Free keys.
    Map(&'static Rule, &'static Self),
    /// A block with keys of its own.
    Record(&'static Table),
    /// Another entity, by name or `{id: …}`.
    Reference(&'static str),
    /// Kong's plugins. This version has none.
    Plugins,
    /// Anything at all; it is not looked at.
    Any,
    /// A key that later versions will know. What it is without the feature (empty, its default) is accepted.
    Later,
}

/// What a string must look like.
#[derive(Debug)]
pub(super) struct Rule {
    /// For the reference: `host name`.
    pub(super) name: &'static str,
    /// For the JSON schema; empty: none.
    pub(super) pattern: &'static str,
    /// What is wrong with the value. Messages may show the second argument alone: the value may be a secret.
    pub(super) check: fn(&str, &str) -> Result<(), Complaint>,
}

/// What is wrong with a value, and the way out.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Complaint {
    pub(super) message: Cow<'static, str>,
    pub(super) help: Option<Cow<'static, str>>,
}

impl Complaint {
    pub(super) fn new(message: impl Into<Cow<'static, str>>) -> Self {
        Self { message: message.into(), help: None }
    }

    pub(super) fn help(self, help: impl Into<Cow<'static, str>>) -> Self {
        Self { help: Some(help.into()), ..self }
    }
}

/// A default.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Given {
    /// None: the feature is unset.
    Nothing,
    Flag(bool),
    Integer(i64),
    Number(f64),
    /// Words, durations and sizes as written.
    Text(&'static str),
    Texts(&'static [&'static str]),
    Integers(&'static [i64]),
    Numbers(&'static [f64]),
    /// A block with its own fields' defaults.
    Fields,
}

/// A row of a table.
pub(super) const fn field(name: &'static str, kind: Kind, doc: &'static str) -> Field {
    let default = Given::Nothing;
    Field { name, kind, default, doc, example: "", required: false, allow: None, public: false, secret: false }
}

impl Field {
    /// Whether it is of no use to someone who looks for a key.
    pub(super) fn is_obscure(&self) -> bool {
        matches!(self.kind, Kind::Later | Kind::Plugins) || self.name.starts_with('_') || self.name.ends_with("ed_at")
    }

    pub(super) const fn flag(self, value: bool) -> Self {
        Self { default: Given::Flag(value), ..self }
    }

    pub(super) const fn integer(self, value: i64) -> Self {
        Self { default: Given::Integer(value), ..self }
    }

    pub(super) const fn text(self, value: &'static str) -> Self {
        Self { default: Given::Text(value), ..self }
    }

    pub(super) const fn default(self, default: Given) -> Self {
        Self { default, ..self }
    }

    pub(super) const fn required(self) -> Self {
        Self { required: true, ..self }
    }

    pub(super) const fn example(self, example: &'static str) -> Self {
        Self { example, ..self }
    }

    /// `POST /config` may say it only where `admin.allow` names `what`.
    pub(super) const fn allow(self, what: &'static str) -> Self {
        Self { allow: Some(what), ..self }
    }

    pub(super) const fn public(self) -> Self {
        Self { public: true, ..self }
    }

    pub(super) const fn secret(self) -> Self {
        Self { secret: true, ..self }
    }
}

/// A key that later versions will know.
pub(super) const fn later(name: &'static str, doc: &'static str) -> Field {
    field(name, Kind::Later, doc)
}
