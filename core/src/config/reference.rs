//! `${NAME}`, `${NAME:-default}`, `${file:PATH}`, `$${`, and Kong's `{vault://env/NAME}`. Core never reads the environment or
//! a file itself: [`References`] does. What was written is kept beside what it came to, so that the value is never printed.

use super::problem::Sink;
use super::table::Complaint;
use super::tree::{Data, Node, Text};

/// Where the values of references come from.
pub trait References {
    /// The environment variable's value, if it is set.
    fn env(&self, name: &str) -> Option<String>;
    /// The text of the file at `path`, which is relative to the document's folder.
    ///
    /// # Errors
    /// Why it could not be read, in words.
    fn file(&self, path: &str) -> Result<String, String>;
}

/// No environment and no files.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoReferences;

impl References for NoReferences {
    fn env(&self, _: &str) -> Option<String> {
        None
    }

    fn file(&self, _: &str) -> Result<String, String> {
        Err("files are not read here".to_owned())
    }
}

/// What is done with references in a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// They are expanded.
    Expand,
    /// They are text like any other: a document of Kong's.
    Literal,
    /// They are not allowed.
    Refuse,
}

/// 1 MiB: more than any certificate chain.
const MAX_EXPANDED: usize = 1 << 20;

pub(super) const REFUSED: &str = "references are not allowed in POST /config";
pub(super) const HOW_TO_ALLOW: &str = "to allow them, set gateway.admin.references: true in the document's file";

/// Expands every reference of the tree in place.
pub(super) fn expand(node: &mut Node, mode: Mode, references: &dyn References, sink: &mut Sink) {
    match &mut node.data {
        Data::Text(text) if text.value.contains("${") => match mode {
            Mode::Literal => {}
            Mode::Refuse => {
                sink.push(node.mark, REFUSED, Some(HOW_TO_ALLOW.to_owned()));
                node.data = Data::Failed;
            }
            Mode::Expand => match expand_text(&text.value, node.mark.is_hidden(), references) {
                Ok(value) => *text = Text { value: value.into(), written: Some(text.value.clone()) },
                Err(Complaint { message, help }) => {
                    sink.push(node.mark, message, help.map(std::borrow::Cow::into_owned));
                    node.data = Data::Failed;
                }
            },
        },
        Data::List(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                sink.at_index(index, |sink| expand(item, mode, references, sink));
            }
        }
        Data::Map(entries) => {
            for entry in entries {
                sink.at(&entry.key, |sink| expand(&mut entry.value, mode, references, sink));
            }
        }
        _ => {}
    }
}

/// `is_secret`: messages show nothing of the text but names of variables and files.
fn expand_text(text: &str, is_secret: bool, references: &dyn References) -> Result<String, Complaint> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        if let Some(before) = before.strip_suffix('$') {
            out.push_str(before);
            out.push_str("${");
            rest = after;
            continue;
        }
        out.push_str(before);
        let Some((inside, after)) = after.split_once('}') else {
            return Err(Complaint::new("'${' without its '}'").help("write $${ for a literal ${"));
        };
        out.push_str(&value_of(inside, is_secret, references)?);
        if out.len() > MAX_EXPANDED {
            return Err(Complaint::new("the references come to more than 1 MiB"));
        }
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

/// What was written in the place of a secret, without what of it stands there plainly: `Basic ${A:-x}` is `***${A:-***}`.
pub(super) fn without_literals(text: &str) -> String {
    let mut out = String::new();
    let mut literal = false;
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        let reference = if before.ends_with('$') { None } else { after.split_once('}') };
        literal |= !before.is_empty();
        let Some((inside, behind)) = reference else {
            rest = after;
            continue;
        };
        out.push_str(if std::mem::take(&mut literal) { "***${" } else { "${" });
        let name = inside.split_once(":-").filter(|_| !inside.starts_with("file:"));
        match name {
            Some((name, _)) => out.extend([name, ":-***}"]),
            None => out.extend([inside, "}"]),
        }
        rest = behind;
    }
    if literal || !rest.is_empty() {
        out.push_str("***");
    }
    out
}

/// The value of what stands between `${` and `}`.
fn value_of(inside: &str, is_secret: bool, references: &dyn References) -> Result<String, Complaint> {
    if let Some(path) = inside.strip_prefix("file:") {
        let mut text =
            references.file(path).map_err(|error| Complaint::new(format!("cannot read '{path}': {error}")))?;
        // Editors and `echo` end files with a line end that is not part of the secret.
        let end = text.trim_end_matches(['\n', '\r']).len();
        text.truncate(end);
        return Ok(text);
    }
    let (name, default) = inside.split_once(":-").map_or((inside, None), |(name, default)| (name, Some(default)));
    let mut bytes = name.bytes();
    let good = bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if !good {
        let shown = if is_secret { "…" } else { inside };
        return Err(Complaint::new(format!("'${{{shown}}}' is not a reference"))
            .help("expected ${NAME}, ${NAME:-default} or ${file:PATH}; write $${ for a literal ${"));
    }
    match (references.env(name), default) {
        // As in a shell, `:-` replaces what is empty, too.
        (Some(value), Some(default)) if value.is_empty() => Ok(default.to_owned()),
        (Some(value), _) => Ok(value),
        (None, Some(default)) => Ok(default.to_owned()),
        (None, None) => Err(Complaint::new(format!("environment variable '{name}' is not set"))
            .help(format!("set it, or write a default: ${{{name}:-value}}"))),
    }
}

/// Kong's reference to a vault, for fields that Kong calls referenceable. `None`: it is no such reference.
/// (Kong 3.10 kong/vaults/env/init.lua: the name in upper case, with `_` for `-`; a key after it picks from a JSON object.)
pub(super) fn vault(text: &str, references: &dyn References) -> Option<Result<String, Complaint>> {
    let inside = text.strip_prefix("{vault://")?.strip_suffix('}')?;
    let Some(name) = inside.strip_prefix("env/") else {
        return Some(Err(Complaint::new(format!("'{text}': only the vault 'env' is available in this version"))));
    };
    let (name, key) = name.split_once('/').map_or((name, None), |(name, key)| (name, Some(key)));
    let name = name.to_ascii_uppercase().replace('-', "_");
    let Some(value) = references.env(&name) else {
        return Some(Err(Complaint::new(format!("environment variable '{name}' is not set"))));
    };
    let Some(key) = key else { return Some(Ok(value)) };
    let object: Option<serde_json::Value> = serde_json::from_str(&value).ok();
    let picked = object.as_ref().and_then(|object| object.get(key)).and_then(serde_json::Value::as_str);
    Some(picked.map(str::to_owned).ok_or_else(|| {
        Complaint::new(format!("environment variable '{name}' is no JSON object with a string '{key}'"))
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Sample;

    impl References for Sample {
        fn env(&self, name: &str) -> Option<String> {
            let value = match name {
                "HOST" => "web.internal",
                "EMPTY" => "",
                "SHARP" => "${HOST}",
                "TLS_KEYS" => r#"{"cert": "PEM"}"#,
                _ => return None,
            };
            Some(value.to_owned())
        }

        fn file(&self, path: &str) -> Result<String, String> {
            if path == "/run/secrets/x" { Ok("hidden\n".to_owned()) } else { Err("no such file".to_owned()) }
        }
    }

    #[test]
    fn references_are_expanded_once() {
        let check = |text: &str, expected: Result<&str, &str>| {
            let got = expand_text(text, false, &Sample);
            let got = got.as_deref().map_err(|complaint| complaint.message.as_ref());
            assert_eq!(got, expected, "{text}");
        };
        check("${HOST}", Ok("web.internal"));
        check("http://${HOST}:80/${HOST}", Ok("http://web.internal:80/web.internal"));
        check("${EMPTY}", Ok(""));
        check("${EMPTY:-x}", Ok("x"));
        check("${MISSING:-x-y}", Ok("x-y"));
        check("${MISSING:-}", Ok(""));
        check("${SHARP}", Ok("${HOST}"));
        check("$${HOST}", Ok("${HOST}"));
        check("$$ $HOST", Ok("$$ $HOST"));
        check("${file:/run/secrets/x}", Ok("hidden"));
        check("${file:nope}", Err("cannot read 'nope': no such file"));
        check("${MISSING}", Err("environment variable 'MISSING' is not set"));
        check("${HOST", Err("'${' without its '}'"));
        check("${}", Err("'${}' is not a reference"));
        check("${1A}", Err("'${1A}' is not a reference"));
    }

    #[test]
    fn of_what_is_written_for_a_secret_only_the_references_are_shown() {
        let check = |text: &str, expected: &str| assert_eq!(without_literals(text), expected, "{text}");
        check("${A}", "${A}");
        check("Basic ${A:-x}!", "***${A:-***}***");
        check("${file:/run/a:-b}${A}", "${file:/run/a:-b}${A}");
        check("$${A}", "***");
        check("x$${y}${A}", "***${A}");
        check("plain", "***");
    }

    #[test]
    fn vault_references_name_variables_as_kong_does() {
        let check = |text: &str, expected: Option<Result<&str, &str>>| {
            let got = vault(text, &Sample);
            let got = got.as_ref().map(|r| r.as_deref().map_err(|complaint| complaint.message.as_ref()));
            assert_eq!(got, expected, "{text}");
        };
        check("plain", None);
        check("{vault://env/host}", Some(Ok("web.internal")));
        check("{vault://env/tls-keys/cert}", Some(Ok("PEM")));
        check(
            "{vault://env/tls-keys/key}",
            Some(Err("environment variable 'TLS_KEYS' is no JSON object with a string 'key'")),
        );
        check("{vault://env/nope}", Some(Err("environment variable 'NOPE' is not set")));
        check("{vault://hcv/x}", Some(Err("'{vault://hcv/x}': only the vault 'env' is available in this version")));
    }
}
