//! No path climbs out of where it is joined to, and none becomes something else than a path.
#![no_main]

use libfuzzer_sys::fuzz_target;
use plimsoll_core::protocol::uri::{is_plain, join_path, normalise_path, split_host};

fuzz_target!(|input: (bool, bool, u8, &[u8])| {
    let (v1, strip, stripped, tail) = input;
    let path = [b"/", tail].concat();
    let mut normal = Vec::new();
    normalise_path(&path, &mut normal);
    assert!(normal.first() == Some(&b'/') && normal.len() <= path.len());
    let segments = || normal.split(|&b| b == b'/');
    assert!(segments().all(|segment| segment != b"." && segment != b".."));
    assert!(!normal.windows(2).any(|pair| pair == b"//"));
    for base in [None, Some(&b"/base"[..]), Some(b"/base/")] {
        let mut joined = Vec::new();
        join_path(v1, base, &normal, usize::from(stripped).min(normal.len()), strip, &mut joined);
        assert!(is_plain(&joined) && joined.first() == Some(&b'/'), "fit for a request line");
        assert!(joined.starts_with(base.map_or(b"/", |base| base.strip_suffix(b"/").unwrap_or(base))));
    }
    let (name, port) = split_host(tail);
    assert!(tail.starts_with(name) && (port.is_none() || name.len() < tail.len()));
});
