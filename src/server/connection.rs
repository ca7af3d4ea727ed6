//! A connection's life on a worker: who it is, handshake, protocol, end.

use super::announced::{self, NoHeader};
use super::mailbox::Post;
use crate::connect::Stream;
use crate::proxy::client::Client;
use crate::proxy::refusal::Refusal;
use crate::proxy::slots::Slot;
use crate::proxy::worker::Worker;
use crate::proxy::{http1, http2};
use crate::snapshot::Listener;
use crate::telemetry::SeriesId;
use plimsoll_core::limits::ClientKey;
use plimsoll_core::protocol::Announced;
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

/// A connection that was accepted, on whichever worker.
pub(super) struct Accepted {
    pub(super) listener: Arc<Listener>,
    pub(super) stream: TcpStream,
    pub(super) peer: SocketAddr,
    /// Of ours. The listener's: asking the kernel would cost a system call for every connection.
    pub(super) port: u16,
}

/// Counts a connection from here to its end.
struct Counted {
    worker: Rc<Worker>,
    posts: Arc<[Post]>,
    series: SeriesId,
    /// Set where connections of one client are limited.
    client: Option<ClientKey>,
}

impl Counted {
    fn new(worker: &Rc<Worker>, posts: &Arc<[Post]>, series: SeriesId) -> Self {
        worker.shared.connections.fetch_add(1, Ordering::Relaxed);
        worker.telemetry.connection_opened(series);
        let counted = Self { worker: Rc::clone(worker), posts: Arc::clone(posts), series, client: None };
        if let Some(post) = counted.post() {
            post.opened();
        }
        counted
    }

    /// Counts it as this client's, too; false: the client has as many connections as it may have.
    fn is_of(&mut self, client: ClientKey, limit: u32) -> bool {
        let may = self.worker.shared.client_came(client, limit);
        if may {
            self.client = Some(client);
        }
        may
    }

    fn post(&self) -> Option<&Post> {
        self.posts.get(usize::from(self.worker.index))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.worker.shared.connections.fetch_sub(1, Ordering::Relaxed);
        self.worker.telemetry.connection_closed(self.series);
        if let Some(client) = self.client {
            self.worker.shared.client_left(client);
        }
        if let Some(post) = self.post() {
            post.closed();
        }
    }
}

/// Serves the connection in a task of its own.
pub(super) fn serve(worker: &Rc<Worker>, posts: &Arc<[Post]>, accepted: Accepted) {
    let counted = Counted::new(worker, posts, accepted.listener.series.id());
    if !accepted.listener.proxy_protocol {
        return serve_client(worker, accepted, counted, true);
    }
    let from = accepted.peer.ip().to_canonical();
    if !worker.snapshot().settings.trusts(from) {
        return worker.refuse(&accepted.listener, from, Refusal::ProxyUntrusted);
    }
    let worker = Rc::clone(worker);
    drop(tokio::task::spawn_local(async move { serve_announced(&worker, accepted, counted).await }));
}

/// Serves a connection that begins with who its client is.
async fn serve_announced(worker: &Rc<Worker>, mut accepted: Accepted, counted: Counted) {
    match announced::read(worker, &accepted.stream).await {
        Ok(Announced::Client { source, destination }) => {
            (accepted.peer, accepted.port) = (source, destination.port());
            serve_client(worker, accepted, counted, true);
        }
        // The proxy itself, or somebody of whom it has nothing to say: what that one says of itself is not the proxy's word.
        Ok(Announced::Nobody) => serve_client(worker, accepted, counted, false),
        Err(NoHeader::Refused(refusal)) => worker.refuse(&accepted.listener, accepted.peer.ip(), refusal),
        Err(NoHeader::Gone) => {}
    }
}

/// Serves the connection of a client that is known, in a task of its own. `believed`: what a trusted proxy at its other end
/// says of those behind it.
fn serve_client(worker: &Rc<Worker>, accepted: Accepted, mut counted: Counted, believed: bool) {
    let snapshot = worker.snapshot();
    let Accepted { listener, stream, peer, port } = accepted;
    let from = peer.ip().to_canonical();
    let trusted = snapshot.settings.trusts(from);
    // A trusted proxy's connections are many clients'.
    if let (Some(limit), false) = (snapshot.settings.limits.connections_per_client, trusted)
        && !counted.is_of(from.into(), limit)
    {
        return worker.refuse(&listener, from, Refusal::PerClient);
    }
    let client = Client::new(peer, port, listener, trusted && believed);
    let worker = Rc::clone(worker);
    if client.tls {
        drop(tokio::task::spawn_local(Box::pin(serve_tls(worker, stream, client, counted))));
    } else {
        drop(tokio::task::spawn_local(serve_stream(worker, Stream::Plain(stream), Rc::new(client), false, counted)));
    }
}

async fn serve_tls(worker: Rc<Worker>, stream: TcpStream, mut client: Client, counted: Counted) {
    let slot = worker.slots.open();
    let within = worker.snapshot().settings.timeouts.tls_handshake;
    let Some(stream) = handshake(&client.listener, stream, &slot, within).await else { return };
    drop(slot);
    let (is_http2, sni) = match &stream {
        Stream::TlsServer(tls) => {
            let session = tls.get_ref().1;
            (session.alpn_protocol() == Some(b"h2"), session.server_name().map(Into::into))
        }
        _ => (false, None),
    };
    client.sni = sni;
    drop(tokio::task::spawn_local(serve_stream(worker, stream, Rc::new(client), is_http2, counted)));
}

async fn handshake(listener: &Listener, stream: TcpStream, slot: &Slot, within: Duration) -> Option<Stream> {
    let config = Arc::clone(&listener.tls.as_ref()?.config);
    let mut accepting = pin!(TlsAcceptor::from(config).accept(stream));
    slot.arm(within);
    poll_fn(|cx| match accepting.as_mut().poll(cx) {
        Poll::Ready(Ok(stream)) => Poll::Ready(Some(Stream::TlsServer(Box::new(stream)))),
        Poll::Ready(Err(error)) => {
            tracing::debug!(listener = %listener.name, %error, "a tls handshake failed");
            Poll::Ready(None)
        }
        Poll::Pending => slot.poll(cx).map(|_| None),
    })
    .await
}

#[expect(
    clippy::manual_async_fn,
    reason = "an async fn holds its arguments twice, and this is what an idle client costs"
)]
fn serve_stream(
    worker: Rc<Worker>,
    mut stream: Stream,
    client: Rc<Client>,
    is_http2: bool,
    counted: Counted,
) -> impl Future<Output = ()> {
    async move {
        let first = if is_http2 { Some(Vec::new()) } else { http1::serve(&worker, &mut stream, &client).await };
        if let Some(first) = first {
            Box::pin(http2::serve(&worker, stream, &client, first)).await;
        }
        drop(counted);
    }
}
