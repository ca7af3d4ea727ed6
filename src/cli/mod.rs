//! The command line: one file a command, one line in [`COMMANDS`].
//!
//! Answers go to stdout, the log to stderr. Exit codes: 0 done, 1 the input is at fault, 2 usage, 3 the environment is.

mod admin;
mod check;
mod command;
mod demo;
mod explain;
mod healthcheck;
mod http;
mod managed;
mod offline;
mod output;
mod run;
mod sample;
mod schema;
mod serve;
mod source;
mod upgrade;

pub use command::{Command, Failure, main};

/// Every command, in the order of `--help`. Hidden ones, whose names begin with `__`, are Plimsoll's own.
pub const COMMANDS: &[&Command] = &[
    &run::COMMAND,
    &check::COMMAND,
    &explain::COMMAND,
    &demo::COMMAND,
    &schema::COMMAND,
    &healthcheck::COMMAND,
    &sample::COMMAND,
];
