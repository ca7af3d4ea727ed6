//! Room for a body's bytes on a stream: `h2` takes as many as it is given, whatever the peer's window is.

use bytes::Buf;
use h2::SendStream;
use std::io;
use std::task::{Context, Poll, ready};

/// How many of `wanted` bytes may be sent at once, at least one. More would wait in `h2`, where nothing bounds them, in bytes
/// or in time.
///
/// # Errors
/// `BrokenPipe`: the peer wants no more of it.
pub fn poll_room<B: Buf>(stream: &mut SendStream<B>, cx: &mut Context<'_>, wanted: usize) -> Poll<io::Result<usize>> {
    stream.reserve_capacity(wanted);
    loop {
        // Looked at first: the poll tells of changes alone.
        let room = stream.capacity();
        if room > 0 {
            return Poll::Ready(Ok(room.min(wanted)));
        }
        match ready!(stream.poll_capacity(cx)) {
            Some(Ok(_)) => {}
            Some(Err(_)) | None => return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        }
    }
}
