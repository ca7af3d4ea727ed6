//! A chunked body says the same however it is cut.
#![no_main]

use libfuzzer_sys::fuzz_target;
use plimsoll_core::protocol::BodyError;
use plimsoll_core::protocol::h1::ChunkDecoder;

/// Data, trailers, how much was used, and whether it is finished.
type Outcome = Result<(Vec<u8>, Vec<u8>, usize, bool), BodyError>;

fn decode(input: &[u8], size: usize) -> Outcome {
    let (mut decoder, mut buf, mut data, mut at) = (ChunkDecoder::new(), input.to_vec(), Vec::new(), 0);
    let mut finished = false;
    while at < buf.len() && !finished {
        let end = buf.len().min(at + size);
        let done = decoder.decode(&mut buf, at, end)?;
        assert!(at <= done.data_end && done.data_end <= done.consumed && done.consumed <= end);
        assert!(done.finished || done.consumed == end);
        data.extend_from_slice(&buf[at..done.data_end]);
        (at, finished) = (done.consumed, done.finished);
    }
    assert_eq!(buf[at..], input[at..], "what follows is untouched");
    assert!(decoder.trailer_fields().all(|(name, value)| !name.is_empty() && !value.contains(&b'\r')));
    Ok((data, decoder.trailers().to_vec(), at, finished))
}

fuzz_target!(|input: (u8, &[u8])| {
    let (size, body) = (usize::from(input.0) + 1, input.1);
    let whole = decode(body, body.len().max(1));
    assert_eq!(decode(body, 1), whole);
    assert_eq!(decode(body, size), whole);
});
