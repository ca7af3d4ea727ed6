//! Names that documents use, kept resolved.

use crate::dns::{self, Resolve};
use futures_util::StreamExt;
use plimsoll_core::plan::Names;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// How long a document waits, before it is served, for names that have not been asked for yet. Those that take longer
/// answer 503 until they are known.
const PATIENCE: Duration = Duration::from_secs(2);

/// A host and a port.
type Name = (Arc<str>, u16);

/// The names that are wanted, and what they resolve to.
#[derive(Clone)]
pub(super) struct Resolved {
    wanted: watch::Sender<Vec<Name>>,
    names: watch::Receiver<Arc<Names>>,
}

impl Resolved {
    /// Begins to resolve, on the current runtime, until the last of its handles is gone.
    pub(super) fn start(resolver: Arc<dyn Resolve>) -> Self {
        let (wanted, follow) = watch::channel(Vec::new());
        let (publish, names) = watch::channel(Arc::default());
        drop(tokio::spawn(async move {
            let mut answers = std::pin::pin!(dns::watch(resolver, follow));
            while let Some(names) = answers.next().await {
                if publish.send(Arc::new(names)).is_err() {
                    return;
                }
            }
        }));
        Self { wanted, names }
    }

    /// Wants these too, and waits a little for those that are new.
    pub(super) async fn also(&mut self, names: &[Name]) -> Arc<Names> {
        self.wanted.send_if_modified(|wanted| {
            let all: BTreeSet<Name> = wanted.iter().chain(names).cloned().collect();
            let more = all.len() > wanted.len();
            *wanted = all.into_iter().collect();
            more
        });
        let known = |resolved: &Arc<Names>| names.iter().all(|(host, port)| resolved.resolved(host, *port).is_some());
        // Those that take longer are served as they are.
        drop(tokio::time::timeout(PATIENCE, self.names.wait_for(known)).await);
        Arc::clone(&self.names.borrow())
    }

    /// Wants these alone.
    pub(super) fn only(&self, names: Vec<Name>) {
        self.wanted.send_if_modified(|wanted| {
            let differs = *wanted != names;
            *wanted = names;
            differs
        });
    }

    /// Ends when an answer has changed.
    pub(super) async fn changed(&mut self) {
        if self.names.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
