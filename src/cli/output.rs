//! How commands answer: on stdout, as text or as JSON.

use clap::ValueEnum;
use serde_json::Value;
use std::io::Write;

/// The form of an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Output {
    /// For people
    #[default]
    Text,
    /// For programs
    Json,
}

/// A text, with a newline. A reader that went away (`| head`) is no fault.
pub(super) fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", text.trim_end()).and_then(|()| out.flush()).ok();
}

/// A JSON value, indented.
pub(super) fn say_json(value: &Value) {
    say(&format!("{value:#}"));
}

/// Something that is not the answer, on stderr.
pub(super) fn warn(text: &str) {
    writeln!(std::io::stderr().lock(), "{}", text.trim_end()).ok();
}
