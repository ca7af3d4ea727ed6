//! Targets: servers on port 0 for the gateway to reach. Well-behaved ones come from hyper or from the sample; those that
//! must misbehave on the wire are raw sockets with a [`Behaviour`], or a closure over the connection.

mod behaviour;
mod raw;

pub use behaviour::Behaviour;
pub use raw::{Incoming, Received};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming as Body;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use parking_lot::Mutex;
use plimsoll_sample::Options;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// A server that runs until it is dropped.
pub struct Target {
    /// Where it listens.
    pub address: SocketAddr,
    shared: Arc<Shared>,
    /// Dropped: a sample is told to stop.
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Shared {
    connections: AtomicUsize,
    received: Mutex<Vec<Received>>,
}

impl Drop for Target {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Target {
    /// The sample server, which says who answered and what arrived.
    pub async fn sample(service: &str, replica: &str) -> Self {
        let linger = Duration::from_millis(500);
        let options = Options { service: service.to_owned(), replica: replica.to_owned(), linger, record: None };
        Self::start(move |listener, _, stop| async move {
            plimsoll_sample::serve(listener, options, stop).await.expect("the sample serves");
        })
        .await
    }

    /// Answers every request 200 with this body, over HTTP/1.1 by hyper.
    pub async fn answering(body: &'static str) -> Self {
        Self::http1(move |_| async move { Response::new(Full::new(Bytes::from_static(body.as_bytes()))) }).await
    }

    /// A hyper HTTP/1.1 server.
    pub async fn http1<F, A>(answer: F) -> Self
    where
        F: Fn(Request<Body>) -> A + Clone + Send + Sync + 'static,
        A: Future<Output = Response<Full<Bytes>>> + Send,
    {
        Self::each_connection(move |stream, _| {
            let answer = answer.clone();
            async move {
                let service = service_fn(move |request| {
                    let answer = answer.clone();
                    async move { Ok::<_, Infallible>(answer(request).await) }
                });
                let connection =
                    hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
                // A client that leaves is not the server's fault.
                drop(connection.with_upgrades().await);
            }
        })
        .await
    }

    /// A hyper HTTP/2 server, by prior knowledge, or over TLS where there are settings.
    pub async fn http2<F, A>(tls: Option<Arc<rustls::ServerConfig>>, answer: F) -> Self
    where
        F: Fn(Request<Body>) -> A + Clone + Send + Sync + 'static,
        A: Future<Output = Response<Full<Bytes>>> + Send + 'static,
    {
        let tls = tls.map(TlsAcceptor::from);
        Self::each_connection(move |stream, _| {
            let (answer, tls) = (answer.clone(), tls.clone());
            async move {
                let service = service_fn(move |request| {
                    let answer = answer.clone();
                    async move { Ok::<_, Infallible>(answer(request).await) }
                });
                let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                match tls {
                    None => drop(server.serve_connection(TokioIo::new(stream), service).await),
                    Some(tls) => {
                        if let Ok(stream) = tls.accept(stream).await {
                            drop(server.serve_connection(TokioIo::new(stream), service).await);
                        }
                    }
                }
            }
        })
        .await
    }

    /// A raw server: `talk` has each connection to itself.
    pub async fn raw<F, T>(talk: F) -> Self
    where
        F: Fn(Incoming) -> T + Clone + Send + Sync + 'static,
        T: Future<Output = std::io::Result<()>> + Send,
    {
        Self::each_connection(move |stream, (shared, number)| {
            let talk = talk.clone();
            // The other side may break the connection at any time; that is often the point.
            async move { drop(talk(Incoming::new(stream, number, shared)).await) }
        })
        .await
    }

    /// A raw server that misbehaves in one way.
    pub async fn misbehaving(behaviour: Behaviour) -> Self {
        Self::raw(move |incoming| behaviour.clone().act(incoming)).await
    }

    /// An address on which nothing listens: connects are refused.
    pub async fn nowhere() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap()
    }

    /// Connections accepted so far.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::Relaxed)
    }

    /// Requests that a raw server has read so far.
    #[must_use]
    pub fn received(&self) -> Vec<Received> {
        self.shared.received.lock().clone()
    }

    /// Tells a sample to stop, as TERM does in a container.
    pub fn stop(&self) {
        self.stop.send_replace(true);
    }

    async fn each_connection<F, T>(serve: F) -> Self
    where
        F: Fn(TcpStream, (Arc<Shared>, usize)) -> T + Send + Sync + 'static,
        T: Future<Output = ()> + Send,
        F: Clone,
    {
        Self::start(move |listener, shared, _| async move {
            let mut tasks = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                stream.set_nodelay(true).unwrap();
                let number = shared.connections.fetch_add(1, Ordering::Relaxed);
                let (serve, shared) = (serve.clone(), Arc::clone(&shared));
                tasks.spawn(async move { serve(stream, (shared, number)).await });
            }
        })
        .await
    }

    async fn start<F, T>(run: F) -> Self
    where
        F: FnOnce(TcpListener, Arc<Shared>, watch::Receiver<bool>) -> T,
        T: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port on loopback");
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared::default());
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(run(listener, Arc::clone(&shared), stopped));
        Self { address, shared, stop, task }
    }
}
