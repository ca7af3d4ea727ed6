//! Bytes and fields: what a request's and a response's head have in common.

use crate::protocol::h1::Line;
use crate::protocol::message::{HEAD_BYTES_MAX, HEAD_FIELDS_MAX};
use crate::protocol::put::Put;
use crate::protocol::{HeadError, Known, syntax};

/// A range of a head's bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::protocol) struct Span {
    pub(in crate::protocol) start: u16,
    pub(in crate::protocol) end: u16,
}

impl Span {
    /// Positions beyond `u16` cannot come up: [`HEAD_BYTES_MAX`] is checked before.
    #[expect(clippy::cast_possible_truncation, reason = "heads over HEAD_BYTES_MAX are refused before they have spans")]
    pub(in crate::protocol) fn new(start: usize, end: usize) -> Self {
        debug_assert!(start <= end && end <= usize::from(u16::MAX), "{start}..{end}");
        Self { start: start as u16, end: end as u16 }
    }
}

/// One field line: `start..end` is the whole line with its CRLF.
#[derive(Clone, Copy, Debug)]
pub(in crate::protocol) struct Field {
    pub(in crate::protocol) name: Span,
    pub(in crate::protocol) value: Span,
    pub(in crate::protocol) end: u16,
    pub(in crate::protocol) known: Known,
    /// Came with the message, so that its `Connection` may name it; what the gateway adds it may not.
    pub(in crate::protocol) received: bool,
}

/// The bytes of a head, and the fields in them.
#[derive(Clone, Debug, Default)]
pub(in crate::protocol) struct Store {
    pub(in crate::protocol) bytes: Vec<u8>,
    pub(in crate::protocol) fields: Vec<Field>,
    /// The names among them, as bits of [`Known::bit`].
    pub(in crate::protocol) names: u64,
}

impl Store {
    pub(in crate::protocol) fn clear(&mut self) {
        self.bytes.clear();
        self.fields.clear();
        self.names = 0;
    }

    pub(in crate::protocol) fn slice(&self, span: Span) -> &[u8] {
        &self.bytes[usize::from(span.start)..usize::from(span.end)]
    }

    pub(in crate::protocol) fn has(&self, known: Known) -> bool {
        self.names & known.bit() != 0
    }

    /// The first field of that name.
    pub(in crate::protocol) fn known(&self, known: Known) -> Option<&[u8]> {
        if !self.has(known) {
            return None;
        }
        self.fields.iter().find(|field| field.known == known).map(|field| self.slice(field.value))
    }

    /// The values of all fields of that name, in order.
    pub(in crate::protocol) fn all_known(&self, known: Known) -> impl Iterator<Item = &[u8]> {
        self.fields.iter().filter(move |field| field.known == known).map(|field| self.slice(field.value))
    }

    pub(in crate::protocol) fn fields(&self) -> impl Iterator<Item = (&[u8], &[u8], Known)> {
        let shown = self.fields.iter().filter(|field| field.known != Known::Removed);
        shown.map(|field| (self.slice(field.name), self.slice(field.value), field.known))
    }

    pub(in crate::protocol) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.fields().filter(|(found, ..)| found.eq_ignore_ascii_case(name.as_bytes())).map(|(_, value, _)| value)
    }

    /// Notes a field of a message whose bytes will lie in the store from its first byte on.
    #[inline]
    pub(in crate::protocol) fn note(&mut self, bytes: &[u8], line: Line) -> Result<Known, HeadError> {
        if self.fields.len() >= HEAD_FIELDS_MAX {
            return Err(HeadError::TooManyHeaders);
        }
        let known = Known::of(&bytes[line.start..line.name_end]);
        self.names |= known.bit();
        self.fields.push(Field {
            name: Span::new(line.start, line.name_end),
            value: Span::new(line.value_start, line.value_end),
            end: Span::new(0, line.end).end,
            known,
            received: true,
        });
        Ok(known)
    }

    /// Appends a field as a line of its own, after checking name and value.
    pub(in crate::protocol) fn push(&mut self, name: &[u8], value: &[u8]) -> Result<Known, HeadError> {
        let value = syntax::trim(value);
        if !syntax::is_token(name) {
            return Err(HeadError::FieldName);
        }
        if !syntax::is_value(value) {
            return Err(HeadError::FieldValue);
        }
        if self.bytes.len() + name.len() + value.len() + 4 > HEAD_BYTES_MAX {
            return Err(HeadError::HeadersTooLarge);
        }
        if self.fields.len() >= HEAD_FIELDS_MAX {
            return Err(HeadError::TooManyHeaders);
        }
        let name = self.append(name);
        self.bytes.extend_from_slice(b": ");
        let value = self.append(value);
        let end = self.append(b"\r\n").end;
        let known = Known::of(self.slice(name));
        self.names |= known.bit();
        self.fields.push(Field { name, value, end, known, received: false });
        Ok(known)
    }

    /// Appends bytes that belong to no field. The caller has checked that they fit.
    pub(in crate::protocol) fn append(&mut self, bytes: &[u8]) -> Span {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        Span::new(start, self.bytes.len())
    }

    /// Takes every field of that name out, in any case. Returns whether there was one.
    pub(in crate::protocol) fn remove(&mut self, name: &str) -> bool {
        let mut removed = false;
        for field in &mut self.fields {
            let found = &self.bytes[usize::from(field.name.start)..usize::from(field.name.end)];
            if field.known != Known::Removed && found.eq_ignore_ascii_case(name.as_bytes()) {
                field.known = Known::Removed;
                removed = true;
            }
        }
        if removed {
            self.names = self.fields.iter().fold(0, |names, field| names | field.known.bit());
        }
        removed
    }

    /// The fields whose names are in `kept`; with `nominates`, without those that `Connection` names.
    pub(in crate::protocol) fn kept(&self, kept: u64, nominates: bool) -> impl Iterator<Item = &Field> {
        self.fields
            .iter()
            .filter(move |field| kept & field.known.bit() != 0 && !(nominates && self.is_nominated(field)))
    }

    /// Copies the lines of those fields to `out`, neighbours in one copy.
    pub(in crate::protocol) fn copy_lines(&self, kept: u64, nominates: bool, out: &mut impl Put) {
        let mut run = Span::default();
        for field in self.kept(kept, nominates) {
            if field.name.start != run.end {
                out.put(self.slice(run));
                run.start = field.name.start;
            }
            run.end = field.end;
        }
        out.put(self.slice(run));
    }

    /// Whether `Connection` names this field, which makes it hop-by-hop (RFC 9110 §7.6.1). What frames the message or
    /// tells where it came from stays: a client could cut a body off its length, or a proxy's word out.
    fn is_nominated(&self, field: &Field) -> bool {
        let name = self.slice(field.name);
        field.received
            && NOMINABLE & field.known.bit() != 0
            && self.all_known(Known::Connection).flat_map(syntax::list).any(|option| option.eq_ignore_ascii_case(name))
    }
}

/// The names that `Connection` may make hop-by-hop.
const NOMINABLE: u64 = Known::Other.bit()
    | Known::Trailer.bit()
    | Known::Server.bit()
    | Known::UserAgent.bit()
    | Known::Accept.bit()
    | Known::Cookie.bit();
