//! Escaping, eight bytes at a time where there is nothing to escape.

use plimsoll_core::protocol::put::{Put, Room};

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;
const HEX: &[u8; 16] = b"0123456789abcdef";

/// Sets a high bit where one of eight bytes is below 0x20, `"`, `\`, DEL or not ASCII, and none where all are plain. A carry
/// or a borrow, and a high bit that was there before, may set one too many beside a byte that is found anyway.
fn suspicious(word: [u8; 8]) -> u64 {
    let word = u64::from_le_bytes(word);
    let control = word.wrapping_sub(ONES * 0x20);
    let quote = (word ^ (ONES * 0x22)).wrapping_sub(ONES);
    let backslash = (word ^ (ONES * 0x5c)).wrapping_sub(ONES);
    let delete = word.wrapping_add(ONES);
    (control | quote | backslash | delete | word) & HIGHS
}

fn is_plain(byte: u8) -> bool {
    matches!(byte, 0x20..0x7f) && byte != b'"' && byte != b'\\'
}

/// Whether nothing needs an escape. The last bytes are looked at as a word too: one that overlaps the word before, or that
/// is filled up with blanks.
#[inline(always)]
fn is_all_plain(text: &[u8]) -> bool {
    if let Some(last) = text.last_chunk::<8>() {
        let (words, _) = text.as_chunks::<8>();
        return words.iter().fold(suspicious(*last), |found, word| found | suspicious(*word)) == 0;
    }
    let mut word = *b"        ";
    word[..text.len()].copy_from_slice(text);
    suspicious(word) == 0
}

/// Takes text into JSON strings.
pub(super) trait PutJson: Put {
    /// Puts the inside of a JSON string (RFC 8259 §7); bytes that are not UTF-8 become U+FFFD.
    fn put_json(&mut self, text: &[u8]);
}

impl PutJson for Vec<u8> {
    fn put_json(&mut self, text: &[u8]) {
        if is_all_plain(text) {
            self.put(text);
        } else {
            push_json_slow(text, self);
        }
    }
}

/// What needs an escape is refused: nearly no line has such. Room that is handed to no function stays in registers.
impl PutJson for Room<'_> {
    #[inline(always)]
    fn put_json(&mut self, text: &[u8]) {
        self.put(text);
        if !is_all_plain(text) {
            self.refuse();
        }
    }
}

#[cold]
fn push_json_slow(text: &[u8], out: &mut Vec<u8>) {
    for chunk in text.utf8_chunks() {
        for &byte in chunk.valid().as_bytes() {
            match byte {
                b'"' | b'\\' => out.put(&[b'\\', byte]),
                b'\n' => out.put(b"\\n"),
                b'\r' => out.put(b"\\r"),
                b'\t' => out.put(b"\\t"),
                0..0x20 | 0x7f => {
                    out.put(b"\\u00");
                    out.put(&hex(byte));
                }
                _ => out.put(&[byte]),
            }
        }
        if !chunk.invalid().is_empty() {
            out.put("\u{fffd}".as_bytes());
        }
    }
}

/// Appends text as Apache's and nginx's logs have it: what is not plain as `\xHH`.
pub(super) fn push_combined(text: &[u8], out: &mut Vec<u8>) {
    if is_all_plain(text) {
        out.extend_from_slice(text);
        return;
    }
    for &byte in text {
        if is_plain(byte) {
            out.push(byte);
        } else {
            out.extend_from_slice(b"\\x");
            out.extend_from_slice(&hex(byte));
        }
    }
}

fn hex(byte: u8) -> [u8; 2] {
    [HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_word_is_plain_exactly_when_its_bytes_are() {
        for byte in 0..=255_u8 {
            for position in 0..8 {
                let mut word = *b"ab cd/~!";
                word[position] = byte;
                assert_eq!(suspicious(word) == 0, is_plain(byte), "{byte:#x} at {position}");
            }
        }
    }

    #[test]
    fn a_byte_that_needs_an_escape_is_found_at_every_place_of_every_length() {
        for length in 0..40 {
            assert!(is_all_plain(&vec![b'a'; length]));
            for place in 0..length {
                let mut text = vec![b'a'; length];
                text[place] = b'"';
                assert!(!is_all_plain(&text), "at {place} of {length}");
            }
        }
    }

    #[test]
    fn room_takes_what_is_plain_and_refuses_what_needs_an_escape() {
        let check = |text: &[u8], written: Option<usize>| {
            let mut bytes = [0; 64];
            let mut room = Room::new(&mut bytes);
            room.put(b"\"");
            room.put_json(text);
            assert_eq!(room.written(), written);
            assert!(written.is_none_or(|written| bytes[1..written] == *text));
        };
        check(b"", Some(1));
        check(b"/cart", Some(6));
        check(&[b'x'; 63], Some(64));
        check(&[b'x'; 64], None);
        check(b"/\"", None);
        check("/caf\u{e9}".as_bytes(), None);
    }

    #[test]
    fn what_is_not_plain_is_escaped_in_combined_lines() {
        let check = |text: &[u8], expected: &str| {
            let mut out = Vec::new();
            push_combined(text, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        };
        check(b"curl/8.0 (x; y)", "curl/8.0 (x; y)");
        check(b"a\"b\\c\r\n\xff", "a\\x22b\\x5cc\\x0d\\x0a\\xff");
    }

    proptest! {
        #[test]
        fn an_escaped_string_reads_back_as_it_was(text: Vec<u8>) {
            let mut out = vec![b'"'];
            out.put_json(&text);
            out.push(b'"');
            let read: String = serde_json::from_slice(&out).unwrap();
            prop_assert_eq!(read, String::from_utf8_lossy(&text));
            prop_assert!(!out.iter().any(|byte| *byte < 0x20));
        }
    }
}
