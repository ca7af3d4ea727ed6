//! What a line says.

use plimsoll_core::protocol::Version;

/// How lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessFormat {
    /// A JSON object a line.
    Json,
    /// Apache's combined, without the query.
    Combined,
}

/// One request as the access log tells it. Borrowed: nothing is copied before the line is formatted. Bytes from the
/// network may be anything; they are escaped. Empty names print as absent.
#[derive(Clone, Copy, Debug)]
pub struct AccessRecord<'a> {
    /// Wall time of the request's first byte, milliseconds since 1970.
    pub time_ms: u64,
    /// 32 hexadecimal digits.
    pub request_id: &'a [u8; 32],
    /// The client's address as printed once for its connection.
    pub client: &'a [u8],
    /// As sent.
    pub method: &'a [u8],
    /// Whether it came over TLS: `https`.
    pub tls: bool,
    /// As sent.
    pub host: &'a [u8],
    /// Without its query.
    pub path: &'a [u8],
    /// `HTTP/1.0`, `HTTP/1.1`, `HTTP/2`.
    pub version: Version,
    /// [`super::place_json`] of the three names that follow, where it was printed before.
    pub place: &'a [u8],
    /// The route's name.
    pub route: &'a str,
    /// The service's name.
    pub service: &'a str,
    /// The upstream's name.
    pub upstream: &'a str,
    /// The last attempt's target.
    pub target: &'a str,
    /// What was answered; 0 where nothing was.
    pub status: u16,
    /// From the client.
    pub bytes_in: u64,
    /// To the client.
    pub bytes_out: u64,
    /// First byte of the request to last byte of the answer, microseconds.
    pub duration_us: u64,
    /// Waiting for the upstream's response head, microseconds; `None` where no attempt was made.
    pub upstream_us: Option<u64>,
    /// Queued or held, microseconds.
    pub held_us: u64,
    /// Tries on targets.
    pub attempts: u32,
    /// Why the gateway itself answered, or did not: `no_route`, `connect_failed`, `client_gone`, …
    pub error: Option<&'static str>,
    /// `Referer`, for the combined format alone.
    pub referer: Option<&'a [u8]>,
    /// `User-Agent`, for the combined format alone.
    pub user_agent: Option<&'a [u8]>,
}

#[cfg(test)]
impl AccessRecord<'static> {
    /// A plain request, for tests to vary.
    pub(super) fn example() -> Self {
        Self {
            time_ms: 1_795_634_431_042,
            request_id: b"0123456789abcdef0123456789abcdef",
            client: b"192.0.2.7",
            method: b"GET",
            tls: false,
            host: b"shop.example",
            path: b"/cart",
            version: Version::Http11,
            place: b"",
            route: "cart",
            service: "web",
            upstream: "web.shop",
            target: "10.0.0.5:8080",
            status: 200,
            bytes_in: 78,
            bytes_out: 1234,
            duration_us: 12_345,
            upstream_us: Some(11_007),
            held_us: 0,
            attempts: 1,
            error: None,
            referer: None,
            user_agent: None,
        }
    }
}
