//! What a command is, and how the one that was asked for is found and run.

use super::COMMANDS;
use crate::providers::process::{GUARD_COMMAND, guard_main};
use crate::telemetry::log;
use clap::ArgMatches;
use std::process::ExitCode;

/// A row of [`COMMANDS`].
pub struct Command {
    /// What one types.
    pub name: &'static str,
    /// One line for `--help`.
    pub about: &'static str,
    /// A whole command line that works, for `--help` and the reference.
    pub example: &'static str,
    /// Adds the arguments.
    pub arguments: fn(clap::Command) -> clap::Command,
    /// Does it.
    pub run: fn(&ArgMatches) -> Result<(), Failure>,
}

/// Why a command failed. The variant is the exit code.
#[derive(Debug)]
pub enum Failure {
    /// 1: what was given to us is wrong. The text is shown as it is.
    Input(String),
    /// 2: the command line is wrong.
    Usage(String),
    /// 3: a port is taken, a permission is missing, something cannot be reached.
    Environment(anyhow::Error),
}

impl Failure {
    const fn code(&self) -> u8 {
        match self {
            Self::Input(_) => 1,
            Self::Usage(_) => 2,
            Self::Environment(_) => 3,
        }
    }

    fn show(&self) {
        match self {
            // A problem's own rendering says all there is to say. Nothing to add where there is none.
            Self::Input(text) if text.is_empty() => {}
            Self::Input(text) => log::say(text.trim_end()),
            Self::Usage(text) => log::say(&format!("error: {text}\n\nFor more information, try '--help'.")),
            Self::Environment(error) => log::say(&format!("error: {error:#}")),
        }
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Environment(error)
    }
}

/// The whole program.
#[must_use]
pub fn main() -> ExitCode {
    // A guard's arguments are somebody's command: not ours to interpret.
    if std::env::args_os().nth(1).is_some_and(|first| first == GUARD_COMMAND) {
        return guard_main(std::env::args_os().skip(2));
    }
    // clap prints and exits by itself: 2 for usage, 0 for help and version.
    let matches = grammar().get_matches();
    let Some((name, arguments)) = matches.subcommand() else { return ExitCode::from(2) };
    let Some(command) = COMMANDS.iter().find(|command| command.name == name) else { return ExitCode::from(2) };
    let code = match (command.run)(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.show();
            ExitCode::from(failure.code())
        }
    };
    log::finish();
    code
}

fn grammar() -> clap::Command {
    let root = clap::Command::new("plimsoll")
        .about("A Layer-7 load balancer and API gateway that follows your containers")
        .version(VERSION)
        .subcommand_required(true)
        .arg_required_else_help(true);
    COMMANDS.iter().fold(root, |root, command| {
        let example = format!("Example:\n  {}", command.example);
        let own = clap::Command::new(command.name).about(command.about).after_help(example);
        root.subcommand((command.arguments)(own.hide(command.name.starts_with("__"))))
    })
}

/// Version and commit, as `--version` shows them.
pub(super) const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " (", env!("PLIMSOLL_COMMIT"), ")");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_is_documented_and_its_example_parses() {
        grammar().debug_assert();
        let mut names: Vec<_> = COMMANDS.iter().map(|command| command.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), COMMANDS.len(), "names are unique");
        for command in COMMANDS {
            assert!(!command.about.is_empty() && !command.about.ends_with('.'), "{}", command.name);
            let words = command.example.split_whitespace();
            let parsed = grammar().try_get_matches_from(words);
            assert!(parsed.is_ok(), "{}: {:?}", command.example, parsed.err());
            assert!(command.example.starts_with(&format!("plimsoll {}", command.name)), "{}", command.example);
        }
    }
}
