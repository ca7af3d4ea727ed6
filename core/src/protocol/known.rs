//! The field names that the gateway itself reads, writes or drops, as one byte.

/// A field's name, classified once when its head is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
#[expect(missing_docs, reason = "each variant is the field of that name")]
pub enum Known {
    /// A name that the gateway has no opinion on.
    Other,
    Host,
    ContentLength,
    TransferEncoding,
    Connection,
    KeepAlive,
    ProxyConnection,
    /// `Proxy`: no HTTP field, but CGI programs take it for the variable `HTTP_PROXY`.
    Proxy,
    Te,
    Trailer,
    Upgrade,
    Expect,
    Date,
    Server,
    Via,
    UserAgent,
    Accept,
    Cookie,
    XForwardedFor,
    XForwardedProto,
    XForwardedHost,
    XForwardedPort,
    XForwardedPath,
    XForwardedPrefix,
    XRealIp,
    /// `X-Kong-Request-Id`.
    XRequestId,
    /// A name above spelt with `_` for `-`, such as `X_Real_IP`. Many applications see no difference between the two
    /// (CGI, WSGI, Rack), so it would speak with the gateway's voice: never sent on.
    Underscored,
    /// A field that was taken out of the head; no view of the head shows it.
    Removed,
}

impl Known {
    /// This name's bit in a set of names.
    pub(crate) const fn bit(self) -> u64 {
        1 << self as u8
    }

    /// Classifies a name. It must be a token: what is not may be taken for another name.
    pub(crate) fn of(name: &[u8]) -> Self {
        let Some(candidates) = BY_LENGTH.get(name.len()) else { return Self::Other };
        for (candidate, known) in *candidates {
            if same(name, candidate) {
                return *known;
            }
        }
        if !candidates.is_empty() && memchr::memchr(b'_', name).is_some() {
            underscored(name, candidates)
        } else {
            Self::Other
        }
    }
}

/// Whether `name` is `lower` in any case. For bytes of tokens, `| 0x20` folds exactly the letters: of them only a
/// letter's other case becomes a letter, and nothing but `-` becomes `-`.
fn same(name: &[u8], lower: &[u8]) -> bool {
    name.len() == lower.len() && name.iter().zip(lower).all(|(&a, &b)| a | 0x20 == b)
}

#[cold]
fn underscored(name: &[u8], candidates: &[(&[u8], Known)]) -> Known {
    let alike = |a: u8, b: u8| a | 0x20 == b || (a == b'_' && b == b'-');
    let found = candidates.iter().any(|(candidate, _)| name.iter().zip(*candidate).all(|(&a, &b)| alike(a, b)));
    if found { Known::Underscored } else { Known::Other }
}

/// The names by their length, in lower case.
const BY_LENGTH: [&[(&[u8], Known)]; 19] = [
    &[],
    &[],
    &[(b"te", Known::Te)],
    &[(b"via", Known::Via)],
    &[(b"host", Known::Host), (b"date", Known::Date)],
    &[(b"proxy", Known::Proxy)],
    &[(b"accept", Known::Accept), (b"cookie", Known::Cookie), (b"server", Known::Server), (b"expect", Known::Expect)],
    &[(b"upgrade", Known::Upgrade), (b"trailer", Known::Trailer)],
    &[],
    &[(b"x-real-ip", Known::XRealIp)],
    &[(b"user-agent", Known::UserAgent), (b"connection", Known::Connection), (b"keep-alive", Known::KeepAlive)],
    &[],
    &[],
    &[],
    &[(b"content-length", Known::ContentLength)],
    &[(b"x-forwarded-for", Known::XForwardedFor)],
    &[
        (b"x-forwarded-host", Known::XForwardedHost),
        (b"x-forwarded-port", Known::XForwardedPort),
        (b"x-forwarded-path", Known::XForwardedPath),
        (b"proxy-connection", Known::ProxyConnection),
    ],
    &[
        (b"transfer-encoding", Known::TransferEncoding),
        (b"x-forwarded-proto", Known::XForwardedProto),
        (b"x-kong-request-id", Known::XRequestId),
    ],
    &[(b"x-forwarded-prefix", Known::XForwardedPrefix)],
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_known_in_any_case_and_underscored_ones_for_what_they_are() {
        let check = |name: &str, known| assert_eq!(Known::of(name.as_bytes()), known, "{name}");
        check("Host", Known::Host);
        check("hOST", Known::Host);
        check("X-REAL-IP", Known::XRealIp);
        check("X-Kong-Request-ID", Known::XRequestId);
        check("X_Real_IP", Known::Underscored);
        check("X_Real-IP", Known::Underscored);
        check("x_forwarded_for", Known::Underscored);
        check("content_length", Known::Underscored);
        check("user_agents", Known::Other);
        check("X-Real-Id", Known::Other);
        check("Hosts", Known::Other);
        check("", Known::Other);
        check("x_request_id", Known::Other);
        check("X-Forwarded-Prefix-And-More", Known::Other);
    }

    #[test]
    fn the_table_holds_each_name_under_its_length() {
        for (length, names) in BY_LENGTH.iter().enumerate() {
            for (name, known) in *names {
                assert_eq!(name.len(), length);
                assert_eq!(Known::of(&name.to_ascii_uppercase()), *known);
            }
        }
        assert!((Known::Removed as u8) < 64, "a set of names is one u64");
    }
}
