//! The request that is asked about.

use http::Uri;
use plimsoll_core::protocol::h1::parse_request;
use plimsoll_core::protocol::{HeadError, HeadLimits, RequestHead};
use std::fmt;

/// Where only a path was written, and no `Host`: HTTP/1.1 wants one.
const NO_HOST: &str = "localhost";

/// A request without a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// As a client would send it.
    pub method: String,
    /// Whether it comes over TLS.
    pub tls: bool,
    /// Host and port: of the `Host` header that was written, else of the URL.
    pub authority: String,
    /// Path and query, as they are.
    pub target: String,
    /// Other fields.
    pub headers: Vec<(String, String)>,
}

/// Why something is not a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QuestionError {
    /// The URL.
    Url(String),
    /// A header that is not `Name: value`.
    Header(String),
}

impl fmt::Display for QuestionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(url) => write!(f, "`{url}` is neither http://HOST/PATH, https://HOST/PATH nor /PATH"),
            Self::Header(header) => write!(f, "`{header}` is no header: write NAME: VALUE"),
        }
    }
}

impl std::error::Error for QuestionError {}

impl Question {
    /// From what one types: a method, a URL (or a path alone) and headers as `Name: value`.
    ///
    /// # Errors
    /// What is not of that form.
    pub fn parse(method: &str, url: &str, headers: &[String]) -> Result<Self, QuestionError> {
        let (tls, authority, target) = split(url).ok_or_else(|| QuestionError::Url(url.to_owned()))?;
        let mut fields = Vec::with_capacity(headers.len());
        let mut authority = authority.to_owned();
        for header in headers {
            let (name, value) = header.split_once(':').ok_or_else(|| QuestionError::Header(header.clone()))?;
            let (name, value) = (name.trim(), value.trim());
            if name.is_empty() || [name, value].iter().any(|text| text.contains(['\r', '\n'])) {
                return Err(QuestionError::Header(header.clone()));
            }
            if name.eq_ignore_ascii_case("host") {
                value.clone_into(&mut authority);
            } else {
                fields.push((name.to_owned(), value.to_owned()));
            }
        }
        Ok(Self { method: method.to_owned(), tls, authority, target, headers: fields })
    }

    /// `http` or `https`.
    #[must_use]
    pub const fn scheme(&self) -> &'static str {
        if self.tls { "https" } else { "http" }
    }

    /// The head, read as a client's is.
    pub(super) fn head(&self, limits: &HeadLimits) -> Result<RequestHead, HeadError> {
        let mut text = format!("{} {} HTTP/1.1\r\nHost: {}\r\n", self.method, self.target, self.authority);
        for (name, value) in &self.headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text.push_str("\r\n");
        let mut head = RequestHead::new();
        if parse_request(text.as_bytes(), limits, &mut head)?.is_none() {
            return Err(HeadError::StartLine);
        }
        Ok(head)
    }
}

/// Scheme, authority, and path with query. What follows `#` never leaves a client.
fn split(url: &str) -> Option<(bool, &str, String)> {
    let url = url.split('#').next().unwrap_or_default();
    if url.starts_with('/') || url == "*" {
        return plain(url).then(|| (false, NO_HOST, url.to_owned()));
    }
    let (tls, rest) = match url.split_once("://") {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => (false, rest),
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => (true, rest),
        Some(_) => return None,
        None => (false, url),
    };
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, target) = rest.split_at_checked(end)?;
    let known: Uri = authority.parse().ok()?;
    let target = if target.starts_with('/') { target.to_owned() } else { format!("/{target}") };
    (known.host().is_some_and(|host| !host.is_empty()) && plain(&target)).then_some((tls, authority, target))
}

/// Whether a request line can hold it at all.
fn plain(target: &str) -> bool {
    !target.contains(|c: char| c.is_whitespace() || c.is_control())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_split_as_a_client_would() {
        let cases = [
            ("http://shop.test/a?b=1", Some((false, "shop.test", "/a?b=1"))),
            ("HTTPS://shop.test:8443", Some((true, "shop.test:8443", "/"))),
            ("shop.test/a%20b", Some((false, "shop.test", "/a%20b"))),
            ("http://[::1]:8000/a/../b#c", Some((false, "[::1]:8000", "/a/../b"))),
            ("http://shop.test?x", Some((false, "shop.test", "/?x"))),
            ("/only/path", Some((false, "localhost", "/only/path"))),
            ("ftp://shop.test/", None),
            ("http:///a", None),
            ("http://a b/", None),
            ("/a b", None),
            ("", None),
        ];
        for (url, expected) in cases {
            let expected = expected.map(|(tls, host, target)| (tls, host, target.to_owned()));
            assert_eq!(split(url), expected, "{url}");
        }
    }

    #[test]
    fn a_host_header_is_the_host_and_no_header_smuggles_another() {
        let headers = ["host: other.test".to_owned(), "X-A:  b ".to_owned()];
        let question = Question::parse("GET", "http://shop.test/", &headers).unwrap();
        assert_eq!(question.authority, "other.test");
        assert_eq!(question.headers, [("X-A".to_owned(), "b".to_owned())]);
        for header in ["nothing", ": empty", "a: b\r\nc: d"] {
            assert!(Question::parse("GET", "/", &[header.to_owned()]).is_err(), "{header:?}");
        }
    }
}
