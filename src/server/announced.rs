//! The PROXY header of a connection, read before anything else of it and no byte further: what follows it stays in the
//! socket, for TLS or HTTP to read as if nothing had been before it.

use crate::proxy::refusal::Refusal;
use crate::proxy::slots::{Interrupt, Role, Slot};
use crate::proxy::worker::Worker;
use plimsoll_core::protocol::{Announced, PROXY_HEADER_MAX, ProxyHeaderError, parse_proxy_header};
use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use tokio::io::ReadBuf;
use tokio::net::TcpStream;

/// Bytes that are looked at at once: headers are shorter, but for one with many TLVs.
const LOOK: usize = 256;

/// Why there is none.
pub(super) enum NoHeader {
    /// To be counted and told.
    Refused(Refusal),
    /// The proxy came and went, as health checks over TCP do; or the gateway drains.
    Gone,
}

/// Whose connection it is.
///
/// # Errors
/// Why it is to be closed.
pub(super) async fn read(worker: &Rc<Worker>, stream: &TcpStream) -> Result<Announced, NoHeader> {
    let slot = worker.slots.open();
    // A drain waits for nobody who has not even said who it is.
    slot.set_role(Role::Idle);
    slot.arm(worker.snapshot().settings.timeouts.client_header);
    let mut bytes = Vec::new();
    poll_fn(|cx| poll(stream, &slot, &mut bytes, cx)).await
}

fn poll(
    stream: &TcpStream,
    slot: &Slot,
    bytes: &mut Vec<u8>,
    cx: &mut Context<'_>,
) -> Poll<Result<Announced, NoHeader>> {
    loop {
        match poll_more(stream, bytes, cx) {
            Poll::Pending => {
                return slot.poll(cx).map(|interrupt| {
                    Err(match interrupt {
                        Interrupt::TimedOut => NoHeader::Refused(Refusal::ProxyTimedOut),
                        _ => NoHeader::Gone,
                    })
                });
            }
            Poll::Ready(Ok(None)) => {}
            Poll::Ready(Ok(Some(announced))) => return Poll::Ready(Ok(announced)),
            Poll::Ready(Err(refused)) => return Poll::Ready(Err(refused)),
        }
    }
}

/// Looks at what has come, and takes what is the header's.
fn poll_more(
    stream: &TcpStream,
    bytes: &mut Vec<u8>,
    cx: &mut Context<'_>,
) -> Poll<Result<Option<Announced>, NoHeader>> {
    let taken = bytes.len();
    // One byte at least: a header of the greatest length is whole before it is reached.
    bytes.resize((taken + LOOK).min(PROXY_HEADER_MAX + 1), 0);
    let mut buffer = ReadBuf::new(bytes.get_mut(taken..).unwrap_or_default());
    let looked = stream.poll_peek(cx, &mut buffer);
    let count = match looked {
        Poll::Ready(Ok(count)) => count,
        Poll::Ready(Err(_)) | Poll::Pending => 0,
    };
    bytes.truncate(taken + count);
    if ready!(looked).is_err() || (count == 0 && taken == 0) {
        return Poll::Ready(Err(NoHeader::Gone));
    }
    if count == 0 {
        let ended = Refusal::ProxyMalformed("it ended in the middle of its PROXY header");
        return Poll::Ready(Err(NoHeader::Refused(ended)));
    }
    let read = parse_proxy_header(bytes).map_err(|error| {
        NoHeader::Refused(match error {
            ProxyHeaderError::Missing => Refusal::ProxyMissing,
            ProxyHeaderError::Malformed(why) => Refusal::ProxyMalformed(why),
        })
    });
    Poll::Ready(match read {
        Err(refused) => Err(refused),
        Ok(header) => {
            let end = header.map_or(bytes.len(), |header| header.length);
            let taken = bytes.get_mut(taken..end).map(|room| take(stream, room));
            match taken {
                Some(Ok(())) => Ok(header.map(|header| header.announced)),
                Some(Err(_)) | None => Err(NoHeader::Gone),
            }
        }
    })
}

/// Takes off the socket what was looked at already.
fn take(stream: &TcpStream, room: &mut [u8]) -> io::Result<()> {
    let count = stream.try_read(room)?;
    if count == room.len() { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}
