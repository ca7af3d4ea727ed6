//! What is asked of the router, and what it answers.

/// A route's position in the rules that the router was compiled from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RouteIndex(pub u32);

/// What of a request decides about its route.
#[derive(Clone, Copy)]
pub struct Ask<'a> {
    /// As sent: methods are case-sensitive.
    pub method: &'a [u8],
    /// As sent: any case, with or without a port.
    pub host: &'a [u8],
    /// The listener's, which counts where `host` names none.
    pub port: u16,
    /// Normalised, without the query.
    pub path: &'a [u8],
    /// Whether it came over TLS; SNIs are looked at only then.
    pub tls: bool,
    /// The name that the client asked for in its handshake.
    pub sni: Option<&'a str>,
    /// The request's header fields.
    pub fields: &'a dyn Fields,
}

/// The header fields of a request, whatever holds them.
pub trait Fields {
    /// Whether any line of the field `name` (in lower case) passes `test`.
    fn any(&self, name: &str, test: &mut dyn FnMut(&[u8]) -> bool) -> bool;
}

/// A request without header fields.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoFields;

impl Fields for NoFields {
    fn any(&self, _name: &str, _test: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        false
    }
}

impl<N: AsRef<str>, V: AsRef<[u8]>> Fields for Vec<(N, V)> {
    fn any(&self, name: &str, test: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        self.iter().any(|(key, value)| key.as_ref().eq_ignore_ascii_case(name) && test(value.as_ref()))
    }
}

/// The route that won.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Match {
    /// Which one.
    pub route: RouteIndex,
    /// Bytes at the path's start that the route's path rule matched; 0 where it has none.
    pub matched: usize,
}
