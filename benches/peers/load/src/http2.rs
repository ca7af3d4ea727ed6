//! As much of a client's side of HTTP/2 as small GETs need. Header tables are switched off by the first SETTINGS, so an
//! answer's head begins with the one byte that says 200.

use crate::http1::Answers;

/// What a client says first; then SETTINGS (no header table, no push, windows of 1 GiB) and as large a window for the whole.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\
    \x00\x00\x12\x04\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x02\x00\x00\x00\x00\x00\x04\x40\x00\x00\x00\
    \x00\x00\x04\x08\x00\x00\x00\x00\x00\x3f\xff\x00\x00";
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const ACK: u8 = 1;
/// The static table's `:status: 200`.
const STATUS_200: u8 = 0x88;

/// A connection's frames.
pub(crate) struct Http2 {
    next_stream: u32,
    buffer: Vec<u8>,
}

impl Http2 {
    /// With what is to be sent first.
    pub(crate) fn new() -> (Self, Vec<u8>) {
        (Self { next_stream: 1, buffer: Vec::new() }, PREFACE.to_vec())
    }

    /// A request's fields, to be sent by [`Self::request`].
    pub(crate) fn block(host: &str, path: &str) -> Vec<u8> {
        // GET and https from the static table; then :path and :authority, never indexed.
        let mut block = vec![0x82, 0x87];
        for (name, value) in [(0x04, path), (0x01, host)] {
            let length = u8::try_from(value.len()).ok().filter(|length| *length < 127);
            block.extend_from_slice(&[name, length.expect("hosts and paths here are short")]);
            block.extend_from_slice(value.as_bytes());
        }
        block
    }

    /// Appends a request's frame; returns its stream.
    pub(crate) fn request(&mut self, block: &[u8], out: &mut Vec<u8>) -> u32 {
        let stream = self.next_stream;
        self.next_stream += 2;
        frame(HEADERS, END_STREAM | END_HEADERS, stream, block, out);
        stream
    }

    /// Appends what must be answered to `out`. `Err`: the connection is at its end.
    pub(crate) fn feed(&mut self, bytes: &[u8], answers: &mut Answers, out: &mut Vec<u8>) -> Result<(), String> {
        self.buffer.extend_from_slice(bytes);
        let mut at = 0;
        while let Some(&[a, b, c, kind, flags, s0, s1, s2, s3]) = self.buffer.get(at..at + 9) {
            let length = u32::from_be_bytes([0, a, b, c]) as usize;
            let Some(payload) = self.buffer.get(at + 9..at + 9 + length) else { break };
            let stream = u32::from_be_bytes([s0 & 0x7f, s1, s2, s3]);
            match kind {
                // Of an answer with trailers or in several frames only the first head is looked at, by being the first.
                HEADERS if payload.iter().find(|byte| **byte & 0xe0 != 0x20) != Some(&STATUS_200) => {
                    answers.push((stream, false));
                }
                HEADERS | DATA if flags & END_STREAM != 0 => answers.push((stream, true)),
                RST_STREAM => answers.push((stream, false)),
                SETTINGS if flags & ACK == 0 => frame(SETTINGS, ACK, 0, &[], out),
                PING if flags & ACK == 0 => frame(PING, ACK, 0, payload, out),
                GOAWAY => return Err("GOAWAY".to_owned()),
                _ => {}
            }
            at += 9 + length;
        }
        self.buffer.drain(..at);
        Ok(())
    }
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8], out: &mut Vec<u8>) {
    let length = u32::try_from(payload.len()).expect("frames here are short").to_be_bytes();
    out.extend_from_slice(&length[1..]);
    out.extend_from_slice(&[kind, flags]);
    out.extend_from_slice(&stream.to_be_bytes());
    out.extend_from_slice(payload);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_found_wherever_they_are_cut() {
        let mut text = Vec::new();
        frame(SETTINGS, 0, 0, &[], &mut text);
        // A table size of 0 before the status, as the switched-off table wants.
        frame(HEADERS, END_HEADERS, 1, &[0x20, STATUS_200], &mut text);
        frame(DATA, END_STREAM, 1, b"hello", &mut text);
        frame(HEADERS, END_HEADERS, 3, &[0x8d], &mut text);
        for at in 0..text.len() {
            let (mut http2, mut answers, mut out) = (Http2::new().0, Answers::new(), Vec::new());
            http2.feed(&text[..at], &mut answers, &mut out).expect("frames");
            http2.feed(&text[at..], &mut answers, &mut out).expect("frames");
            assert_eq!(answers, [(1, true), (3, false)], "cut at {at}");
            assert_eq!(out, [0, 0, 0, SETTINGS, ACK, 0, 0, 0, 0], "cut at {at}");
        }
    }
}
