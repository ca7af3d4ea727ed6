//! Who may ask. A page that a browser shows must not reach the gateway through its visitor's browser: neither by a name
//! that it made resolve to this machine (Host), nor from its own origin (Origin, Sec-Fetch-Site). A program that is no
//! browser is held by the address that is bound, the socket's mode, and the token.

use super::answer::{Answer, empty, message};
use super::secret::Token;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, ORIGIN, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use plimsoll_core::config::Credentials;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// What is answered to everybody.
const OPEN: [&str; 2] = ["/healthz", "/readyz"];

/// Whether a path is for everybody.
pub(super) fn is_open(path: &str) -> bool {
    OPEN.contains(&path)
}

/// Which door a request came through.
#[derive(Clone, Debug)]
pub(super) enum Door {
    /// TCP, with the address that is bound.
    Tcp(SocketAddr),
    /// A Unix socket.
    Unix,
    /// The read-only one.
    Status,
}

/// What a request may be shown: secrets only where it bears the token or came over a Unix socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Trusted(pub(super) bool);

impl Trusted {
    /// What it may be shown of a document.
    pub(super) const fn credentials(self) -> Credentials {
        if self.0 { Credentials::Shown } else { Credentials::Hidden }
    }
}

/// The rules of one door.
#[derive(Clone)]
pub(super) struct Rules {
    pub(super) door: Door,
    pub(super) token: Option<Arc<Token>>,
}

impl Rules {
    /// Lets a request in, or answers it.
    pub(super) fn check(&self, method: &Method, path: &str, fields: &HeaderMap) -> Result<Trusted, Box<Answer>> {
        let borne = match (&self.token, fields.get(AUTHORIZATION)) {
            (Some(token), Some(field)) => token.is_borne_by(field.as_bytes()),
            _ => false,
        };
        // What keeps a container or a load balancer going says nothing that is worth hiding. And no browser bears a token.
        let is_open = is_open(path);
        if let Door::Tcp(bound) = self.door
            && !borne
            && !is_open
        {
            let Some(name) = one(fields, &HOST).and_then(host_name) else {
                return refuse(StatusCode::BAD_REQUEST, "a Host field is needed");
            };
            if !is_ours(name, bound.ip()) {
                let text =
                    "this Host is not one of the admin API: ask by loopback's name or by the address that is bound";
                return refuse(StatusCode::FORBIDDEN, text);
            }
        }
        if is_foreign(fields) {
            return refuse(StatusCode::FORBIDDEN, "pages of another origin may not use the admin API");
        }
        if self.token.is_some() && !borne && !is_open {
            let mut answer = message(StatusCode::UNAUTHORIZED, "Unauthorized");
            answer.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            return Err(Box::new(answer));
        }
        if *method == Method::POST && path == "/config" && !has_document_type(fields) {
            let text = "a document is wanted: Content-Type application/json or application/yaml";
            return refuse(StatusCode::UNSUPPORTED_MEDIA_TYPE, text);
        }
        // Preflights of other origins were refused above; our own origin needs none.
        if *method == Method::OPTIONS {
            return Err(Box::new(empty(StatusCode::NO_CONTENT)));
        }
        Ok(Trusted(borne || matches!(self.door, Door::Unix)))
    }
}

fn refuse(status: StatusCode, text: &str) -> Result<Trusted, Box<Answer>> {
    Err(Box::new(message(status, text)))
}

/// The field's value, if there is one and no more.
fn one<'a>(fields: &'a HeaderMap, name: &http::HeaderName) -> Option<&'a str> {
    let mut all = fields.get_all(name).iter();
    let first = all.next()?.to_str().ok()?;
    all.next().is_none().then_some(first)
}

/// The host of a Host field, without its port.
fn host_name(text: &str) -> Option<&str> {
    let parsed: http::uri::Authority = text.parse().ok()?;
    let port = parsed.port_u16().map_or_else(String::new, |port| format!(":{port}"));
    let name = text.strip_suffix(&port).unwrap_or(text);
    (!name.is_empty() && !name.contains('@')).then_some(name)
}

/// Whether the name is one that only somebody who means this gateway would use: loopback's, or an address. Names can be
/// made to resolve to any address; addresses cannot.
fn is_ours(name: &str, bound: IpAddr) -> bool {
    if name.eq_ignore_ascii_case("localhost") {
        return true;
    }
    let bare = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(name);
    bare.parse::<IpAddr>().is_ok_and(|ip| {
        let (ip, bound) = (ip.to_canonical(), bound.to_canonical());
        ip.is_loopback() || ip == bound || bound.is_unspecified()
    })
}

/// Whether a browser sends it for a page of another origin.
fn is_foreign(fields: &HeaderMap) -> bool {
    let site = fields.get("sec-fetch-site").map(HeaderValue::as_bytes);
    if site.is_some_and(|site| site != b"same-origin" && site != b"none") {
        return true;
    }
    let Some(origin) = fields.get(ORIGIN) else { return false };
    let host = one(fields, &HOST);
    let origin = origin.to_str().ok().and_then(|origin| origin.strip_prefix("http://"));
    match (origin, host) {
        (Some(origin), Some(host)) => !origin.eq_ignore_ascii_case(host),
        _ => true,
    }
}

/// A form that a page of another origin may send without asking has none of these types.
fn has_document_type(fields: &HeaderMap) -> bool {
    let Some(kind) = one(fields, &CONTENT_TYPE) else { return false };
    let kind = kind.split(';').next().unwrap_or_default().trim();
    ["application/json", "application/yaml", "application/x-yaml", "text/yaml", "text/x-yaml"]
        .iter()
        .any(|known| known.eq_ignore_ascii_case(kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(rules: &Rules, method: &Method, fields: &[(&'static str, &str)]) -> u16 {
        let mut map = HeaderMap::new();
        for (name, value) in fields {
            map.append(*name, value.parse().unwrap());
        }
        rules.check(method, "/config", &map).map_or_else(|answer| answer.status().as_u16(), |_| 200)
    }

    #[test]
    fn a_host_is_loopbacks_or_the_address_that_is_bound() {
        let check = |bound: &str, host: &str, expected: u16| {
            let rules = Rules { door: Door::Tcp(bound.parse().unwrap()), token: None };
            assert_eq!(status(&rules, &Method::GET, &[("host", host)]), expected, "{host} at {bound}");
        };
        for host in ["localhost", "LOCALHOST:8001", "127.0.0.1:8001", "127.1.2.3", "[::1]:8001", "[::ffff:127.0.0.1]"] {
            check("127.0.0.1:8001", host, 200);
        }
        for host in ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "10.0.0.1", "[::2]:8001"] {
            check("127.0.0.1:8001", host, 403);
        }
        check("10.0.0.1:8001", "10.0.0.1:8001", 200);
        check("10.0.0.1:8001", "10.0.0.2:8001", 403);
        check("0.0.0.0:8001", "10.0.0.2:8001", 200);
        check("0.0.0.0:8001", "gateway.internal", 403);
        check("127.0.0.1:8001", "a@localhost", 400);
    }

    #[test]
    fn one_host_is_needed_but_over_a_unix_socket() {
        let tcp = Rules { door: Door::Tcp("127.0.0.1:8001".parse().unwrap()), token: None };
        assert_eq!(status(&tcp, &Method::GET, &[]), 400);
        assert_eq!(status(&tcp, &Method::GET, &[("host", "localhost"), ("host", "localhost")]), 400);
        let unix = Rules { door: Door::Unix, token: None };
        assert_eq!(status(&unix, &Method::GET, &[]), 200);
    }

    #[test]
    fn a_token_stands_for_a_host_and_opens_what_is_closed() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("token"), "0123456789abcdef").unwrap();
        let token = Token::read(&folder.path().join("token")).unwrap();
        let rules = Rules { door: Door::Tcp("0.0.0.0:8001".parse().unwrap()), token: Some(Arc::new(token)) };
        let borne = ("authorization", "Bearer 0123456789abcdef");
        assert_eq!(status(&rules, &Method::GET, &[("host", "gateway.internal"), borne]), 200);
        assert_eq!(status(&rules, &Method::GET, &[("host", "10.0.0.1")]), 401);
        assert_eq!(status(&rules, &Method::GET, &[("host", "10.0.0.1"), ("authorization", "Bearer 0")]), 401);
        assert!(rules.check(&Method::GET, "/readyz", &HeaderMap::new()).is_ok());
    }

    #[test]
    fn pages_of_other_origins_are_refused() {
        let rules = Rules { door: Door::Tcp("127.0.0.1:8001".parse().unwrap()), token: None };
        let check = |fields: &[(&'static str, &str)], expected: u16| {
            let all: Vec<_> = fields.iter().copied().chain([("host", "127.0.0.1:8001")]).collect();
            assert_eq!(status(&rules, &Method::GET, &all), expected, "{fields:?}");
        };
        check(&[("origin", "http://127.0.0.1:8001")], 200);
        check(&[("sec-fetch-site", "none")], 200);
        check(&[("sec-fetch-site", "same-origin"), ("origin", "http://127.0.0.1:8001")], 200);
        check(&[("origin", "http://evil.example")], 403);
        check(&[("origin", "http://127.0.0.1:3000")], 403);
        check(&[("origin", "https://127.0.0.1:8001")], 403);
        check(&[("origin", "null")], 403);
        check(&[("sec-fetch-site", "cross-site")], 403);
        check(&[("sec-fetch-site", "same-site")], 403);
    }

    #[test]
    fn a_document_is_posted_as_one() {
        let rules = Rules { door: Door::Unix, token: None };
        for (kind, expected) in [
            ("application/json", 200),
            ("Application/YAML; charset=utf-8", 200),
            ("text/yaml", 200),
            ("text/plain", 415),
            ("application/x-www-form-urlencoded", 415),
            ("multipart/form-data; boundary=a", 415),
        ] {
            assert_eq!(status(&rules, &Method::POST, &[("content-type", kind)]), expected, "{kind}");
        }
        assert_eq!(status(&rules, &Method::POST, &[]), 415);
    }
}
