//! What of a document's text may be shown beside a mistake in it: text ends up in terminals, in logs of containers and of
//! pipelines, which are read by many.
//!
//! A value is shown where the field tables know its field and do not call it a secret; for every other one there are `*`. A
//! misspelt key, a plugin's settings, a key of a later version: nobody knows what stands there. Of a text that is no YAML
//! nothing is shown but what structure it has. YAML's own comments are shown.

use super::check::fits;
use super::docs::tables;
use super::problem::Mark;
use super::table::{Kind, Table};
use super::tables::DOCUMENT;
use super::tree::{self, Data, Entry, Node};
use std::collections::HashSet;

/// The document's text with `*` in the place of what may be a secret: what
/// [`DocumentProblem::render`](super::DocumentProblem::render) may take lines from.
#[must_use]
pub fn without_secrets(text: &str) -> String {
    match tree::parse(text) {
        Ok(mut root) => find(&mut root).masked(text),
        Err(_) => structure(text),
    }
}

/// Where values stand that may be secrets.
#[derive(Debug, Default)]
pub(super) struct Secrets {
    found: Vec<Mark>,
}

/// Finds them. What is a secret by its field is also marked as hidden, so that no message quotes it.
pub(super) fn find(root: &mut Node) -> Secrets {
    let mut secrets = Secrets::default();
    secrets.record(root, &DOCUMENT);
    secrets.found.sort_by_key(|mark| mark.place);
    secrets
}

impl Secrets {
    fn record(&mut self, node: &mut Node, table: &Table) {
        let Data::Map(entries) = &mut node.data else { return self.cover(node) };
        for entry in entries {
            match table.fields.iter().find(|field| *field.name == *entry.key) {
                Some(field) if field.secret => self.hide(&mut entry.value),
                Some(field) => self.value(&mut entry.value, &field.kind),
                None => self.cover(&entry.value),
            }
        }
    }

    fn value(&mut self, node: &mut Node, kind: &Kind) {
        match (kind, &mut node.data) {
            (Kind::Record(table), _) => self.record(node, table),
            (Kind::Either(kinds), _) => match kinds.iter().find(|kind| fits(kind, node)) {
                Some(kind) => self.value(node, kind),
                None if matches!(node.data, Data::List(_) | Data::Map(_)) => self.cover(node),
                None => {}
            },
            (Kind::List(kind), Data::List(items)) => items.iter_mut().for_each(|item| self.value(item, kind)),
            (Kind::Map(_, kind), Data::Map(entries)) => {
                entries.iter_mut().for_each(|entry| self.value(&mut entry.value, kind));
            }
            (Kind::Plugins, Data::List(items)) => items.iter().for_each(|item| self.plugin(item)),
            (Kind::Any | Kind::Later | Kind::Plugins | Kind::Map(..), _) | (_, Data::List(_) | Data::Map(_)) => {
                self.cover(node);
            }
            // One that should stand in a list.
            (Kind::List(kind), _) => self.value(node, kind),
            (_, Data::Text(text)) if is_secret_by_looks(&text.value) => self.cover(node),
            _ => {}
        }
    }

    /// All but its name.
    fn plugin(&mut self, node: &Node) {
        let Data::Map(entries) = &node.data else { return self.cover(node) };
        entries.iter().filter(|entry| &*entry.key != "name").for_each(|entry| self.cover(&entry.value));
    }

    fn cover(&mut self, node: &Node) {
        match &node.data {
            Data::List(items) => items.iter().for_each(|item| self.cover(item)),
            Data::Map(entries) => {
                for entry in entries {
                    self.key(entry);
                    self.cover(&entry.value);
                }
            }
            Data::Null | Data::Failed => {}
            Data::Text(text) => self.found(node.mark, text.value.chars().count()),
            Data::Flag(_) | Data::Integer(_) | Data::Number(_) => self.found(node.mark, 0),
        }
    }

    fn hide(&mut self, node: &mut Node) {
        self.cover(node);
        mark_hidden(node);
    }

    fn key(&mut self, entry: &Entry) {
        if !is_name(&entry.key) {
            self.found(entry.mark, entry.key.chars().count());
        }
    }

    fn found(&mut self, mark: Mark, length: usize) {
        let length = mark.length.max(u32::try_from(length).unwrap_or(u32::MAX));
        self.found.push(Mark { length, ..mark });
    }

    /// The text with `*` in their place, line for line and column for column.
    pub(super) fn masked(&self, text: &str) -> String {
        // What else ends a line, to a parser of YAML.
        if text.contains('\r') && text.replace("\r\n", "").contains('\r') {
            return structure(text);
        }
        // The parser does not count it.
        let byte_order_mark = u32::from(text.starts_with('\u{feff}'));
        let mut found = self.found.iter().peekable();
        let (mut line, mut column, mut left) = (1, 1, 0_u32);
        let mask = |c: char| {
            while let Some(mark) = found.next_if(|mark| (mark.place.line, mark.place.column) <= (line, column)) {
                left = left.max(mark.length.saturating_add(byte_order_mark));
            }
            let shown = if left > 0 && !c.is_whitespace() { '*' } else { c };
            left = left.saturating_sub(1);
            (line, column) = if c == '\n' { (line + 1, 1) } else { (line, column + 1) };
            shown
        };
        text.chars().map(mask).collect()
    }
}

fn mark_hidden(node: &mut Node) {
    node.mark = node.mark.hidden();
    match &mut node.data {
        Data::List(items) => items.iter_mut().for_each(mark_hidden),
        Data::Map(entries) => {
            for entry in entries {
                if !is_name(&entry.key) {
                    entry.mark = entry.mark.hidden();
                }
                mark_hidden(&mut entry.value);
            }
        }
        _ => {}
    }
}

/// `PASSWORD`, `x-api-key`; not `PASSWORD=x` nor `Authorization: Basic x`, which somebody wrote for want of a better guess.
fn is_name(key: &str) -> bool {
    key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_./".contains(&byte))
}

/// Where no secret belongs there may be one nevertheless: `http://user:password@host`, a key that follows its certificate.
fn is_secret_by_looks(text: &str) -> bool {
    text.contains("PRIVATE KEY") || text.split_once("://").is_some_and(|(_, rest)| rest.contains('@'))
}

/// Of a text that is no YAML: brackets, quotes, indentation, and the keys that documents have.
pub(super) fn structure(text: &str) -> String {
    let known: HashSet<&str> = tables().iter().flat_map(|table| table.fields).map(|field| field.name).collect();
    let is_word = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let end =
            if is_word(first) { rest.find(|c: char| !is_word(c)).unwrap_or(rest.len()) } else { first.len_utf8() };
        // Ends where a character does.
        let Some((word, after)) = rest.split_at_checked(end) else { break };
        let is_key = known.contains(word) && after.trim_start_matches('"').starts_with(':');
        let is_dash = word == "-" && after.starts_with([' ', '\n']);
        if is_key || is_dash || first.is_whitespace() || "{}[],:\"'".contains(first) {
            out.push_str(word);
        } else {
            out.extend(word.chars().map(|_| '*'));
        }
        rest = after;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(without_secrets(text), expected);
    }

    #[test]
    fn a_value_is_shown_where_its_field_is_known_and_no_secret() {
        check("services: [{name: web, retries: 3}]\n", "services: [{name: web, retries: 3}]\n");
        check("services: [{nam: web, x: [1, {y: on}]}]\n", "services: [{nam: ***, x: [*, {y: **}]}]\n");
        check("certificates: [{cert: a.crt, key: \"a.key\"}]\n", "certificates: [{cert: a.crt, key: *******}]\n");
        check("plugins: [{name: jwt, config: {secret: s}}]\n", "plugins: [{name: jwt, config: {secret: *}}]\n");
        check(
            "{\"upstreams\": [{\"name\": \"é\", \"passwort\": \"ü\"}]}",
            "{\"upstreams\": [{\"name\": \"é\", \"passwort\": ***}]}",
        );
        check("services: [{url: 'http://u:p@h'}]\n", "services: [{url: **************}]\n");
        check("_comment: ask bob\nservices: web\n", "_comment: *** ***\nservices: ***\n");
    }

    #[test]
    fn secrets_are_covered_in_every_style_and_shape() {
        let checks =
            |headers: &str| format!("upstreams:\n- name: a\n  healthchecks: {{active: {{headers: {headers}}}}}\n");
        check(&checks("{x-key: [s, \"t\"]}"), &checks("{x-key: [*, ***]}"));
        check(&checks("[\"x-key: s\"]"), &checks("[******* **]"));
        check(&checks("{\"x-key: s\": }"), &checks("{******* **: }"));
        check(&checks("x-key s"), &checks("***** *"));
        let process = |env: &str| format!("upstreams:\n- discover:\n    process:\n      env:\n{env}  name: a\n");
        check(&process("        A: s\n        B: 12\n"), &process("        A: *\n        B: **\n"));
        check(&process("      - A=s\n      - B=t\n"), &process("      - ***\n      - ***\n"));
        check(
            &process("        A: >-\n          one\n          two\n        B: 's\n          t'\n"),
            &process("        A: >-\n          ***\n          ***\n        B: **\n          **\n"),
        );
        check(&process("        A: &a s\n        B: *a\n"), &process("        A: &a *\n        B: **\n"));
    }

    #[test]
    fn of_what_is_no_yaml_the_structure_is_shown() {
        check("services:\n\t- name: web\n", "services:\n\t- name: ***\n");
        check("{\"services\": [{\"name\": \"key\",}}", "{\"services\": [{\"name\": \"***\",}}");
        check("env: {A: \"key: s\"\n", "env: {*: \"key: *\"\n");
        check("key: |\n  -----BEGIN KEY-----\n MIIE/a+==\nx: [\n", "key: *\n  ********** ********\n *********\n*: [\n");
    }

    #[test]
    fn lines_that_end_as_they_did_on_old_machines_show_nothing() {
        check("services: [{nam: web}]\rx: y\n", "services: [{***: ***}]\r*: *\n");
    }
}
