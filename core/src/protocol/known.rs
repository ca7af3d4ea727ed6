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
    Forwarded,
    XForwardedFor,
    XForwardedProto,
    XForwardedHost,
    XForwardedPort,
    XForwardedPath,
    XForwardedPrefix,
    XRealIp,
    /// `X-Kong-Request-Id`.
    XRequestId,
    /// What Kong's plugins say of who was authenticated: `X-Consumer-Username` and its like. Applications take it for the
    /// gateway's word.
    Consumer,
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
        let Some(&first) = name.first() else { return Self::Other };
        match (name.len(), first | 0x20) {
            (2, b't') => one(name, b"te", Self::Te),
            (3, b'v') => one(name, b"via", Self::Via),
            (4, b'h') => one(name, b"host", Self::Host),
            (4, b'd') => one(name, b"date", Self::Date),
            (5, b'p') => one(name, b"proxy", Self::Proxy),
            (6, b'a') => one(name, b"accept", Self::Accept),
            (9, b'f') => one(name, b"forwarded", Self::Forwarded),
            (6, b'c') => one(name, b"cookie", Self::Cookie),
            (6, b's') => one(name, b"server", Self::Server),
            (6, b'e') => one(name, b"expect", Self::Expect),
            (7, b'u') => one(name, b"upgrade", Self::Upgrade),
            (7, b't') => one(name, b"trailer", Self::Trailer),
            (9, b'x') => one(name, b"x-real-ip", Self::XRealIp),
            (10, b'u') => one(name, b"user-agent", Self::UserAgent),
            (10, b'c') => one(name, b"connection", Self::Connection),
            (10, b'k') => one(name, b"keep-alive", Self::KeepAlive),
            (14, b'c') => one(name, b"content-length", Self::ContentLength),
            (15, b'x') => one(name, b"x-forwarded-for", Self::XForwardedFor),
            (16, b'p') => one(name, b"proxy-connection", Self::ProxyConnection),
            (17, b't') => one(name, b"transfer-encoding", Self::TransferEncoding),
            (13 | 16..=23, b'x') => of_many(name),
            _ => Self::Other,
        }
    }
}

/// `known` if the name is `lower` in any case.
#[inline]
fn one<const N: usize>(name: &[u8], lower: &[u8; N], known: Known) -> Known {
    if same(name, lower) {
        known
    } else if same_but_underscores(name, lower) {
        Known::Underscored
    } else {
        Known::Other
    }
}

/// The names whose length and first letter do not tell them apart.
fn of_many(name: &[u8]) -> Known {
    const NAMES: [(&[u8], Known); 16] = [
        (b"x-forwarded-proto", Known::XForwardedProto),
        (b"x-forwarded-host", Known::XForwardedHost),
        (b"x-forwarded-port", Known::XForwardedPort),
        (b"x-forwarded-path", Known::XForwardedPath),
        (b"x-forwarded-prefix", Known::XForwardedPrefix),
        (b"x-kong-request-id", Known::XRequestId),
        (b"x-consumer-id", Known::Consumer),
        (b"x-consumer-groups", Known::Consumer),
        (b"x-consumer-username", Known::Consumer),
        (b"x-consumer-custom-id", Known::Consumer),
        (b"x-anonymous-consumer", Known::Consumer),
        (b"x-credential-username", Known::Consumer),
        (b"x-credential-identifier", Known::Consumer),
        (b"x-authenticated-scope", Known::Consumer),
        (b"x-authenticated-userid", Known::Consumer),
        (b"x-authenticated-groups", Known::Consumer),
    ];
    if let Some((_, known)) = NAMES.iter().find(|(lower, _)| name.eq_ignore_ascii_case(lower)) {
        return *known;
    }
    let underscored = NAMES.iter().any(|(lower, _)| same_but_underscores(name, lower));
    if underscored { Known::Underscored } else { Known::Other }
}

/// Whether `name` is `lower` in any case. For bytes of tokens, `| 0x20` folds exactly the letters: of them only a
/// letter's other case becomes a letter, and nothing but `-` becomes `-`. No early end: so it is a few wide compares.
#[inline]
fn same<const N: usize>(name: &[u8], lower: &[u8; N]) -> bool {
    let Ok(name) = <&[u8; N]>::try_from(name) else { return false };
    name.iter().zip(lower).fold(0, |differs, (&a, &b)| differs | ((a | 0x20) ^ b)) == 0
}

#[cold]
fn same_but_underscores(name: &[u8], lower: &[u8]) -> bool {
    let alike = |(&a, &b): (&u8, &u8)| a | 0x20 == b || (a == b'_' && b == b'-');
    name.len() == lower.len() && name.iter().zip(lower).all(alike)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_known_in_any_case_and_underscored_ones_for_what_they_are() {
        let check = |name: &str, known| assert_eq!(Known::of(name.as_bytes()), known, "{name}");
        let names: [(&str, Known); 36] = [
            ("te", Known::Te),
            ("via", Known::Via),
            ("host", Known::Host),
            ("date", Known::Date),
            ("proxy", Known::Proxy),
            ("accept", Known::Accept),
            ("cookie", Known::Cookie),
            ("server", Known::Server),
            ("expect", Known::Expect),
            ("upgrade", Known::Upgrade),
            ("trailer", Known::Trailer),
            ("forwarded", Known::Forwarded),
            ("x-real-ip", Known::XRealIp),
            ("user-agent", Known::UserAgent),
            ("connection", Known::Connection),
            ("keep-alive", Known::KeepAlive),
            ("content-length", Known::ContentLength),
            ("x-forwarded-for", Known::XForwardedFor),
            ("proxy-connection", Known::ProxyConnection),
            ("transfer-encoding", Known::TransferEncoding),
            ("x-forwarded-proto", Known::XForwardedProto),
            ("x-forwarded-host", Known::XForwardedHost),
            ("x-forwarded-port", Known::XForwardedPort),
            ("x-forwarded-path", Known::XForwardedPath),
            ("x-forwarded-prefix", Known::XForwardedPrefix),
            ("x-kong-request-id", Known::XRequestId),
            ("x-consumer-id", Known::Consumer),
            ("x-consumer-groups", Known::Consumer),
            ("x-consumer-username", Known::Consumer),
            ("x-consumer-custom-id", Known::Consumer),
            ("x-anonymous-consumer", Known::Consumer),
            ("x-credential-username", Known::Consumer),
            ("x-credential-identifier", Known::Consumer),
            ("x-authenticated-scope", Known::Consumer),
            ("x-authenticated-userid", Known::Consumer),
            ("x-authenticated-groups", Known::Consumer),
        ];
        for (name, known) in names {
            check(name, known);
            check(&name.to_ascii_uppercase(), known);
            check(&format!("{name}s"), Known::Other);
            if name.contains('-') {
                check(&name.replace('-', "_"), Known::Underscored);
            }
        }
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
    fn a_set_of_names_is_one_word() {
        assert!((Known::Removed as u8) < 64);
    }
}
