//! Connections of the admin API: few, and none of them for long.

use super::access::{Door, Rules};
use super::answer::Answer;
use super::limits::{Kind, Limits};
use super::seats::{Seat, Seats};
use crate::control::Handle;
use arc_swap::ArcSwap;
use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio_util::sync::CancellationToken;

/// People, a scraper or two, health checks. When more come, those that have been silent for longest are closed.
const CONNECTIONS: usize = 128;
/// A client that sends no request for so long, or not all of its head, is let go.
const IDLE: Duration = Duration::from_secs(30);
/// A whole connection: an answer that nobody reads must not hold its place for ever.
const LIFE: Duration = Duration::from_secs(300);
/// After an accept that failed, for want of descriptors most likely.
const PAUSE: Duration = Duration::from_millis(100);

/// Where a door is.
pub(super) enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Socket {
    /// Another descriptor of it.
    pub(super) fn double(&self) -> io::Result<OwnedFd> {
        match self {
            Self::Tcp(listener) => listener.as_fd().try_clone_to_owned(),
            Self::Unix(listener) => listener.as_fd().try_clone_to_owned(),
        }
    }

    /// The same, to accept from.
    pub(super) fn another(&self) -> io::Result<Self> {
        Ok(match self {
            Self::Tcp(_) => Self::Tcp(TcpListener::from_std(self.double()?.into())?),
            Self::Unix(_) => Self::Unix(UnixListener::from_std(self.double()?.into())?),
        })
    }
}

/// Answers on a socket until it is dropped; on a connection, until that is `over`: then an answer that is under way is its
/// last.
pub(super) async fn serve(socket: Socket, rules: Arc<ArcSwap<Rules>>, gateway: Handle, over: CancellationToken) {
    let read_only = matches!(rules.load().door, Door::Status);
    let limits = Arc::new(Limits::new());
    let router = super::routes::router(&gateway, read_only).layer(from_fn(move |request, next| {
        let (rules, limits) = (rules.load_full(), Arc::clone(&limits));
        async move { checked(&rules, &limits, request, next).await }
    }));
    let seats = Seats::new(CONNECTIONS);
    loop {
        seats.room().await;
        let accepted = match &socket {
            Socket::Tcp(listener) => {
                listener.accept().await.map(|(stream, _)| spawn(stream, &router, seats.take(), &over))
            }
            Socket::Unix(listener) => {
                listener.accept().await.map(|(stream, _)| spawn(stream, &router, seats.take(), &over))
            }
        };
        if let Err(error) = accepted {
            tell(&error);
            tokio::time::sleep(PAUSE).await;
        }
    }
}

fn tell(error: &io::Error) {
    tracing::warn!(%error, "the admin API cannot accept a connection");
}

fn spawn(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    router: &Router,
    seat: Seat,
    over: &CancellationToken,
) {
    let (router, over) = (TowerToHyperService::new(router.clone()), over.clone());
    tokio::spawn(async move {
        let service = service_fn(|request: hyper::Request<Incoming>| {
            let answering = seat.answering();
            let answer = router.call(request);
            async move {
                let answer = answer.await;
                drop(answering);
                answer
            }
        });
        let mut server = http1::Builder::new();
        let connection = server.timer(TokioTimer::new()).header_read_timeout(IDLE);
        let connection = connection.serve_connection(TokioIo::new(stream), service);
        let whole = async {
            let mut connection = std::pin::pin!(connection);
            tokio::select! {
                ended = &mut connection => return ended,
                () = over.cancelled() => connection.as_mut().graceful_shutdown(),
            }
            connection.await
        };
        tokio::select! {
            // What goes wrong on a connection is its client's affair.
            _ = tokio::time::timeout(LIFE, whole) => {}
            () = seat.wanted() => {}
        }
    });
}

async fn checked(rules: &Rules, limits: &Limits, mut request: Request, next: Next) -> Answer {
    let kind = Kind::of(request.method(), request.uri().path());
    let trusted = rules
        .check(request.method(), request.uri().path(), request.headers())
        .and_then(|trusted| kind.check(request.headers()).map(|()| trusted));
    match trusted {
        Err(answer) => *answer,
        Ok(trusted) => {
            request.extensions_mut().insert(trusted);
            if request.method().is_safe() {
                // Nobody asks with a body, and one that never ends would hold a place.
                *request.body_mut() = Body::empty();
            }
            limits.within(kind, next.run(request)).await
        }
    }
}
