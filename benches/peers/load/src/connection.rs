//! One connection to a proxy: socket, TLS where there is some, and requests in flight with the time each was due.

use crate::http1::{Answers, Http1};
use crate::http2::Http2;
use rustls::{ClientConfig, ClientConnection, HandshakeKind};
use std::collections::HashMap;
use std::io::{Error, ErrorKind, Read, Result, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Instant;

pub(crate) struct Connection {
    pub(crate) socket: TcpStream,
    tls: Option<Box<ClientConnection>>,
    protocol: Protocol,
    /// Bytes that the socket did not take yet.
    out: Vec<u8>,
    /// Stream → when the request was due. HTTP/1.1: stream 0.
    pub(crate) in_flight: HashMap<u32, Instant>,
}

enum Protocol {
    One(Http1),
    Two(Http2),
}

impl Connection {
    pub(crate) fn open(address: SocketAddr, tls: Option<&Arc<ClientConfig>>, http2: bool) -> Result<Self> {
        // On loopback this returns at once.
        let socket = TcpStream::connect(address)?;
        socket.set_nodelay(true)?;
        socket.set_nonblocking(true)?;
        let name = "bench.test".try_into().expect("a name");
        let tls = tls.map(|config| {
            let mut client = ClientConnection::new(Arc::clone(config), name).expect("the settings fit");
            client.set_buffer_limit(None);
            Box::new(client)
        });
        let (protocol, first) = if http2 {
            let (http2, preface) = Http2::new();
            (Protocol::Two(http2), preface)
        } else {
            (Protocol::One(Http1::default()), Vec::new())
        };
        let mut connection = Self { socket, tls, protocol, out: Vec::new(), in_flight: HashMap::new() };
        connection.put(&first)?;
        Ok(connection)
    }

    /// `request`: HTTP/1.1's bytes, or HTTP/2's block of fields.
    pub(crate) fn send(&mut self, request: &[u8], due: Instant) -> Result<()> {
        let stream = match &mut self.protocol {
            Protocol::One(_) => {
                self.put(request)?;
                0
            }
            Protocol::Two(http2) => {
                let mut frame = Vec::with_capacity(request.len() + 9);
                let stream = http2.request(request, &mut frame);
                self.put(&frame)?;
                stream
            }
        };
        self.in_flight.insert(stream, due);
        self.flush()
    }

    /// Sends and receives what the socket lets through, and tells which answers ended.
    pub(crate) fn ready(&mut self, buffer: &mut [u8], answers: &mut Answers) -> Result<()> {
        self.flush()?;
        loop {
            let read = match self.receive(buffer) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                other => other?,
            };
            if read == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            let mut out = Vec::new();
            match &mut self.protocol {
                Protocol::One(http1) => http1.feed(&buffer[..read], answers),
                Protocol::Two(http2) => http2.feed(&buffer[..read], answers, &mut out),
            }
            .map_err(Error::other)?;
            self.put(&out)?;
            // A short read has emptied the socket: the next bytes are another event.
            if self.tls.is_none() && read < buffer.len() {
                break;
            }
        }
        self.flush()
    }

    pub(crate) fn is_resumed(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.handshake_kind() == Some(HandshakeKind::Resumed))
    }

    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        match &mut self.tls {
            Some(tls) => tls.writer().write_all(bytes),
            None => self.out.write_all(bytes),
        }
    }

    fn flush(&mut self) -> Result<()> {
        if let Some(tls) = &mut self.tls {
            while tls.wants_write() {
                match tls.write_tls(&mut self.socket) {
                    Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                    other => other?,
                };
            }
            return Ok(());
        }
        let mut at = 0;
        while at < self.out.len() {
            match self.socket.write(&self.out[at..]) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                other => at += other?,
            }
        }
        self.out.drain(..at);
        Ok(())
    }

    fn receive(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let Some(tls) = &mut self.tls else { return self.socket.read(buffer) };
        loop {
            match tls.reader().read(buffer) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                other => return other,
            }
            if tls.read_tls(&mut self.socket)? == 0 {
                return Ok(0);
            }
            tls.process_new_packets().map_err(Error::other)?;
            while tls.wants_write() {
                tls.write_tls(&mut self.socket)?;
            }
        }
    }
}
