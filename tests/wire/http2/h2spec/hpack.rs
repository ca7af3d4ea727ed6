//! `hpack`: field blocks that cannot be read.

use super::case::Expect::ConnectionError;
use super::case::{Case, case};
use super::site::{Site, headers};
use crate::http2::frames::{COMPRESSION, END_HEADERS, END_STREAM, PROTOCOL, TABLE_SIZE, number};

/// 4 KiB: where none is announced.
const TABLE: u32 = 4 << 10;
/// How a field `x-test` that is not indexed begins, its name in Huffman's code.
const NAMED: &[u8] = &[0, 0x85, 0xf2, 0xb2, 0x4a, 0x84, 0xff];

pub(super) fn cases(site: &Site) -> Vec<Case> {
    let case = |number, title, send| case(number, title, send, ConnectionError(&[COMPRESSION])).by_the_end(PROTOCOL);
    let and = |number, title, more: &[u8]| case(number, title, site.get_and(more));
    let valued = |value: &[u8]| [NAMED, value].concat();
    let table = site.announces(TABLE_SIZE).unwrap_or(TABLE) as usize;
    let resized = [number(0x20, 5, table + 1), site.block()].concat();
    vec![
        and("hpack/2.3.3/1", "a field whose index is beyond both tables", &[0xc6]),
        and("hpack/2.3.3/2", "a name whose index is beyond both tables", &[0x7f, 7, 0]),
        and("hpack/4.2/1", "the table's size changes at the end of a block", &[0x21]),
        and("hpack/5.2/1", "padding of more than seven bits", &valued(&[0x84, 0x49, 0x50, 0x9f, 0xff])),
        and("hpack/5.2/2", "padding that is not all ones", &valued(&[0x83, 0x49, 0x50, 0x90])),
        and("hpack/5.2/3", "the symbol that ends a string", &valued(&[0x87, 0x49, 0x51, 0xff, 0xff, 0xff, 0xfa, 0x7f])),
        and("hpack/6.1/1", "index 0", &[0x80]),
        case("hpack/6.3/1", "a table that is larger than is allowed", headers(END_HEADERS | END_STREAM, 1, &resized)),
    ]
}
