//! `plimsoll demo`: the whole system on this machine with nothing installed, told in plain words.
//!
//! Three sample replicas run as local processes behind the gateway. A load of our own goes through it; every few seconds
//! one replica is killed in the middle of its requests; the table shows who answers, and that nothing is lost.
//!
//! The load sends GETs alone, since that is the promise: a request that a killed replica was working on is repeated
//! elsewhere if it may be repeated. A POST that a replica had taken in and then died with cannot be, by anyone.

mod document;
mod load;
mod screen;
mod story;
mod tally;

use super::{Command, Failure};
use anyhow::Context;
use clap::{Args, FromArgMatches};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::time::Duration;

/// `plimsoll demo`.
pub(super) const COMMAND: Command = Command {
    name: "demo",
    about: "Show the whole system on this machine, with nothing installed",
    example: "plimsoll demo --duration 20s",
    arguments: |command| DemoArgs::augment_args(command),
    run: |matches| {
        let args = DemoArgs::from_arg_matches(matches).map_err(|error| Failure::Usage(error.to_string()))?;
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
        runtime.context("the runtime cannot start")?.block_on(story::tell(args))
    },
};

#[derive(Args, Clone, Debug)]
struct DemoArgs {
    /// End after so long, e.g. 20s [default: at Ctrl-C]
    #[arg(long, value_parser = duration)]
    duration: Option<Duration>,
    /// Port to serve on [default: 8000, or a free one if that is taken]
    #[arg(long)]
    port: Option<u16>,
    /// Say what happens, but show no table
    #[arg(long, short)]
    quiet: bool,
}

/// `20s`, `500ms`, `2m`, or seconds.
fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit_ms = match text.strip_prefix(digits) {
        Some("ms") => 1,
        Some("s" | "") => 1_000,
        Some("m") => 60_000,
        Some("h") => 3_600_000,
        _ => 0,
    };
    match digits.parse::<u32>() {
        Ok(count) if unit_ms > 0 => Ok(Duration::from_millis(u64::from(count) * unit_ms)),
        _ => Err(format!("`{text}` is no duration; write 20s, 500ms or 2m")),
    }
}

/// The wished port if it is free; without a wish 8000, else any.
fn choose_port(wish: Option<u16>) -> anyhow::Result<u16> {
    match wish {
        Some(port) => bind(port).with_context(|| format!("cannot listen on port {port}; choose another by --port")),
        None => bind(8000).or_else(|_| bind(0)).context("no port is free"),
    }
}

/// Binds and closes; the port that it was.
fn bind(port: u16) -> std::io::Result<u16> {
    let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?;
    listener.local_addr().map(|address| address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_with_their_unit() {
        let cases = [("20s", Some(20_000)), ("500ms", Some(500)), ("2m", Some(120_000)), ("7", Some(7_000))];
        for (text, expected) in cases.into_iter().chain([("", None), ("s", None), ("5x", None), ("-1s", None)]) {
            assert_eq!(duration(text).ok().map(|duration| duration.as_millis()), expected, "{text}");
        }
    }

    #[test]
    fn a_taken_port_is_refused_if_it_was_asked_for_and_replaced_if_not() {
        let other = TcpListener::bind("127.0.0.1:0").unwrap();
        let taken = other.local_addr().unwrap().port();
        assert!(choose_port(Some(taken)).unwrap_err().to_string().contains("--port"));
        assert!(choose_port(None).is_ok());
    }
}
