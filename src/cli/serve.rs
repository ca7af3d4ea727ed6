//! The gateway as commands start it: the library's, and the admin API.

use super::Failure;
use super::source::{folder_of, load, read_text};
use crate::admin::{Doors, OpenError, Served};
use crate::control::{Gateway, Handle, Running, StartError};
use crate::telemetry::log::LogHandle;
use plimsoll_core::config::{self, Document};
use std::path::PathBuf;
use std::sync::Arc;

/// Where the document is.
pub(super) enum Origin {
    /// In a file, which is followed.
    File(PathBuf),
    /// Here.
    Text(Arc<str>),
}

impl Origin {
    fn folder(&self) -> PathBuf {
        match self {
            Self::File(path) => folder_of(path),
            Self::Text(_) => PathBuf::from("."),
        }
    }

    fn document(&self) -> Result<Document, Failure> {
        let read = match self {
            Self::File(path) => load(path)?.read,
            Self::Text(text) => read_text("document", text, &self.folder(), config::Source::File),
        };
        read.map(|read| read.document).map_err(|problems| Failure::Input(problems.to_string()))
    }
}

/// A gateway that serves.
pub(super) struct Serving {
    running: Running,
    /// The admin API, which answers to the end.
    admin: Served,
}

/// Starts it; returns when the document is served.
pub(super) async fn start(origin: Origin, log: Option<LogHandle>) -> Result<Serving, Failure> {
    let document = origin.document()?;
    // Before anything is started: an address that is taken is said at once.
    let gateway = document.gateway.unwrap_or_default();
    let doors = Doors::open(&gateway, &origin.folder()).await.map_err(open_failure)?;
    let mut builder = Gateway::builder().doors(doors.admin.into_iter().chain(doors.status));
    if let Some(log) = log {
        builder = builder.log(log);
    }
    builder = match origin {
        Origin::File(path) => builder.document_file(path),
        Origin::Text(text) => builder.document_text(text),
    };
    let running = builder.start().await.map_err(start_failure)?;
    let admin = doors.serve(&running.handle());
    Ok(Serving { running, admin })
}

impl Serving {
    /// To ask it, and to tell it.
    pub(super) fn handle(&self) -> Handle {
        self.running.handle()
    }

    /// Drains, as the document says, and stops every process that was started for it.
    pub(super) async fn stop(self) {
        let shutdown = self.handle().plan().gateway.shutdown.clone();
        self.running.drain_and_stop(shutdown.delay, shutdown.drain_timeout).await;
        drop(self.admin);
    }
}

fn open_failure(error: OpenError) -> Failure {
    if error.is_input() { Failure::Input(error.to_string()) } else { Failure::Environment(error.into()) }
}

fn start_failure(error: StartError) -> Failure {
    if error.is_input() { Failure::Input(error.to_string()) } else { Failure::Environment(error.into()) }
}
