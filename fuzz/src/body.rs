//! A body for a head.

use plimsoll_core::protocol::BodyLength;
use plimsoll_core::protocol::h1::ChunkDecoder;

/// Bodies up to here are made up where there is less.
const MADE_UP_MAX: u64 = 4096;
/// Of what they are made: what heads, chunks and their ends begin with.
const MADE_OF: &[u8; 9] = b"\r\n0G /:1.";

/// A body of that length, out of what comes after the head if it has one: in its framing, and without. `None`: it is too long.
#[must_use]
pub fn body(length: BodyLength, rest: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    match length {
        BodyLength::None => Some((Vec::new(), Vec::new())),
        BodyLength::UntilClose => Some((rest.to_vec(), rest.to_vec())),
        BodyLength::Length(length) => {
            let body = match usize::try_from(length).ok().and_then(|length| rest.get(..length)) {
                Some(body) => body.to_vec(),
                None if length <= MADE_UP_MAX => (0..length as usize).map(|at| MADE_OF[at % MADE_OF.len()]).collect(),
                None => return None,
            };
            Some((body.clone(), body))
        }
        BodyLength::Chunked => {
            let mut data = rest.to_vec();
            match ChunkDecoder::new().decode(&mut data, 0, rest.len()) {
                Ok(done) if done.finished => Some((rest[..done.consumed].to_vec(), data[..done.data_end].to_vec())),
                _ => Some((b"5\r\nhello\r\n0\r\n\r\n".to_vec(), b"hello".to_vec())),
            }
        }
    }
}
