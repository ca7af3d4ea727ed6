//! The two shapes in which fields are put out: lines of HTTP/1, and pairs for HTTP/2.

use crate::protocol::put::Put;
use smallvec::SmallVec;

/// Takes the fields that the gateway adds. A value comes in parts, so that none has to be put together first.
pub(super) trait Sink {
    fn field(&mut self, name: &'static str, parts: &[&[u8]]);
}

/// Lines of an HTTP/1 head.
pub(super) struct Lines<'a, P>(pub(super) &'a mut P);

impl<P: Put> Sink for Lines<'_, P> {
    #[inline(always)]
    fn field(&mut self, name: &'static str, parts: &[&[u8]]) {
        self.0.put(name.as_bytes());
        self.0.put(b": ");
        for part in parts {
            self.0.put(part);
        }
        self.0.put(b"\r\n");
    }
}

/// Pairs with names in lower case, as HTTP/2 wants them.
pub(super) struct Pairs<'a>(pub(super) &'a mut dyn FnMut(&[u8], &[u8]));

impl Pairs<'_> {
    pub(super) fn lower(&mut self, name: &[u8], value: &[u8]) {
        let mut lower: SmallVec<[u8; 64]> = SmallVec::from_slice(name);
        lower.make_ascii_lowercase();
        (self.0)(&lower, value);
    }
}

impl Sink for Pairs<'_> {
    fn field(&mut self, name: &'static str, parts: &[&[u8]]) {
        let mut value: SmallVec<[u8; 128]> = SmallVec::new();
        for part in parts {
            value.extend_from_slice(part);
        }
        self.lower(name.as_bytes(), &value);
    }
}
