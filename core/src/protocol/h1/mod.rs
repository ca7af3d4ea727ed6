//! HTTP/1 as push parsers without I/O, strict by RFC 9112.
//!
//! [`HeadScan`] finds where a head ends, from where the last search ended, so that a head that comes byte by byte costs
//! no more than one that comes whole. Then `httparse` tokenises it once, and what its tokens mean is decided here:
//! `httparse` alone takes bare LF and any number of leading empty lines, and is not incremental. It does refuse CR
//! without LF, folded lines, space before a colon, and control characters.
//! [`ChunkDecoder`] takes chunks apart where they lie.

mod chunked;
mod framing;
mod request;
mod response;
mod scan;

pub use chunked::{
    ChunkDecoder, Decoded, EXTENSION_BYTES_MAX, TRAILER_BYTES_MAX, TRAILER_FIELDS_MAX, may_be_trailer, write_chunk_head,
};
pub use request::parse_request;
pub use response::parse_response;
pub use scan::{HeadRange, HeadScan};

#[cfg(test)]
mod tests;
