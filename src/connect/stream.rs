//! One byte stream, whatever carries it: an enum rather than a boxed trait, so that the plain path is a direct call.

use rustix::net::{RecvFlags, recv};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, Interest, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::{client, server};

/// A connection to a client or to a target.
#[derive(Debug)]
pub enum Stream {
    /// TCP.
    Plain(TcpStream),
    /// TLS that a client opened. Boxed: an idle connection's task should stay small.
    TlsServer(Box<server::TlsStream<TcpStream>>),
    /// TLS that we opened.
    TlsClient(Box<client::TlsStream<TcpStream>>),
    /// In memory, for tests under paused time.
    Memory(Box<DuplexStream>),
}

impl Stream {
    /// The TCP connection underneath, if there is one.
    #[must_use]
    pub fn tcp(&self) -> Option<&TcpStream> {
        match self {
            Self::Plain(tcp) => Some(tcp),
            Self::TlsServer(tls) => Some(tls.get_ref().0),
            Self::TlsClient(tls) => Some(tls.get_ref().0),
            Self::Memory(_) => None,
        }
    }

    /// Whether bytes are encrypted on the way.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        matches!(self, Self::TlsServer(_) | Self::TlsClient(_))
    }

    /// Whether something has already arrived that nobody asked for: the end of the stream, or bytes. One atomic load, unless
    /// the runtime thinks so: it does, too, where the last bytes were read without asking for more than there were, as a pipe
    /// takes them. Then the kernel is asked.
    #[must_use]
    pub fn has_unread(&self) -> bool {
        let peek = |tcp| Ok(recv(tcp, &mut [0_u8; 1], RecvFlags::PEEK | RecvFlags::DONTWAIT)?);
        self.tcp().is_some_and(|tcp| match tcp.try_io(Interest::READABLE, || peek(tcp)) {
            Ok(_) => true,
            Err(error) => error.kind() != io::ErrorKind::WouldBlock,
        })
    }

    /// Whether a read could find something. On `Pending` the task is woken when one could. Of TLS nothing is known before it
    /// is tried.
    #[inline]
    pub fn poll_maybe_readable(&self, cx: &mut Context<'_>) -> Poll<()> {
        match self {
            Self::Plain(tcp) => tcp.poll_read_ready(cx).map(|_| ()),
            _ => Poll::Ready(()),
        }
    }

    /// Writes all of `bytes[*at..]`, counting `at` up, so that the call can be repeated.
    ///
    /// # Errors
    /// What the stream says; `WriteZero` if it takes nothing.
    #[inline]
    pub fn poll_write_all(&mut self, cx: &mut Context<'_>, bytes: &[u8], at: &mut usize) -> Poll<io::Result<()>> {
        // Tried before it is asked for: that is what nearly always does, and costs less.
        if let Self::Plain(tcp) = self
            && let Ok(written) = tcp.try_write(bytes.get(*at..).unwrap_or_default())
        {
            *at += written;
        }
        while let Some(rest) = bytes.get(*at..).filter(|rest| !rest.is_empty()) {
            match Pin::new(&mut *self).poll_write(cx, rest) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(written)) => *at += written,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return Poll::Pending,
            }
        }
        if self.is_tls() { Pin::new(self).poll_flush(cx) } else { Poll::Ready(Ok(())) }
    }
}

impl AsyncRead for Stream {
    #[inline]
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(io) => Pin::new(io).poll_read(cx, buf),
            Self::TlsServer(io) => Pin::new(io).poll_read(cx, buf),
            Self::TlsClient(io) => Pin::new(io).poll_read(cx, buf),
            Self::Memory(io) => Pin::new(io).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    #[inline]
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(io) => Pin::new(io).poll_write(cx, bytes),
            Self::TlsServer(io) => Pin::new(io).poll_write(cx, bytes),
            Self::TlsClient(io) => Pin::new(io).poll_write(cx, bytes),
            Self::Memory(io) => Pin::new(io).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(io) => Pin::new(io).poll_write_vectored(cx, bytes),
            Self::TlsServer(io) => Pin::new(io).poll_write_vectored(cx, bytes),
            Self::TlsClient(io) => Pin::new(io).poll_write_vectored(cx, bytes),
            Self::Memory(io) => Pin::new(io).poll_write_vectored(cx, bytes),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(io) => io.is_write_vectored(),
            Self::TlsServer(io) => io.is_write_vectored(),
            Self::TlsClient(io) => io.is_write_vectored(),
            Self::Memory(io) => io.is_write_vectored(),
        }
    }

    #[inline]
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(io) => Pin::new(io).poll_flush(cx),
            Self::TlsServer(io) => Pin::new(io).poll_flush(cx),
            Self::TlsClient(io) => Pin::new(io).poll_flush(cx),
            Self::Memory(io) => Pin::new(io).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(io) => Pin::new(io).poll_shutdown(cx),
            Self::TlsServer(io) => Pin::new(io).poll_shutdown(cx),
            Self::TlsClient(io) => Pin::new(io).poll_shutdown(cx),
            Self::Memory(io) => Pin::new(io).poll_shutdown(cx),
        }
    }
}
