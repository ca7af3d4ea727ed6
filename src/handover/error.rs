//! Why a hand-over did not come about.

use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;
use thiserror::Error;

/// Why a hand-over did not come about. Who served before serves on.
#[derive(Debug, Error)]
pub(crate) enum HandoverError {
    /// The program cannot be started.
    #[error("cannot start {}: {error}", .path.display())]
    Start {
        /// Its path.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// The new process ended before it served.
    #[error("the new process ended before it served: {0}")]
    Ended(ExitStatus),
    /// The new process says why it cannot serve.
    #[error("the new process cannot serve: {0}")]
    Failed(String),
    /// The new process did not get so far in time.
    #[error("the new process did not say `{word}` within {limit:?}")]
    Late {
        /// What was waited for.
        word: &'static str,
        /// For how long.
        limit: Duration,
    },
    /// The other side is of a version that this one does not understand.
    #[error("the other process speaks format {0} of the hand-over, this one speaks 1")]
    Format(u32),
    /// They cannot speak with each other.
    #[error("the two processes cannot speak with each other: {0}")]
    Wire(#[from] io::Error),
    /// What was to be handed over cannot be told.
    #[error("what is served cannot be told: {0}")]
    Export(String),
}
