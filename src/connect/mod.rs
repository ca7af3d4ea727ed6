//! Connections to targets: making them, keeping them while they are idle, and giving them out again.
//!
//! Every worker keeps its own idle connections; nothing here is shared between threads. They hang on the target and on
//! the way it was connected to ([`ConnectProfile`](crate::snapshot::ConnectProfile) and the name asked for), never on an
//! address.

mod counted;
mod http2;
mod idle;
mod stream;
mod tcp_info;

pub use counted::{Counted, descriptors_to_targets};
pub use http2::{Http2Connections, Http2Place, STREAM_WINDOW, handshake, poll_room};
pub use idle::{IdlePool, TargetConnection};
pub use stream::Stream;
pub use tcp_info::bytes_acknowledged;

use plimsoll_core::upstream::{IdleLimit, Target};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use std::io;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Connects to a target, over TLS if `tls` is given. The caller bounds the time. What the connection's idleness teaches goes
/// to `learnt`.
///
/// # Errors
/// What the kernel or the handshake says.
pub async fn connect(
    target: &Target,
    tls: Option<&Arc<ClientConfig>>,
    server_name: &str,
    learnt: &Arc<IdleLimit>,
) -> io::Result<Box<TargetConnection>> {
    let tcp = TcpStream::connect(target.address).await?;
    tcp.set_nodelay(true)?;
    let stream = match tls {
        None => Stream::Plain(tcp),
        Some(config) => {
            let name = server_name_for(server_name, target)?;
            Stream::TlsClient(Box::new(TlsConnector::from(Arc::clone(config)).connect(name, tcp).await?))
        }
    };
    Ok(TargetConnection::new(stream, Arc::clone(learnt)))
}

/// The name that is asked for and verified: the Host of the attempt without its port, else the target's address.
fn server_name_for(host: &str, target: &Target) -> io::Result<ServerName<'static>> {
    if host.is_empty() {
        return Ok(ServerName::IpAddress(target.address.ip().into()));
    }
    ServerName::try_from(host.to_owned()).map_err(|error| {
        io::Error::new(io::ErrorKind::InvalidInput, format!("{host:?} is no TLS server name: {error}"))
    })
}
