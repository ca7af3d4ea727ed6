//! Bodies of the gateway's own answers, in the form that the client likes best.
//!
//! Texts and templates are those of Kong 3.10 (`kong/tools/http.lua`), so that clients which read them go on working.

use crate::protocol::syntax;

/// The form of an error body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ErrorFormat {
    /// `{"message": …, "request_id": …}`: the default.
    #[default]
    Json,
    /// Message and id on two lines.
    Text,
    /// A small page.
    Html,
    /// `<error>` with `<message>` and `<requestid>`.
    Xml,
}

impl ErrorFormat {
    /// Its `Content-Type`.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json; charset=utf-8",
            Self::Text => "text/plain; charset=utf-8",
            Self::Html => "text/html; charset=utf-8",
            Self::Xml => "application/xml; charset=utf-8",
        }
    }

    fn of_media_type(media_type: &[u8]) -> Self {
        match media_type.to_ascii_lowercase().as_slice() {
            b"text/plain" | b"text/*" => Self::Text,
            b"text/html" => Self::Html,
            b"application/xml" => Self::Xml,
            _ => Self::Json,
        }
    }
}

/// The form that an `Accept` value asks for: that of the media range with the highest `q`, the first of equals. What is
/// not known, or not there, gets JSON.
#[must_use]
pub fn negotiate(accept: Option<&[u8]>) -> ErrorFormat {
    let (mut best, mut format) = (0, ErrorFormat::Json);
    for range in syntax::list(accept.unwrap_or_default()) {
        let mut parts = range.split(|&b| b == b';').map(syntax::trim);
        let media_type = parts.next().unwrap_or_default();
        let quality = parts.find_map(quality).unwrap_or(Some(1000));
        if let Some(quality) = quality.filter(|quality| *quality > best && memchr::memchr(b'/', media_type).is_some()) {
            best = quality;
            format = ErrorFormat::of_media_type(media_type);
        }
    }
    format
}

/// A parameter's `q` in thousandths: `None` for another parameter, `Some(None)` for a malformed one.
fn quality(parameter: &[u8]) -> Option<Option<u16>> {
    let ([b'q' | b'Q', b'='], weight) = parameter.split_at_checked(2)? else { return None };
    let (whole, fraction) = match weight {
        [whole @ (b'0' | b'1')] | [whole @ (b'0' | b'1'), b'.'] => (*whole, &b""[..]),
        [whole @ (b'0' | b'1'), b'.', fraction @ ..] if fraction.len() <= 3 => (*whole, fraction),
        _ => return Some(None),
    };
    if !fraction.iter().all(u8::is_ascii_digit) {
        return Some(None);
    }
    let digit = |at: usize| fraction.get(at).map_or(0, |b| u16::from(b - b'0'));
    let thousandths = u16::from(whole - b'0') * 1000 + digit(0) * 100 + digit(1) * 10 + digit(2);
    Some((thousandths <= 1000).then_some(thousandths))
}

/// Appends the body of an error to `out`.
pub fn error_body(format: ErrorFormat, message: &str, request_id: &[u8], out: &mut Vec<u8>) {
    let (before, between, after) = match format {
        ErrorFormat::Json => ("{\n  \"message\":\"", "\",\n  \"request_id\":\"", "\"\n}"),
        ErrorFormat::Text => ("", "\nrequest_id: ", "\n"),
        ErrorFormat::Html => (
            "<!doctype html>\n<html>\n  <head>\n    <meta charset=\"utf-8\">\n    <title>Error</title>\n  </head>\n  \
             <body>\n    <h1>Error</h1>\n    <p>",
            ".</p>\n    <p>request_id: ",
            "</p>\n  </body>\n</html>\n",
        ),
        ErrorFormat::Xml => (
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<error>\n  <message>",
            "</message>\n  <requestid>",
            "</requestid>\n</error>\n",
        ),
    };
    out.extend_from_slice(before.as_bytes());
    push_escaped(format, message.as_bytes(), out);
    out.extend_from_slice(between.as_bytes());
    push_escaped(format, request_id, out);
    out.extend_from_slice(after.as_bytes());
}

/// Appends text so that it cannot end what it stands in.
fn push_escaped(format: ErrorFormat, text: &[u8], out: &mut Vec<u8>) {
    for &byte in text {
        match (format, byte) {
            (ErrorFormat::Json, b'"' | b'\\') => out.extend_from_slice(&[b'\\', byte]),
            (ErrorFormat::Json, 0..0x20) => {
                out.extend_from_slice(&[
                    b'\\',
                    b'u',
                    b'0',
                    b'0',
                    b'0' + (byte >> 4),
                    b"0123456789abcdef"[usize::from(byte & 0xf)],
                ]);
            }
            (ErrorFormat::Html | ErrorFormat::Xml, b'<') => out.extend_from_slice(b"&lt;"),
            (ErrorFormat::Html | ErrorFormat::Xml, b'>') => out.extend_from_slice(b"&gt;"),
            (ErrorFormat::Html | ErrorFormat::Xml, b'&') => out.extend_from_slice(b"&amp;"),
            (ErrorFormat::Html | ErrorFormat::Xml, b'"') => out.extend_from_slice(b"&quot;"),
            _ => out.push(byte),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_client_gets_the_form_that_it_likes_best() {
        let check = |accept: &str, format| assert_eq!(negotiate(Some(accept.as_bytes())), format, "{accept}");
        assert_eq!(negotiate(None), ErrorFormat::Json);
        check("", ErrorFormat::Json);
        check("*/*", ErrorFormat::Json);
        check("text/html", ErrorFormat::Html);
        check("Text/HTML;charset=x", ErrorFormat::Html);
        check("text/*", ErrorFormat::Text);
        check("text/plain, application/xml", ErrorFormat::Text);
        check("application/*", ErrorFormat::Json);
        check("text/html;q=0.5, application/xml;q=0.9, */*;q=0.8", ErrorFormat::Xml);
        check("text/html; q=0", ErrorFormat::Json);
        check("text/html;a=b;Q=0.3,text/plain;q=0.31", ErrorFormat::Text);
        check("image/png, text/html;q=0.9", ErrorFormat::Json);
        check("text/html;q=2, text/plain;q=0.1", ErrorFormat::Text);
        check("text/html;q=1.001, text/plain;q=x", ErrorFormat::Json);
        check("html", ErrorFormat::Json);
    }

    #[test]
    fn bodies_are_kongs_and_nothing_breaks_out_of_them() {
        let check = |format, message: &str, expected: &str| {
            let mut out = Vec::new();
            error_body(format, message, b"0f", &mut out);
            assert_eq!(String::from_utf8_lossy(&out), expected);
        };
        check(
            ErrorFormat::Json,
            "no \"x\"\\\n",
            "{\n  \"message\":\"no \\\"x\\\"\\\\\\u000a\",\n  \"request_id\":\"0f\"\n}",
        );
        check(ErrorFormat::Text, "no", "no\nrequest_id: 0f\n");
        check(
            ErrorFormat::Xml,
            "a<&>\"",
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<error>\n  <message>a&lt;&amp;&gt;&quot;</message>\n  <requestid>0f</requestid>\n</error>\n",
        );
        let mut page = Vec::new();
        error_body(ErrorFormat::Html, "<b>", b"0f", &mut page);
        let page = String::from_utf8_lossy(&page);
        assert!(page.contains("    <p>&lt;b&gt;.</p>\n    <p>request_id: 0f</p>\n"), "{page}");
    }
}
