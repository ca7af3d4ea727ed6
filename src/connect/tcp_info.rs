//! How many bytes the other side's kernel has acknowledged. It tells whether a request that failed can have been seen
//! by the target at all: if none of its bytes was acknowledged, it is safe to repeat whatever its method.

#![expect(unsafe_code, reason = "neither std, socket2 nor rustix reads TCP_INFO")]

use std::os::fd::AsRawFd;

/// Up to and with `tcpi_bytes_acked` of Linux' `struct tcp_info` (since 4.1).
const LENGTH: usize = 128;
/// Where `tcpi_bytes_acked` stands: 8 bytes of flags, 24 × u32, 2 × u64 before it.
const BYTES_ACKED: usize = 120;

/// Bytes acknowledged since the connection was made, the SYN counted as one; `None` where the kernel does not say.
#[must_use]
pub fn bytes_acknowledged(socket: &impl AsRawFd) -> Option<u64> {
    let mut info = [0_u8; LENGTH];
    let mut length = u32::try_from(LENGTH).ok()?;
    // SAFETY: the kernel writes at most `length` bytes into `info`, which is that long and lives through the call.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            info.as_mut_ptr().cast(),
            &raw mut length,
        )
    };
    if result != 0 || (length as usize) < LENGTH {
        return None;
    }
    let bytes = info.get(BYTES_ACKED..LENGTH)?;
    Some(u64::from_ne_bytes(bytes.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};

    #[test]
    fn a_fresh_connection_has_one_acknowledged_byte_and_what_is_read_counts() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        assert_eq!(bytes_acknowledged(&client), Some(1));
        client.write_all(b"hello").unwrap();
        let (mut server, _) = listener.accept().unwrap();
        server.read_exact(&mut [0; 5]).unwrap();
        assert_eq!(bytes_acknowledged(&client), Some(6));
    }
}
