//! Chunked bodies: what they say, however they are cut, and what is refused.

use crate::protocol::BodyError;
use crate::protocol::h1::{ChunkDecoder, EXTENSION_BYTES_MAX, TRAILER_BYTES_MAX, TRAILER_FIELDS_MAX, write_chunk_head};

/// Data, trailers, and what was left over once the body was finished.
type Parts = (Vec<u8>, Vec<u8>, Option<Vec<u8>>);

/// Feeds the input in pieces of `size`, some bytes into a buffer.
fn decode(input: &[u8], size: usize) -> Result<Parts, BodyError> {
    let (mut decoder, mut data) = (ChunkDecoder::new(), Vec::new());
    let mut at = 0;
    while at < input.len() {
        let piece = &input[at..input.len().min(at + size)];
        let mut buf = [b"###", piece, b"###"].concat();
        let done = decoder.decode(&mut buf, 3, 3 + piece.len())?;
        assert!(buf.starts_with(b"###") && buf.ends_with(b"###"), "only the input's place is written");
        data.extend_from_slice(&buf[3..done.data_end]);
        at += done.consumed - 3;
        if done.finished {
            return Ok((data, decoder.trailers().to_vec(), Some(input[at..].to_vec())));
        }
        assert_eq!(done.consumed, 3 + piece.len(), "all is taken before the end");
    }
    Ok((data, decoder.trailers().to_vec(), None))
}

fn good(input: &str, data: &str, trailers: &str, rest: Option<&str>) {
    for size in [1, 2, 3, 7, input.len()] {
        let expected =
            (data.as_bytes().to_vec(), trailers.as_bytes().to_vec(), rest.map(|rest| rest.as_bytes().to_vec()));
        assert_eq!(decode(input.as_bytes(), size), Ok(expected), "{input:?} by {size}");
    }
}

fn refused(input: &str, expected: BodyError) {
    for size in [1, input.len()] {
        assert_eq!(decode(input.as_bytes(), size), Err(expected), "{input:?} by {size}");
    }
}

#[test]
fn chunks_are_put_together_and_what_follows_is_left() {
    good("0\r\n\r\n", "", "", Some(""));
    good("5\r\nhello\r\n0\r\n\r\n", "hello", "", Some(""));
    good("5\r\nhello\r\n6\r\n world\r\n0\r\n\r\nGET /", "hello world", "", Some("GET /"));
    good("00A\r\n0123456789\r\n000\r\n\r\n", "0123456789", "", Some(""));
    good("5\r\nhel", "hel", "", None);
    good("5\r\nhello\r\n0\r\n", "hello", "", None);
}

#[test]
fn extensions_are_dropped() {
    good("5;a\r\nhello\r\n0;b=\"c;d\"\r\n\r\n", "hello", "", Some(""));
    good("5 ; a = é\t\r\nhello\r\n0\r\n\r\n", "hello", "", Some(""));
    refused("5;a\rb\r\n", BodyError::ChunkEnd);
    refused("5;a\nhello", BodyError::Extension);
    refused("5;\0\r\n", BodyError::Extension);
    refused("5 \r\nhello", BodyError::Extension);
    refused("5 5\r\nhello", BodyError::Extension);
    let long = "x".repeat(EXTENSION_BYTES_MAX as usize);
    good(&format!("1;{long}\r\na\r\n0\r\n\r\n"), "a", "", Some(""));
    refused(&format!("1;{long}\r\na\r\n1;x\r\na\r\n0\r\n\r\n"), BodyError::Extension);
}

#[test]
fn chunks_that_two_readers_could_read_differently_are_refused() {
    for input in ["\r\n", "g\r\n", "-1\r\n", "+1\r\n", "0x1\r\n", " 1\r\n", ";\r\n", "\n", "5\nhello", "1_0\r\n"] {
        refused(input, BodyError::ChunkSize);
    }
    refused("11111111111111111\r\n", BodyError::ChunkSize);
    for input in ["5\r\nhello!\r\n", "5\r\nhello\n", "5\r\nhello\r5", "5\rhello", "5\r\r\nhello"] {
        refused(input, BodyError::ChunkEnd);
    }
    good("ffffffffffffffff\r\nhello", "hello", "", None);
}

#[test]
fn trailers_are_kept_as_safe_lines() {
    good("0\r\nA: b\r\nC:d \r\nE:\r\n\r\nX", "", "A: b\r\nC: d\r\nE: \r\n", Some("X"));
    for name in [
        "Content-Length",
        "transfer-encoding",
        "Host",
        "Connection",
        "Trailer",
        "TE",
        "X-Forwarded-For",
        "X_Real_IP",
        "Authorization",
        "Set-Cookie",
        "content-type",
        "Cookie",
        "Via",
    ] {
        good(&format!("0\r\na: 1\r\n{name}: 2\r\nb: 3\r\n\r\n"), "", "a: 1\r\nb: 3\r\n", Some(""));
    }
    for input in
        ["0\r\nA\r\n", "0\r\nA : b\r\n", "0\r\n: b\r\n", "0\r\n b: c\r\n", "0\r\nA: \0\r\n", "0\r\nA: b\nC: d\r\n"]
    {
        refused(input, BodyError::Trailer);
    }
    refused("0\r\nA: b\rc\r\n", BodyError::ChunkEnd);
    let line = format!("a: {}\r\n", "x".repeat(TRAILER_BYTES_MAX as usize - 3));
    good(&format!("0\r\n{line}\r\n"), "", &line, Some(""));
    refused(&format!("0\r\n{line}b: c\r\n\r\n"), BodyError::TrailersTooLarge);
    refused(&format!("0\r\n{}\r\n", "a: b\r\n".repeat(TRAILER_FIELDS_MAX as usize + 1)), BodyError::TrailersTooLarge);
    let mut decoder = ChunkDecoder::new();
    let mut input = b"0\r\na: b\r\nc:\r\nd: e: f\r\n\r\n".to_vec();
    let end = input.len();
    assert!(decoder.decode(&mut input, 0, end).is_ok_and(|done| done.finished));
    let pairs: Vec<_> = decoder.trailer_fields().collect();
    assert_eq!(pairs, [(&b"a"[..], &b"b"[..]), (b"c", b""), (b"d", b"e: f")]);
}

#[test]
fn chunk_heads_are_written_without_leading_zeros() {
    let check = |len: usize, expected: &str| {
        let mut out = [0; 18];
        let written = write_chunk_head(len, &mut out);
        assert_eq!(&out[..written], expected.as_bytes());
    };
    check(0, "0\r\n");
    check(1, "1\r\n");
    check(31, "1f\r\n");
    check(65_536, "10000\r\n");
    check(usize::MAX, "ffffffffffffffff\r\n");
}
