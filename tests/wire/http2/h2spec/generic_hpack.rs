//! `generic` 5: field blocks of every shape.

use super::case::Expect::Answer;
use super::case::{Case, case};
use super::site::{Site, headers};
use crate::http2::frames::{END_HEADERS, END_STREAM, number};

/// `user-agent` in Huffman's code, with its length.
const AGENT: &[u8] = &[0x87, 0xb5, 0x05, 0xb1, 0x61, 0xcc, 0x5a, 0x93];
/// `x-test`, the same.
const TEST: &[u8] = &[0x85, 0xf2, 0xb2, 0x4a, 0x84, 0xff];
/// `h2spec`, the same.
const VALUE: &[u8] = &[0x84, 0x9c, 0x48, 0xac, 0xa4];

// How a literal begins (RFC 7541 §6.2).
const INDEXED_AFTERWARDS: u8 = 0x40;
const NOT_INDEXED: u8 = 0;
const NEVER_INDEXED: u8 = 0x10;

/// Where h2spec speaks of an indexed name, it writes it out; and it has one case twice (12 and 13).
pub(super) fn cases(site: &Site) -> Vec<Case> {
    let field = |first: u8, name: &[u8], value: &[u8]| site.get_and(&[&[first], name, value].concat());
    let plain_agent = |first: u8| field(first, b"\x0auser-agent", b"\x06h2spec");
    let plain_test = |first: u8| field(first, b"\x06x-test", b"\x06h2spec");
    let resized = |sizes: &[usize]| {
        let sizes: Vec<u8> = sizes.iter().flat_map(|size| number(0x20, 5, *size)).collect();
        headers(END_HEADERS | END_STREAM, 1, &[&sizes[..], &site.block()].concat())
    };
    vec![
        // Entry 58 of the static table: `user-agent`, empty.
        case("generic/5/1", "a field by its index", site.get_and(&[0xba]), Answer),
        case(
            "generic/5/2",
            "a known name, indexed, in Huffman's code",
            field(INDEXED_AFTERWARDS, AGENT, VALUE),
            Answer,
        ),
        case("generic/5/3", "a known name, indexed", plain_agent(INDEXED_AFTERWARDS), Answer),
        case("generic/5/4", "a new name, indexed", plain_test(INDEXED_AFTERWARDS), Answer),
        case("generic/5/5", "a new name, indexed, in Huffman's code", field(INDEXED_AFTERWARDS, TEST, VALUE), Answer),
        case("generic/5/6", "a known name, not indexed", plain_agent(NOT_INDEXED), Answer),
        case("generic/5/7", "a known name, not indexed, in Huffman's code", field(NOT_INDEXED, AGENT, VALUE), Answer),
        case("generic/5/8", "a new name, not indexed", plain_test(NOT_INDEXED), Answer),
        case("generic/5/9", "a new name, not indexed, in Huffman's code", field(NOT_INDEXED, TEST, VALUE), Answer),
        case("generic/5/10", "a known name, never indexed", plain_agent(NEVER_INDEXED), Answer),
        case(
            "generic/5/11",
            "a known name, never indexed, in Huffman's code",
            field(NEVER_INDEXED, AGENT, VALUE),
            Answer,
        ),
        case("generic/5/12", "a new name, never indexed", field(NEVER_INDEXED, TEST, VALUE), Answer),
        case("generic/5/13", "a new name, never indexed, in Huffman's code", field(NEVER_INDEXED, TEST, VALUE), Answer),
        case("generic/5/14", "the table's size changes", resized(&[128]), Answer),
        case("generic/5/15", "the table's size changes twice", resized(&[128, 4096]), Answer),
    ]
}
