//! The control plane: what is said (documents, facts of providers, names, health) becomes what is served.
//!
//! One task, the reconciler, takes everything in, in the order in which it comes; builds run on a thread of their own, one
//! at a time. A change is applied whole or not at all: a document with a mistake changes nothing. Marks that must not wait
//! (a replica was told to stop, was paused, died) are set on the targets before anything is built.
//!
//! [`Gateway`] is the door for embedding programs, and `main` is its first user. It runs on the caller's tokio runtime;
//! workers have threads of their own. Not here: signals of the process and the admin API, which use a [`Handle`].

mod error;
mod gateway;
mod handle;
mod handover;
mod view;

mod build;
mod compile_thread;
mod names;
mod source;

mod reconciler;

mod publish;

mod causes;
mod pools;
mod registry;
mod retired;

mod limits;
mod listeners;
mod memory;
mod settings;

mod show;
mod sources;
mod watch;

pub use error::{ApplyError, StartError};
pub use gateway::{Builder, Gateway, Running};
pub use handle::{Applied, Handle};
pub(crate) use handover::{Frozen, Inherited};
pub(crate) use listeners::{listeners_of, wanted as default_listeners};
pub use source::Source;
pub use view::{ProviderView, TargetView, UpstreamView, View};

#[cfg(test)]
mod tests;
