//! Lines as Apache's combined format has them: `%h - - %t "%r" %s %b "%{Referer}i" "%{User-Agent}i"`, the request line
//! without its query.

use super::escape::push_combined;
use super::record::AccessRecord;
use crate::telemetry::clock;

/// Appends the line, with its newline.
pub(super) fn push(record: &AccessRecord<'_>, out: &mut Vec<u8>) {
    push_combined(record.client, out);
    out.extend_from_slice(b" - - [");
    clock::push_combined(record.time_ms, out);
    out.extend_from_slice(b"] \"");
    push_combined(record.method, out);
    out.push(b' ');
    push_combined(record.path, out);
    out.push(b' ');
    out.extend_from_slice(b"HTTP/");
    out.extend_from_slice(record.version.name().as_bytes());
    out.extend_from_slice(b"\" ");
    out.extend_from_slice(itoa::Buffer::new().format(record.status).as_bytes());
    out.push(b' ');
    out.extend_from_slice(itoa::Buffer::new().format(record.bytes_out).as_bytes());
    for field in [record.referer, record.user_agent] {
        out.extend_from_slice(b" \"");
        push_combined(field.unwrap_or(b"-"), out);
        out.push(b'"');
    }
    out.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_what_log_analysers_know() {
        let record = AccessRecord { user_agent: Some(b"curl/8.0 \"x\""), ..AccessRecord::example() };
        let mut out = Vec::new();
        push(&record, &mut out);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "192.0.2.7 - - [25/Nov/2026:19:20:31 +0000] \"GET /cart HTTP/1.1\" 200 1234 \"-\" \"curl/8.0 \\x22x\\x22\"\n"
        );
    }
}
