//! The gateway as commands start it: the library's, and the admin API.

use super::source::{folder_of, is_terminal, load, read_text};
use super::{Failure, managed};
use crate::admin::{Doors, OpenError, Served};
use crate::control::{ApplyError, Gateway, Handle, Inherited, Running, StartError};
use crate::handover::{Handed, HandedDoor};
use crate::manager::Assigned;
use crate::server::Drain;
use crate::telemetry::log::LogHandle;
use plimsoll_core::config::{self, Document, Read};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

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

    /// The document that is started with: the one that was handed over, else the one that is there.
    pub(super) fn document(&self, handed: Option<&Handed>) -> Result<First, Failure> {
        if let Some(handed) = handed {
            let name: Arc<str> = match self {
                Self::File(path) => path.display().to_string().into(),
                Self::Text(_) => "document".into(),
            };
            let document = Inherited::document(&handed.documents, &name, &self.folder())
                .map_err(|error| Failure::Input(told(&error)))?;
            return Ok(First { text: None, read: Arc::new(Read { document, warnings: Vec::new() }) });
        }
        let (text, read) = match self {
            Self::File(path) => {
                let (text, read) = load(path)?.into_parts();
                if !path.is_file() {
                    // What can be read but once would be found empty later.
                    return Err(Failure::Input(format!(
                        "{}: no regular file, and could not be followed",
                        path.display()
                    )));
                }
                (text.into(), read)
            }
            Self::Text(text) => (Arc::clone(text), read_text("document", text, &self.folder(), config::Source::File)),
        };
        let read = read.map_err(|problems| Failure::Input(told(&ApplyError::Document(problems))))?;
        Ok(First { text: Some(text), read: Arc::new(read) })
    }
}

/// The document that a gateway is started with.
pub(super) struct First {
    /// What it was read from, where that is its origin.
    text: Option<Arc<str>>,
    read: Arc<Read>,
}

impl First {
    pub(super) fn document(&self) -> &Document {
        &self.read.document
    }
}

/// A gateway that serves.
pub(super) struct Serving {
    running: Running,
    doors: Answering,
}

/// The admin API, which answers to the end.
enum Answering {
    /// Not yet: another process does.
    NotYet(Doors),
    Now(Served),
    Ended,
}

/// Starts it; returns when the document is served. Where another process hands over, nobody is served before
/// [`Serving::open_doors`] and [`Handle::accept`].
///
/// `first` is what [`Origin::document`] says.
pub(super) async fn start(
    origin: Origin,
    first: First,
    log: Option<LogHandle>,
    handed: Option<Handed>,
) -> Result<Serving, Failure> {
    let document = first.document();
    let is_handed = handed.is_some();
    let mut handed = handed.unwrap_or_default();
    let given = if is_handed { Assigned::default() } else { managed::sockets(document, &origin.folder())? };
    let doors = given.doors.into_iter();
    handed.doors.extend(doors.map(|(address, socket)| HandedDoor { address, given: true, socket }));
    // Before anything is started: an address that is taken is said at once.
    let none = config::Gateway::default();
    let gateway = document.gateway.as_ref().unwrap_or(&none);
    let doors = Doors::open_or_take(gateway, &origin.folder(), &mut handed).await.map_err(open_failure)?;
    let mut builder = Gateway::builder().doors(doors.admin.into_iter().chain(doors.status));
    if let Some(log) = log {
        builder = builder.log(log);
    }
    builder = match origin {
        Origin::File(path) => builder.document_file(path),
        Origin::Text(text) => builder.document_text(text),
    };
    if let Some(text) = first.text {
        builder = builder.already_read(text, first.read);
    }
    builder = builder.listener_sockets(given.listeners);
    if is_handed {
        builder = builder.handed(handed);
    }
    let running = builder.start().await.map_err(start_failure)?;
    let mut serving = Serving { running, doors: Answering::NotYet(doors) };
    if !is_handed {
        serving.open_doors();
    }
    Ok(serving)
}

impl Serving {
    /// To ask it, and to tell it.
    pub(super) fn handle(&self) -> Handle {
        self.running.handle()
    }

    /// Answers at the doors from now on.
    pub(super) fn open_doors(&mut self) {
        self.doors = match std::mem::replace(&mut self.doors, Answering::Ended) {
            Answering::NotYet(doors) => Answering::Now(doors.serve(&self.running.handle())),
            other => other,
        };
    }

    /// Whether a door's file ends with this process.
    pub(super) fn keeps_doors(&self) -> Arc<AtomicBool> {
        match &self.doors {
            Answering::Now(served) => served.keeps(),
            Answering::NotYet(_) | Answering::Ended => Arc::default(),
        }
    }

    /// The doors' sockets, to be handed over.
    pub(super) fn doors(&self) -> io::Result<Vec<HandedDoor>> {
        match &self.doors {
            Answering::Now(served) => served.hand_over(),
            Answering::NotYet(_) | Answering::Ended => Ok(Vec::new()),
        }
    }

    /// Drains, as the document says, and stops every process that was started for it.
    pub(super) async fn stop(self) {
        let shutdown = self.handle().plan().gateway.shutdown.clone();
        self.running.drain_and_stop(shutdown.delay, shutdown.drain_timeout).await;
        drop(self.doors);
    }

    /// Drains, where another process serves already, for so long at least. Where what comes back is dropped, the drain goes on,
    /// and [`Self::take_back`] may end it.
    pub(super) async fn give_way(&mut self, stay: Duration) {
        if let Answering::Now(served) = &mut self.doors {
            served.release();
        }
        let within = self.running.handle().plan().gateway.shutdown.drain_timeout;
        self.running.give_way(Drain { within, stay }).await;
    }

    /// That process is gone: serves again. `false`: it is too late for that.
    pub(super) fn take_back(&mut self) -> bool {
        if let Answering::Now(served) = &mut self.doors {
            served.take_back();
        }
        self.running.take_back()
    }

    /// Stops every process that was started for it; it has drained.
    pub(super) async fn end(self) {
        self.running.end().await;
        drop(self.doors);
    }
}

fn open_failure(error: OpenError) -> Failure {
    if error.is_input() { Failure::Input(error.to_string()) } else { Failure::Environment(error.into()) }
}

/// A person sees the document's lines. A container's log is read by many, and has each mistake in a line of its own.
fn told(error: &ApplyError) -> String {
    if is_terminal() { error.to_string() } else { error.lines().join("\n") }
}

fn start_failure(error: StartError) -> Failure {
    match error {
        StartError::Apply(error) if error.is_input() => Failure::Input(told(&error)),
        error => Failure::Environment(error.into()),
    }
}
