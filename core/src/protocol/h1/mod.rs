//! HTTP/1 as push parsers without I/O, strict by RFC 9112.
//!
//! A head that came whole, as nearly all do, is read in one pass: `tokens` cuts it, and what its tokens mean is decided in
//! `request` and `response`. Where it comes in pieces, [`HeadScan`] finds its end first, from where the last search ended,
//! so that one that comes byte by byte costs no more than that.
//! [`ChunkDecoder`] takes chunks apart where they lie.

mod chunked;
mod framing;
mod request;
mod response;
mod scan;
mod tokens;

pub use chunked::{
    ChunkDecoder, Decoded, EXTENSION_BYTES_MAX, TRAILER_BYTES_MAX, TRAILER_FIELDS_MAX, may_be_trailer, write_chunk_head,
};
pub use request::parse_request;
pub use response::parse_response;
pub use scan::{HeadRange, HeadScan};
pub(in crate::protocol) use tokens::Line;

#[cfg(test)]
mod tests;
