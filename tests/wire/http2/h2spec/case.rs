//! How a case is written down: what is sent, and what h2spec takes for right.

use crate::http2::frames::{
    ACK, CALM, CANCEL, COMPRESSION, Came, DATA, END_STREAM, FLOW_CONTROL, FRAME_SIZE, GOAWAY, HEADERS, PING, PROTOCOL,
    REFUSED, RST_STREAM, SETTINGS, STREAM_CLOSED,
};
use std::fmt::{Display, Formatter, Result};

/// One case.
pub(super) struct Case {
    /// Its number in h2spec: the specification, the section, and which one of it.
    pub(super) number: &'static str,
    pub(super) title: &'static str,
    pub(super) begins: Begins,
    /// What is sent, and what must come before the next is.
    pub(super) steps: Vec<(Vec<u8>, Expect)>,
    pub(super) passes: Passes,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Begins {
    /// Both sides have said and acknowledged their SETTINGS: h2spec's `Handshake`.
    AfterSettings,
    /// Nothing has been said yet.
    Silent,
}

/// In which way it is right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Passes {
    /// As it stands.
    AsNamed,
    /// By the end of the connection, after a GOAWAY with this code in place of one that is named. h2spec takes that.
    ByTheEnd(u32),
    /// Not by h2spec's rule, for this reason: the last step says what comes.
    ByIntent(&'static str),
}

/// A case whose bytes go out at once when SETTINGS are exchanged.
pub(super) fn case(number: &'static str, title: &'static str, send: Vec<u8>, expect: Expect) -> Case {
    Case { number, title, begins: Begins::AfterSettings, steps: vec![(send, expect)], passes: Passes::AsNamed }
}

impl Case {
    pub(super) fn silent(self) -> Self {
        Self { begins: Begins::Silent, ..self }
    }

    pub(super) fn then(mut self, send: Vec<u8>, expect: Expect) -> Self {
        self.steps.push((send, expect));
        self
    }

    pub(super) fn by_the_end(self, code: u32) -> Self {
        Self { passes: Passes::ByTheEnd(code), ..self }
    }

    pub(super) fn by_intent(mut self, comes: Expect, reason: &'static str) -> Self {
        if let Some((_, expect)) = self.steps.last_mut() {
            *expect = comes;
        }
        Self { passes: Passes::ByIntent(reason), ..self }
    }
}

/// What must come. What is not meant may come before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expect {
    /// GOAWAY with one of these codes, or the end.
    ConnectionError(&'static [u32]),
    /// GOAWAY or `RST_STREAM` with one of these codes, or the end.
    StreamError(&'static [u32]),
    /// SETTINGS, before anything else.
    SettingsFirst,
    SettingsAcknowledged,
    /// HEADERS of stream 1: an answer, whichever.
    Answer,
    /// The end of a stream: by DATA or HEADERS, or by `RST_STREAM` without an error.
    Finished,
    Data,
    DataOfOneOctet,
    /// PING, whatever it says.
    Ping,
    /// The answer to a PING of these bytes.
    Pong(&'static [u8; 8]),
    PongOrEnd(&'static [u8; 8]),
    /// The end, whatever came before it.
    End,
    /// GOAWAY, whatever its code is.
    GoAway,
    /// GOAWAY with this code.
    GoAwayWith(u32),
    /// `RST_STREAM` of stream 1 with this code.
    ResetWith(u32),
    /// An answer of HTTP/1.1 with this status, and the end.
    Http1(u16),
}

impl Expect {
    /// Whether a frame, or the end, settles it, and how.
    pub(super) fn settled(self, came: Option<&Came>) -> Option<bool> {
        let Some(came) = came else { return Some(self.takes_the_end()) };
        let (kind, acknowledges) = (came.kind, came.flags & ACK != 0);
        let first = |of: u8, right: bool| (kind == of).then_some(right);
        let if_right = |right: bool| right.then_some(true);
        let has = |codes: &[u32]| came.code().is_some_and(|code| codes.contains(&code));
        match self {
            Self::ConnectionError(codes) => if_right(kind == GOAWAY && has(codes)),
            Self::StreamError(codes) => if_right(has(codes)),
            Self::SettingsFirst => Some(kind == SETTINGS && !acknowledges),
            Self::SettingsAcknowledged => first(SETTINGS, acknowledges),
            Self::Answer => first(HEADERS, came.stream == 1),
            Self::Finished => if_right(match kind {
                DATA | HEADERS => came.flags & END_STREAM != 0,
                _ => kind == RST_STREAM && has(&[0]),
            }),
            Self::Data => first(DATA, true),
            Self::DataOfOneOctet => first(DATA, came.payload.len() == 1),
            Self::Ping => first(PING, true),
            Self::Pong(bytes) => first(PING, acknowledges && came.payload == bytes),
            Self::PongOrEnd(bytes) => if_right(kind == PING && acknowledges && came.payload == bytes),
            Self::GoAway => first(GOAWAY, true),
            Self::GoAwayWith(code) => first(GOAWAY, has(&[code])),
            Self::ResetWith(code) => first(RST_STREAM, came.stream == 1 && has(&[code])),
            Self::End | Self::Http1(_) => None,
        }
    }

    fn takes_the_end(self) -> bool {
        self.names_codes() || matches!(self, Self::PongOrEnd(_) | Self::End)
    }

    /// Whether some codes are right, and others by the end alone.
    pub(super) fn names_codes(self) -> bool {
        matches!(self, Self::ConnectionError(_) | Self::StreamError(_))
    }
}

impl Display for Expect {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let any = |codes: &[u32]| codes.iter().map(|code| name(*code)).collect::<Vec<_>>().join(" or ");
        match self {
            Self::ConnectionError(codes) => write!(f, "GOAWAY with {}, or the end", any(codes)),
            Self::StreamError(codes) => write!(f, "GOAWAY or RST_STREAM with {}, or the end", any(codes)),
            Self::GoAwayWith(code) => write!(f, "GOAWAY with {}", name(*code)),
            Self::ResetWith(code) => write!(f, "RST_STREAM of stream 1 with {}", name(*code)),
            Self::Http1(status) => write!(f, "{status} by HTTP/1.1, and the end"),
            Self::Pong(bytes) => write!(f, "an answer to the PING \"{}\"", bytes.escape_ascii()),
            Self::PongOrEnd(bytes) => write!(f, "an answer to the PING \"{}\", or the end", bytes.escape_ascii()),
            Self::SettingsFirst => f.write_str("SETTINGS first"),
            Self::SettingsAcknowledged => f.write_str("SETTINGS that acknowledges"),
            Self::Answer => f.write_str("HEADERS of stream 1"),
            Self::Finished => f.write_str("the end of the stream"),
            Self::Data => f.write_str("DATA"),
            Self::DataOfOneOctet => f.write_str("DATA of one octet"),
            Self::Ping => f.write_str("PING"),
            Self::End => f.write_str("the end"),
            Self::GoAway => f.write_str("GOAWAY"),
        }
    }
}

/// What the standard calls a code.
pub(super) fn name(code: u32) -> String {
    match code {
        0 => "NO_ERROR",
        PROTOCOL => "PROTOCOL_ERROR",
        2 => "INTERNAL_ERROR",
        FLOW_CONTROL => "FLOW_CONTROL_ERROR",
        STREAM_CLOSED => "STREAM_CLOSED",
        FRAME_SIZE => "FRAME_SIZE_ERROR",
        REFUSED => "REFUSED_STREAM",
        CANCEL => "CANCEL",
        COMPRESSION => "COMPRESSION_ERROR",
        CALM => "ENHANCE_YOUR_CALM",
        other => return format!("code {other}"),
    }
    .to_owned()
}
