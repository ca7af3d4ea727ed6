//! Why a document was not applied, and why the gateway did not start.

use plimsoll_core::config::{DocumentProblem, Problems};
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use thiserror::Error;

/// Why a document was not applied. What was served before is served on.
#[derive(Clone, Debug, Error)]
pub enum ApplyError {
    /// It has mistakes; all of them, as people read them.
    #[error("{0}")]
    Document(Problems),
    /// It has mistakes that show when it is compiled.
    #[error("{}", rendered(.file, .text, .problems))]
    Compile {
        /// What messages call the document.
        file: Arc<str>,
        /// The document, without its secrets.
        text: Arc<str>,
        /// The mistakes, by place.
        problems: Vec<DocumentProblem>,
    },
    /// Its file cannot be read.
    #[error("cannot read {}: {error}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: Arc<io::Error>,
    },
    /// An address cannot be bound.
    #[error("cannot listen on {address} (listener {name}): {error}")]
    Listen {
        /// The listener.
        name: Arc<str>,
        /// Its address.
        address: SocketAddr,
        /// What the system says.
        error: Arc<io::Error>,
    },
    /// The access log cannot be opened.
    #[error("cannot open the access log: {0}")]
    AccessLog(Arc<io::Error>),
    /// A step of ours failed, which is a mistake of ours.
    #[error("an internal step failed: see the log")]
    Internal,
    /// Another process is about to take over, and would not know of it.
    #[error("a new process is about to take over: say it again in a moment")]
    HandingOver,
    /// The gateway has stopped.
    #[error("the gateway has stopped")]
    Stopped,
}

impl ApplyError {
    /// Places and messages in one line, without the document's: logs are read by many.
    #[must_use]
    pub fn brief(&self) -> String {
        self.lines().join("; ")
    }

    /// The same, a line each.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let (file, problems): (&str, &[DocumentProblem]) = match self {
            Self::Document(problems) => (problems.file(), problems.list()),
            Self::Compile { file, problems, .. } => (file, problems),
            other => return vec![other.to_string()],
        };
        problems.iter().map(|problem| problem.brief(file)).collect()
    }

    /// Whether the document is at fault, rather than the machine.
    #[must_use]
    pub const fn is_input(&self) -> bool {
        matches!(self, Self::Document(_) | Self::Compile { .. } | Self::Read { .. })
    }
}

/// Why the gateway did not start.
#[derive(Clone, Debug, Error)]
pub enum StartError {
    /// Its document could not be applied.
    #[error(transparent)]
    Apply(#[from] ApplyError),
    /// Threads could not be started.
    #[error("cannot start threads: {0}")]
    Threads(Arc<io::Error>),
}

impl StartError {
    /// Whether the document is at fault, rather than the machine.
    #[must_use]
    pub const fn is_input(&self) -> bool {
        matches!(self, Self::Apply(error) if error.is_input())
    }
}

fn rendered(file: &str, text: &str, problems: &[DocumentProblem]) -> String {
    let rendered: Vec<String> = problems.iter().map(|problem| problem.render(file, text, false)).collect();
    rendered.join("\n")
}
