//! Where the cases are run, a listener, and the requests that they make there.

use crate::http2::frames::{
    ACK, CONTINUATION, Client, END_HEADERS, END_STREAM, Field, HEADERS, INITIAL_WINDOW, PATIENCE, PING, PREFACE,
    SETTINGS, block, frame, setting,
};
use plimsoll_test_support::tls;
use rustls::ClientConfig;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// The server's name.
pub(super) const HOST: &str = "h2spec.test";
/// 64 KiB - 1: what h2spec says its windows are, which is what they are anyhow.
const WINDOW: u32 = (64 << 10) - 1;
/// 4000: octets in a field that is there to be long; h2spec's `--max-header-length`.
const LONG: [u8; 4000] = [b'x'; 4000];

/// What most PINGs say.
pub(super) const ZEROS: &[u8; 8] = &[0; 8];
/// What the others say.
pub(super) const NAME: &[u8; 8] = b"h2spec\0\0";
/// A priority: after no other stream, with a weight of 256.
pub(super) const HEAVY: [u8; 5] = [0, 0, 0, 0, 255];

/// A listener, and what it says of itself.
#[derive(Clone)]
pub(super) struct Site {
    address: SocketAddr,
    pub(super) tls: Option<Arc<ClientConfig>>,
    announced: Vec<(u16, u32)>,
}

impl Site {
    /// Without a listener: to list the cases.
    pub(super) fn nowhere() -> Self {
        Self { address: SocketAddr::from(([127, 0, 0, 1], 0)), tls: None, announced: Vec::new() }
    }

    /// Connects once, to learn its SETTINGS.
    pub(super) async fn find(address: SocketAddr, tls: Option<Arc<ClientConfig>>) -> Self {
        let mut site = Self { address, tls, announced: Vec::new() };
        let (_client, announced) = site.greeted().await.expect("it speaks HTTP/2");
        site.announced = announced;
        site
    }

    /// Connects, and says nothing yet.
    pub(super) async fn silent(&self) -> Result<Client, String> {
        let Some(config) = &self.tls else {
            let stream = TcpStream::connect(self.address).await.map_err(|error| error.to_string())?;
            stream.set_nodelay(true).map_err(|error| error.to_string())?;
            return Ok(Client::over(stream));
        };
        let stream = tls::connect(self.address, HOST, Arc::clone(config)).await.map_err(|error| error.to_string())?;
        match stream.get_ref().1.alpn_protocol() {
            Some(b"h2") => Ok(Client::over(stream)),
            other => Err(format!("h2 was not agreed upon, but {other:?}")),
        }
    }

    /// Connects and exchanges SETTINGS; gives its own.
    pub(super) async fn greeted(&self) -> Result<(Client, Vec<(u16, u32)>), String> {
        let mut client = self.silent().await?;
        client.send(&greeting()).await;
        let (mut acknowledged, mut announced) = (false, None);
        while !acknowledged || announced.is_none() {
            let came = timeout(PATIENCE, client.read.event()).await.map_err(|_| "no SETTINGS came")?;
            let Some(came) = came.map_err(|error| error.to_string())? else {
                return Err("it ended before its SETTINGS".to_owned());
            };
            match (came.kind, came.flags & ACK) {
                (SETTINGS, ACK) => acknowledged = true,
                (SETTINGS, _) => {
                    let value = |pair: &[u8]| {
                        let (id, value) = pair.split_first_chunk()?;
                        Some((u16::from_be_bytes(*id), u32::from_be_bytes(*value.first_chunk()?)))
                    };
                    announced = Some(came.payload.chunks(6).filter_map(value).collect());
                    client.send(&frame(SETTINGS, ACK, 0, b"")).await;
                }
                _ => {}
            }
        }
        Ok((client, announced.unwrap_or_default()))
    }

    /// A setting of its own.
    pub(super) fn announces(&self, id: u16) -> Option<u32> {
        self.announced.iter().rev().find(|setting| setting.0 == id).map(|setting| setting.1)
    }

    /// A request's fields. The answer's body is the path, and must have five octets for §6.9.2.
    pub(super) fn fields(&self, method: &'static [u8]) -> Vec<Field> {
        let scheme: &[u8] = if self.tls.is_some() { b"https" } else { b"http" };
        vec![(":method", method), (":scheme", scheme), (":path", b"/h2spec"), (":authority", HOST.as_bytes())]
    }

    /// The field block of a GET.
    pub(super) fn block(&self) -> Vec<u8> {
        block(&self.fields(b"GET"))
    }

    /// A whole GET.
    pub(super) fn get(&self, stream: u32) -> Vec<u8> {
        headers(END_HEADERS | END_STREAM, stream, &self.block())
    }

    /// A whole GET of stream 1, with these fields too.
    pub(super) fn get_with(&self, more: &[Field]) -> Vec<u8> {
        headers(END_HEADERS | END_STREAM, 1, &block(&[&self.fields(b"GET"), more].concat()))
    }

    /// A whole GET of stream 1, whose field block goes on with these bytes.
    pub(super) fn get_and(&self, more: &[u8]) -> Vec<u8> {
        headers(END_HEADERS | END_STREAM, 1, &[&self.block(), more].concat())
    }

    /// The head of a GET of stream 1 which does not end.
    pub(super) fn open(&self) -> Vec<u8> {
        headers(END_HEADERS, 1, &self.block())
    }

    /// A field block of stream 1, with these frames inside of it.
    pub(super) fn interrupted(&self, by: &[u8]) -> Vec<u8> {
        let last = frame(CONTINUATION, END_HEADERS, 1, &long_fields(1));
        [&headers(0, 1, &self.block()), by, &last].concat()
    }

    /// The head of a POST of stream 1, with these fields too.
    pub(super) fn post(&self, more: &[Field]) -> Vec<u8> {
        headers(END_HEADERS, 1, &block(&[&self.fields(b"POST"), more].concat()))
    }
}

/// What a client says first.
pub(super) fn greeting() -> Vec<u8> {
    [PREFACE, &setting(INITIAL_WINDOW, WINDOW)].concat()
}

pub(super) fn headers(flags: u8, stream: u32, block: &[u8]) -> Vec<u8> {
    frame(HEADERS, flags, stream, block)
}

pub(super) fn ping(bytes: &[u8; 8]) -> Vec<u8> {
    frame(PING, 0, 0, bytes)
}

/// The field block of this many long fields.
pub(super) fn long_fields(count: usize) -> Vec<u8> {
    const NAMES: [&str; 5] = ["x-dummy0", "x-dummy1", "x-dummy2", "x-dummy3", "x-dummy4"];
    block(&NAMES[..count].iter().map(|name| (*name, &LONG[..])).collect::<Vec<_>>())
}
