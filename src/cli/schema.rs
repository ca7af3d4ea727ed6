//! `plimsoll schema`: for editors, which complete and check a document while it is written.

use super::Command;
use super::output::say_json;

/// `plimsoll schema`.
pub(super) const COMMAND: Command = Command {
    name: "schema",
    about: "Print the JSON Schema of the document",
    example: "plimsoll schema",
    arguments: |command| command,
    run: |_| {
        say_json(&plimsoll_core::config::schema());
        Ok(())
    },
};
