//! `http2` 7: codes.

use super::case::Expect::{Pong, PongOrEnd};
use super::case::{Case, case};
use super::site::{NAME, Site, ZEROS, ping};
use crate::http2::frames::{GOAWAY, RST_STREAM, frame};

pub(super) fn cases(site: &Site) -> Vec<Case> {
    vec![
        case(
            "http2/7/1",
            "GOAWAY with an unknown code",
            [frame(GOAWAY, 0, 0, &[0, 0, 0, 0, 0, 0, 0, 0xff]), ping(NAME)].concat(),
            PongOrEnd(NAME),
        ),
        case(
            "http2/7/2",
            "RST_STREAM with an unknown code",
            [site.post(&[]), frame(RST_STREAM, 0, 1, &[0, 0, 0, 0xff]), ping(ZEROS)].concat(),
            Pong(ZEROS),
        ),
    ]
}
