//! A running gateway gives its place to another process of the same program: sockets, documents, what is known of targets.
//!
//! The old process starts the new one with one end of a socket pair as its standard input, and they speak in this order:
//!
//! ```text
//! old                                  new
//!  |  <------------------------------  hello: it runs, and speaks this
//!  |  offer, then sockets ---------->  binds nothing that it was given; serves nobody yet
//!  |  <------------------------------  ready: it could serve (`/readyz` is true), or failed: why not
//!  |  take, with states of targets ->  accepts
//!  |  <------------------------------  serving
//!  |  accepts no more; yours ------->  tells the service manager that it is ready
//!  drains, and goes on if the new
//!  process dies
//!  | (<-----------------------------  left: has been replaced itself)
//! ```
//!
//! Up to `take`, whatever goes wrong ends the new process and leaves the old one as it was. Everything is JSON whose fields
//! may be missing and may be more than the reader knows, so that other versions can be started and be gone back to.

mod error;
mod message;
mod new;
mod old;
mod place;
mod wire;

pub(crate) use error::HandoverError;
pub(crate) use message::{Handed, HandedDocument, HandedDoor, HandedListener, HandedTarget};
pub(crate) use new::Predecessor;
pub(crate) use old::{Program, Successor};
pub(crate) use place::Place;
