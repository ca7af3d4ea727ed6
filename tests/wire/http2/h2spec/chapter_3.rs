//! `http2` 3: how a connection begins.

use super::case::Expect::{ConnectionError, Http1, SettingsFirst};
use super::case::{Case, case};
use super::site::{Site, greeting};
use crate::http2::frames::PROTOCOL;

pub(super) fn cases(site: &Site) -> Vec<Case> {
    let wrong = b"INVALID CONNECTION PREFACE\r\n\r\n".to_vec();
    let wrong = case("http2/3.5/2", "a preface that is none", wrong, ConnectionError(&[PROTOCOL])).silent();
    vec![
        case("http2/3.5/1", "a client's preface is answered by the server's", greeting(), SettingsFirst).silent(),
        if site.tls.is_some() {
            wrong
        } else {
            wrong.by_intent(
                Http1(400),
                "a plain listener speaks HTTP/1.1 too, and what does not begin with the preface is HTTP/1.1 there. RFC \
                 9113 §3.4 lets GOAWAY be left out where the peer does not speak HTTP/2",
            )
        },
    ]
}
