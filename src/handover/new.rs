//! The process that takes over.

use super::error::HandoverError;
use super::message::{FORMAT, FromNew, FromOld, Handed, HandedTarget, Offer};
use super::old::ENDS;
use super::wire::Wire;
use rustix::process::getppid;
use rustix::stdio::dup2_stdin;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

/// Names the process that hands over, to whom it has started: who inherits the variable beyond that is not meant.
pub(super) const VARIABLE: &str = "PLIMSOLL_HANDOVER";
/// Until the offer comes.
const OFFER: Duration = Duration::from_secs(30);
/// Until the old process answers.
const ANSWER: Duration = Duration::from_secs(30);

/// The process that served up to now.
pub(crate) struct Predecessor {
    wire: Arc<Wire>,
    pid: i32,
}

impl Predecessor {
    /// The one that started this process to take over, if one did.
    ///
    /// # Errors
    /// It cannot be spoken with.
    pub(crate) fn find() -> Result<Option<Self>, HandoverError> {
        let Some(pid) = std::env::var(VARIABLE).ok().and_then(|pid| pid.parse::<i32>().ok()) else { return Ok(None) };
        if getppid().map(|parent| parent.as_raw_nonzero().get()) != Some(pid) {
            return Ok(None);
        }
        let wire = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
        // Whom this process starts must not hold the wire.
        dup2_stdin(File::open("/dev/null")?).map_err(io::Error::from)?;
        Ok(Some(Self { wire: Arc::new(Wire::new(wire)), pid }))
    }

    /// What it hands over.
    pub(crate) async fn receive(&self) -> Result<Handed, HandoverError> {
        let version = env!("CARGO_PKG_VERSION").to_owned();
        let (offer, sockets) = self
            .with(move |wire| {
                wire.send(&FromNew::Hello { version })?;
                let offer: Offer = wire.receive(OFFER)?;
                let sockets = wire.receive_sockets(offer.sockets())?;
                Ok((offer, sockets))
            })
            .await?;
        if offer.format != FORMAT {
            return Err(HandoverError::Format(offer.format));
        }
        Ok(offer.with(sockets))
    }

    /// This process could serve: waits until it is to, and gives what is known of targets at that moment.
    pub(crate) async fn ready(&self) -> Result<Vec<HandedTarget>, HandoverError> {
        let said = self
            .with(|wire| {
                wire.send(&FromNew::Ready)?;
                wire.receive(ANSWER)
            })
            .await;
        match said {
            Ok(FromOld::Take { targets }) => Ok(targets),
            Ok(said) => Err(io::Error::new(io::ErrorKind::InvalidData, format!("it said {said:?}")).into()),
            // It died. Somebody should serve.
            Err(error) => {
                if self.goes().await {
                    Ok(Vec::new())
                } else {
                    Err(error)
                }
            }
        }
    }

    /// This process accepts connections: waits until the old one does so no more, and tells whether that is so.
    pub(crate) async fn serving(&self) -> bool {
        let heard = self.with(|wire| {
            wire.send(&FromNew::Serving)?;
            wire.receive::<FromOld>(ANSWER)
        });
        let Err(error) = heard.await else { return true };
        tracing::warn!(%error, "the old process said no last word: it may have died");
        self.goes().await
    }

    /// Another process has taken over from this one.
    pub(crate) async fn left(&self) {
        if let Err(error) = self.with(|wire| wire.send(&FromNew::Left)).await {
            tracing::debug!(%error, "the old process is gone");
        }
    }

    /// This process cannot serve.
    pub(crate) async fn failed(&self, reason: String) {
        if let Err(error) = self.with(|wire| wire.send(&FromNew::Failed { reason })).await {
            tracing::debug!(%error, "the old process does not hear why");
        }
    }

    /// Whether the old process is gone, or about to be: its end of the wire is closed before its children get another parent.
    async fn goes(&self) -> bool {
        for _ in 0..ENDS.as_millis() / 10 {
            if getppid().map(|parent| parent.as_raw_nonzero().get()) != Some(self.pid) {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        false
    }

    async fn with<T: Send + 'static>(
        &self,
        speak: impl FnOnce(&Wire) -> io::Result<T> + Send + 'static,
    ) -> Result<T, HandoverError> {
        let wire = Arc::clone(&self.wire);
        let spoken = tokio::task::spawn_blocking(move || speak(&wire)).await;
        Ok(spoken.unwrap_or_else(|_| Err(io::Error::other("it could not be spoken with")))?)
    }
}
