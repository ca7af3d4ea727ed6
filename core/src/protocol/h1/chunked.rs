//! Chunked bodies, taken apart where they lie (RFC 9112 §7.1).

use crate::protocol::{BodyError, Known, syntax};

/// 16 KiB: all extensions of one body together. They are dropped, so that a byte of data may not cost kilobytes.
pub const EXTENSION_BYTES_MAX: u32 = 16 * 1024;
/// 8 KiB: all trailer lines of one body together.
pub const TRAILER_BYTES_MAX: u32 = 8 * 1024;
/// 64: trailer lines of one body.
pub const TRAILER_FIELDS_MAX: u32 = 64;

/// A chunked body as it arrives. Extensions are dropped; trailers are kept.
#[derive(Clone, Debug, Default)]
pub struct ChunkDecoder {
    state: State,
    /// Bytes of the current chunk still to come.
    left: u64,
    /// Digits of the current size.
    digits: u8,
    extension_bytes: u32,
    trailer_bytes: u32,
    trailer_fields: u32,
    /// The trailer line that is being read.
    line: Vec<u8>,
    trailers: Vec<u8>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Size,
    /// Space after the size, which only an extension may follow.
    SizeSpace,
    Extension,
    SizeLf,
    Data,
    DataCr,
    DataLf,
    Trailer,
    TrailerLf,
    Done,
}

/// What came of one piece of input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decoded {
    /// The data is `buf[start..data_end]`.
    pub data_end: usize,
    /// Up to where in `buf` input was used: all of it, unless the body is finished.
    pub consumed: usize,
    /// The last chunk and the trailers are through.
    pub finished: bool,
}

impl ChunkDecoder {
    /// A decoder at the first chunk's size.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the input `buf[start..end]`; its data is moved together to begin at `start`. Once finished, nothing more
    /// is consumed.
    ///
    /// # Errors
    /// For input that is not a chunked body, or over the limits of extensions and trailers.
    pub fn decode(&mut self, buf: &mut [u8], start: usize, end: usize) -> Result<Decoded, BodyError> {
        let (mut read, mut data_end) = (start, start);
        while read < end && self.state != State::Done {
            if self.state == State::Data {
                let length = usize::try_from(self.left).map_or(end - read, |left| left.min(end - read));
                if data_end != read {
                    buf.copy_within(read..read + length, data_end);
                }
                read += length;
                data_end += length;
                self.left -= length as u64;
                if self.left == 0 {
                    self.state = State::DataCr;
                }
            } else {
                self.state = self.step(buf[read])?;
                read += 1;
            }
        }
        Ok(Decoded { data_end, consumed: read, finished: self.state == State::Done })
    }

    /// The trailers that may be sent on, as lines `name: value` CRLF; empty while the body is not finished. Fields that
    /// frame, route or authenticate the message are left out (RFC 9110 §6.5.1).
    #[must_use]
    pub fn trailers(&self) -> &[u8] {
        if self.state == State::Done { &self.trailers } else { &[] }
    }

    /// The same trailers as names and values.
    pub fn trailer_fields(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.trailers().split(|&b| b == b'\n').filter_map(|line| {
            let colon = memchr::memchr(b':', line)?;
            Some((&line[..colon], line.get(colon + 2..line.len() - 1)?))
        })
    }

    fn step(&mut self, byte: u8) -> Result<State, BodyError> {
        match (self.state, byte) {
            (State::Size, b'\r') if self.digits > 0 => Ok(State::SizeLf),
            (State::Size | State::SizeSpace, b';') if self.digits > 0 => Ok(State::Extension),
            (State::Size | State::SizeSpace, b' ' | b'\t') if self.digits > 0 => self.extension(State::SizeSpace),
            (State::Size, _) => self.size(byte),
            (State::Extension, b'\r') => Ok(State::SizeLf),
            (State::Extension, b'\t' | b' '..=0x7e | 0x80..) => self.extension(State::Extension),
            (State::SizeSpace | State::Extension, _) => Err(BodyError::Extension),
            (State::SizeLf, b'\n') => {
                self.digits = 0;
                Ok(if self.left == 0 { State::Trailer } else { State::Data })
            }
            (State::DataCr, b'\r') => Ok(State::DataLf),
            (State::DataLf, b'\n') => Ok(State::Size),
            (State::Trailer, b'\r') => Ok(State::TrailerLf),
            (State::Trailer, _) => self.trailer(byte),
            (State::TrailerLf, b'\n') => self.trailer_line(),
            _ => Err(BodyError::ChunkEnd),
        }
    }

    fn size(&mut self, byte: u8) -> Result<State, BodyError> {
        let digit = char::from(byte).to_digit(16).ok_or(BodyError::ChunkSize)?;
        self.digits += 1;
        if self.digits > 16 {
            return Err(BodyError::ChunkSize);
        }
        self.left = self.left << 4 | u64::from(digit);
        Ok(State::Size)
    }

    fn extension(&mut self, next: State) -> Result<State, BodyError> {
        self.extension_bytes += 1;
        if self.extension_bytes > EXTENSION_BYTES_MAX { Err(BodyError::Extension) } else { Ok(next) }
    }

    fn trailer(&mut self, byte: u8) -> Result<State, BodyError> {
        self.trailer_bytes += 1;
        if self.trailer_bytes > TRAILER_BYTES_MAX {
            return Err(BodyError::TrailersTooLarge);
        }
        self.line.push(byte);
        Ok(State::Trailer)
    }

    /// At the end of a trailer line: an empty one ends the body.
    fn trailer_line(&mut self) -> Result<State, BodyError> {
        if self.line.is_empty() {
            return Ok(State::Done);
        }
        self.trailer_fields += 1;
        if self.trailer_fields > TRAILER_FIELDS_MAX {
            return Err(BodyError::TrailersTooLarge);
        }
        let colon = memchr::memchr(b':', &self.line).ok_or(BodyError::Trailer)?;
        let (name, value) = (&self.line[..colon], syntax::trim(&self.line[colon + 1..]));
        if !syntax::is_token(name) || !syntax::is_value(value) {
            return Err(BodyError::Trailer);
        }
        if may_be_trailer(name) {
            for part in [name, b": ", value, b"\r\n"] {
                self.trailers.extend_from_slice(part);
            }
        }
        self.line.clear();
        Ok(State::Trailer)
    }
}

/// Whether a field may come after the body. All that the gateway itself reads or sets may not, nor what a recipient
/// needs before the body.
#[must_use]
pub fn may_be_trailer(name: &[u8]) -> bool {
    const NEVER: [&str; 13] = [
        "authorization",
        "proxy-authorization",
        "proxy-authenticate",
        "www-authenticate",
        "set-cookie",
        "content-encoding",
        "content-type",
        "content-range",
        "cache-control",
        "max-forwards",
        "range",
        "age",
        "location",
    ];
    Known::of(name) == Known::Other && !NEVER.iter().any(|never| name.eq_ignore_ascii_case(never.as_bytes()))
}

/// Writes what precedes `len` bytes of data, such as `1f` CRLF, and returns its length. CRLF follows the data; 0 ends
/// the body once trailers and an empty line are written after it.
pub fn write_chunk_head(len: usize, out: &mut [u8; 18]) -> usize {
    let digits = (usize::BITS - len.leading_zeros()).div_ceil(4).max(1) as usize;
    for (at, slot) in out[..digits].iter_mut().enumerate() {
        *slot = b"0123456789abcdef"[len >> ((digits - 1 - at) * 4) & 0xf];
    }
    out[digits..digits + 2].copy_from_slice(b"\r\n");
    digits + 2
}
