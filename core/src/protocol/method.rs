//! Request methods, as far as a gateway treats them differently.

/// A request's method; [`Method::Other`] stands for every token that is not in RFC 9110 §9 or RFC 5789.
///
/// Methods are case-sensitive: `get` is `Other`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Method {
    /// RFC 9110 §9.3.1.
    #[default]
    Get,
    /// RFC 9110 §9.3.2: answered without a body.
    Head,
    /// RFC 9110 §9.3.3.
    Post,
    /// RFC 9110 §9.3.4.
    Put,
    /// RFC 5789.
    Patch,
    /// RFC 9110 §9.3.5.
    Delete,
    /// RFC 9110 §9.3.7: the only one whose target may be `*`.
    Options,
    /// RFC 9110 §9.3.8.
    Trace,
    /// RFC 9110 §9.3.6.
    Connect,
    /// Any other token, such as `PROPFIND` or `LOCK`.
    Other,
}

impl Method {
    /// The method that these bytes name.
    #[must_use]
    pub fn from_bytes(name: &[u8]) -> Self {
        match name {
            b"GET" => Self::Get,
            b"HEAD" => Self::Head,
            b"POST" => Self::Post,
            b"PUT" => Self::Put,
            b"PATCH" => Self::Patch,
            b"DELETE" => Self::Delete,
            b"OPTIONS" => Self::Options,
            b"TRACE" => Self::Trace,
            b"CONNECT" => Self::Connect,
            _ => Self::Other,
        }
    }

    /// Whether doing it twice is as doing it once (RFC 9110 §9.2.2), so that a request whose fate is unknown may be
    /// tried again. Unknown methods are not: `LOCK` and `POST` look alike from here.
    #[must_use]
    pub fn is_idempotent(self) -> bool {
        matches!(self, Self::Get | Self::Head | Self::Options | Self::Trace | Self::Put | Self::Delete)
    }

    /// Whether it asks for nothing to be changed (RFC 9110 §9.2.1).
    #[must_use]
    pub fn is_safe(self) -> bool {
        matches!(self, Self::Get | Self::Head | Self::Options | Self::Trace)
    }
}

#[cfg(test)]
mod tests {
    use super::Method;

    #[test]
    fn methods_are_case_sensitive_and_know_whether_they_may_be_repeated() {
        let check = |name: &str, method, idempotent| {
            assert_eq!(Method::from_bytes(name.as_bytes()), method, "{name}");
            assert_eq!(method.is_idempotent(), idempotent, "{name}");
        };
        check("GET", Method::Get, true);
        check("HEAD", Method::Head, true);
        check("PUT", Method::Put, true);
        check("DELETE", Method::Delete, true);
        check("OPTIONS", Method::Options, true);
        check("TRACE", Method::Trace, true);
        check("POST", Method::Post, false);
        check("PATCH", Method::Patch, false);
        check("CONNECT", Method::Connect, false);
        check("LOCK", Method::Other, false);
        check("get", Method::Other, false);
        check("GETS", Method::Other, false);
    }
}
