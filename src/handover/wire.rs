//! Messages and sockets between the two processes.

use rustix::io::{Errno, retry_on_intr};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// Three documents of the largest size, as JSON.
const MESSAGE_MAX: u32 = 512 << 20;
/// Sockets in one go: the kernel takes 253.
const SOCKETS: usize = 64;
/// The longest pause within a message.
const PAUSE: Duration = Duration::from_secs(10);

/// One end.
pub(super) struct Wire(UnixStream);

impl Wire {
    pub(super) const fn new(stream: UnixStream) -> Self {
        Self(stream)
    }

    /// Sends a message: its length, and it as JSON.
    pub(super) fn send(&self, message: &impl Serialize) -> io::Result<()> {
        let text = serde_json::to_vec(message)?;
        let length = u32::try_from(text.len()).ok().filter(|length| *length <= MESSAGE_MAX);
        let length = length.ok_or_else(|| io::Error::other("a message of more than 512 MiB"))?;
        self.0.set_write_timeout(Some(PAUSE))?;
        let mut stream = &self.0;
        stream.write_all(&length.to_be_bytes())?;
        stream.write_all(&text)
    }

    /// Receives a message; its first byte may be waited for so long.
    pub(super) fn receive<T: DeserializeOwned>(&self, limit: Duration) -> io::Result<T> {
        let mut stream = &self.0;
        let mut length = [0; 4];
        self.0.set_read_timeout(Some(limit))?;
        stream.read_exact(&mut length)?;
        let length = u32::from_be_bytes(length);
        if length > MESSAGE_MAX {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a message of more than 512 MiB"));
        }
        self.0.set_read_timeout(Some(PAUSE))?;
        let mut text = Vec::new();
        (&mut stream).take(u64::from(length)).read_to_end(&mut text)?;
        Ok(serde_json::from_slice(&text)?)
    }

    /// Sends sockets; the other side gets descriptors of its own.
    pub(super) fn send_sockets(&self, sockets: &[BorrowedFd<'_>]) -> io::Result<()> {
        for some in sockets.chunks(SOCKETS) {
            retry_on_intr(|| {
                let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(SOCKETS))];
                let mut control = SendAncillaryBuffer::new(&mut space);
                if !control.push(SendAncillaryMessage::ScmRights(some)) {
                    // They are fewer than there is space for.
                    return Err(Errno::TOOMANYREFS);
                }
                sendmsg(&self.0, &[IoSlice::new(b"s")], &mut control, SendFlags::NOSIGNAL)
            })?;
        }
        Ok(())
    }

    /// Receives as many sockets, in the order in which they were sent.
    pub(super) fn receive_sockets(&self, count: usize) -> io::Result<Vec<OwnedFd>> {
        let mut sockets = Vec::new();
        self.0.set_read_timeout(Some(PAUSE))?;
        while sockets.len() < count {
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(SOCKETS))];
            let mut control = RecvAncillaryBuffer::new(&mut space);
            let mut byte = [0];
            let mut receive =
                || recvmsg(&self.0, &mut [IoSliceMut::new(&mut byte)], &mut control, RecvFlags::CMSG_CLOEXEC);
            let received = retry_on_intr(&mut receive)?;
            for message in control.drain() {
                if let RecvAncillaryMessage::ScmRights(some) = message {
                    sockets.extend(some);
                }
            }
            // The limit of descriptors is reached, or the other side is gone.
            if received.bytes == 0 || received.flags.contains(ReturnFlags::CTRUNC) {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "fewer sockets came than were announced"));
            }
        }
        Ok(sockets)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;
    use std::os::fd::AsFd;

    #[test]
    fn messages_and_many_sockets_arrive_whole_and_in_order() {
        let (one, other) = UnixStream::pair().unwrap();
        let (one, other) = (Wire::new(one), Wire::new(other));
        let sockets: Vec<TcpListener> = (0..150).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        let borrowed: Vec<BorrowedFd<'_>> = sockets.iter().map(AsFd::as_fd).collect();
        one.send(&vec!["some", "words"]).unwrap();
        one.send_sockets(&borrowed).unwrap();
        one.send(&7).unwrap();
        assert_eq!(other.receive::<Vec<String>>(PAUSE).unwrap(), ["some", "words"]);
        let came: Vec<TcpListener> = other.receive_sockets(150).unwrap().into_iter().map(TcpListener::from).collect();
        let address = |socket: &TcpListener| socket.local_addr().unwrap();
        assert!(came.iter().map(address).eq(sockets.iter().map(address)));
        assert_eq!(other.receive::<u8>(PAUSE).unwrap(), 7);
        drop(one);
        assert_eq!(other.receive::<u8>(PAUSE).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }
}
