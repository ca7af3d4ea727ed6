//! Load for `benches/peers`. wrk and h2load measure how much a proxy can do; neither says how long requests take at a rate
//! that is given, since a proxy that stalls stalls them too. Here every request has a time when it is due, whatever
//! answers do, and its latency counts from then (an open loop, corrected for coordinated omission). One thread and one
//! epoll, without a runtime, since origin and load share a core.
//!
//! `load …`: requests, the account as JSON on stdout. `idle …`: connections that are kept alive and do nothing, until
//! stdin ends. `origin …`: many targets of unequal latency. Options are `--name value`.

#![expect(clippy::expect_used, clippy::print_stdout, clippy::print_stderr, reason = "a tool that may stop, and prints")]
#![expect(clippy::disallowed_methods, reason = "it measures real time")]

mod connection;
mod http1;
mod http2;
mod load;
mod origin;
mod tls;

use std::collections::HashMap;
use std::str::FromStr;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let command = arguments.next().unwrap_or_default();
    let options = Options::parse(arguments);
    match command.as_str() {
        "load" => println!("{}", load::run(&options)),
        "idle" => load::idle(&options),
        "origin" => origin::run(&options),
        _ => stop("usage: plimsoll-bench-load load|idle|origin --name value …"),
    }
}

/// What `--name value` said.
pub(crate) struct Options(HashMap<String, String>);

impl Options {
    fn parse(mut arguments: impl Iterator<Item = String>) -> Self {
        let mut all = HashMap::new();
        while let Some(name) = arguments.next() {
            let Some(name) = name.strip_prefix("--") else { stop(&format!("{name}: not an option")) };
            let Some(value) = arguments.next() else { stop(&format!("--{name} wants a value")) };
            all.insert(name.to_owned(), value);
        }
        Self(all)
    }

    pub(crate) fn text(&self, name: &str, default: &str) -> String {
        self.0.get(name).map_or(default, String::as_str).to_owned()
    }

    pub(crate) fn number<T: FromStr>(&self, name: &str, default: T) -> T {
        let Some(text) = self.0.get(name) else { return default };
        text.parse().unwrap_or_else(|_| stop(&format!("--{name} {text}: not a number")))
    }

    pub(crate) fn is(&self, name: &str) -> bool {
        self.0.get(name).is_some_and(|value| value == "yes")
    }
}

/// Ends the program with what is wrong.
pub(crate) fn stop(what: &str) -> ! {
    eprintln!("{what}");
    std::process::exit(1)
}
