//! What is tested of a candidate once host and path have led to it: methods, headers, SNIs.

use super::hosts::Pattern;
use super::{Ask, Rules};
use regex::bytes::{Regex, RegexBuilder};
use std::sync::Arc;

/// The rules of a route that are tested one after the other. Shared by the route's candidates.
#[derive(Debug)]
pub(super) struct Conditions {
    methods: Box<[Box<[u8]>]>,
    headers: Box<[Header]>,
    snis: Box<[Pattern]>,
}

#[derive(Debug)]
struct Header {
    name: Arc<str>,
    values: Box<[Value]>,
}

#[derive(Debug)]
enum Value {
    Exact(Box<[u8]>),
    Matching(Regex),
}

/// A compiled regex takes at the most so much memory: patterns may come from labels. 1 MiB holds `\w{1,60}` several times.
const REGEX_BYTES_MAX: usize = 1 << 20;

impl Conditions {
    /// # Errors
    /// Every rule that makes no sense, in words.
    pub(super) fn compile(rules: &Rules) -> Result<Self, Vec<String>> {
        let mut problems = Vec::new();
        let mut headers = Vec::with_capacity(rules.headers.len());
        for (name, values) in &rules.headers {
            let values = values.iter().filter_map(|value| match Value::compile(value) {
                Ok(value) => Some(value),
                Err(error) => {
                    problems.push(format!("header {name}: {error}"));
                    None
                }
            });
            headers.push(Header { name: name.to_ascii_lowercase().into(), values: values.collect() });
        }
        let mut snis = Vec::with_capacity(rules.snis.len());
        for sni in &rules.snis {
            match Pattern::parse(sni.strip_suffix('.').unwrap_or(sni)) {
                Ok((pattern, None)) => snis.push(pattern),
                Ok((_, Some(_))) => problems.push(format!("SNI {sni}: a server name has no port")),
                Err(error) => problems.push(format!("SNI {sni}: {error}")),
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let methods = rules.methods.iter().map(|method| method.as_bytes().into()).collect();
        Ok(Self { methods, headers: headers.into(), snis: snis.into() })
    }

    pub(super) fn hold(&self, ask: &Ask<'_>) -> bool {
        self.method_holds(ask) && self.sni_holds(ask) && self.headers.iter().all(|header| header.holds(ask))
    }

    /// What does not hold, in words.
    pub(super) fn failures(&self, ask: &Ask<'_>) -> Vec<String> {
        let mut failures = Vec::new();
        if !self.method_holds(ask) {
            failures.push(format!("method {} does not match", String::from_utf8_lossy(ask.method)));
        }
        if !self.sni_holds(ask) {
            failures.push(format!("SNI {} does not match", ask.sni.unwrap_or("(none)")));
        }
        for header in self.headers.iter().filter(|header| !header.holds(ask)) {
            let sent = ask.fields.any(&header.name, &mut |_| true);
            let how = if sent { "does not match" } else { "is not sent" };
            failures.push(format!("header {} {how}", header.name));
        }
        failures
    }

    fn method_holds(&self, ask: &Ask<'_>) -> bool {
        self.methods.is_empty() || self.methods.iter().any(|method| **method == *ask.method)
    }

    fn sni_holds(&self, ask: &Ask<'_>) -> bool {
        if self.snis.is_empty() || !ask.tls {
            return true;
        }
        let Some(sni) = ask.sni else { return false };
        let sni = sni.strip_suffix('.').unwrap_or(sni).as_bytes();
        self.snis.iter().any(|pattern| pattern.matches(sni))
    }
}

impl Header {
    fn holds(&self, ask: &Ask<'_>) -> bool {
        ask.fields.any(&self.name, &mut |sent| self.values.iter().any(|value| value.matches(sent)))
    }
}

impl Value {
    fn compile(written: &str) -> Result<Self, String> {
        match written.strip_prefix("~*") {
            Some(pattern) => regex(pattern, true).map(Self::Matching),
            None => Ok(Self::Exact(written.as_bytes().into())),
        }
    }

    fn matches(&self, sent: &[u8]) -> bool {
        match self {
            Self::Exact(value) => value.eq_ignore_ascii_case(sent),
            Self::Matching(regex) => regex.is_match(sent),
        }
    }
}

/// A regex within its bounds.
///
/// # Errors
/// What is wrong with the pattern, in one line.
pub(super) fn regex(pattern: &str, any_case: bool) -> Result<Regex, String> {
    let mut builder = RegexBuilder::new(pattern);
    builder.case_insensitive(any_case).size_limit(REGEX_BYTES_MAX).dfa_size_limit(REGEX_BYTES_MAX);
    builder.build().map_err(|error| match error {
        regex::Error::CompiledTooBig(limit) => {
            format!("the regex {pattern} takes more than {limit} bytes when compiled")
        }
        // The parser draws carets under the pattern over several lines; its last line says what is wrong.
        other => {
            let text = other.to_string();
            let last = text.lines().last().unwrap_or_default();
            format!("the regex {pattern} does not parse: {}", last.trim_start_matches("error: "))
        }
    })
}
