//! Sources of truth about replicas: one folder a runtime. Each sends its whole view, again and again.

pub mod docker;
pub mod process;
mod status;

pub use status::ProviderStatus;

use futures_util::stream::BoxStream;
use plimsoll_core::model::Facts;

/// Its stream ends only with the provider. Trouble is not an error but a state of the facts.
pub trait Provider: Send {
    /// Starts watching. Every item is the whole view.
    fn watch(self: Box<Self>) -> BoxStream<'static, Facts>;
}
