//! A chunked body says the same however it is cut, and to hyper, which finds its end in the same place.
#![no_main]

use libfuzzer_sys::fuzz_target;
use plimsoll_core::protocol::h1::{ChunkDecoder, parse_request};
use plimsoll_core::protocol::{BodyError, HeadLimits, RequestHead};
use plimsoll_fuzz::{End, requests, says_the_same};

/// What the body belongs to.
const HEAD: &[u8] = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
const LIMITS: HeadLimits = HeadLimits { request_line: 100, headers: 100, count: 2 };

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

/// Hyper reads the same data and the same trailers, or refuses them; and it waits for more where we do.
fn agrees_with_hyper(body: &[u8], data: &[u8], trailers: &[u8], consumed: usize, finished: bool) {
    if !finished {
        let (seen, _) = requests([HEAD, body].concat());
        assert!(seen.iter().all(|request| request.end != End::Whole), "{seen:?}");
        return;
    }
    let mut head = RequestHead::new();
    assert_eq!(parse_request(HEAD, &LIMITS, &mut head), Ok(Some(HEAD.len())));
    let Some(request) = says_the_same(&head, &[HEAD, &body[..consumed]].concat(), data) else { return };
    for line in trailers.split(|&byte| byte == b'\n').filter_map(|line| line.strip_suffix(b"\r")) {
        let known = |(name, value): &(Vec<u8>, Vec<u8>)| [name, &b": "[..], value].concat() == named_low(line);
        assert!(request.trailers.iter().any(known), "{line:?} of {request:?}");
    }
}

/// A line with its name in lower case.
fn named_low(line: &[u8]) -> Vec<u8> {
    let colon = line.iter().position(|&byte| byte == b':').expect("a name");
    [&line[..colon].to_ascii_lowercase(), &line[colon..]].concat()
}

fuzz_target!(|input: (u8, &[u8])| {
    let (size, body) = (usize::from(input.0) + 1, input.1);
    let whole = decode(body, body.len().max(1));
    assert_eq!(decode(body, 1), whole);
    assert_eq!(decode(body, size), whole);
    if let Ok((data, trailers, consumed, finished)) = whole {
        agrees_with_hyper(body, &data, &trailers, consumed, finished);
    }
});
