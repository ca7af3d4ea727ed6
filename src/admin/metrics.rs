//! The scrape.

use super::answer::{Answer, message, with};
use super::routes::Ask;
use crate::telemetry::clock;
use http::StatusCode;

/// `GET /metrics`. Ten thousand routes take a while to print: not on a thread that takes events in.
pub(super) async fn scrape(ask: Ask) -> Answer {
    let text = tokio::task::spawn_blocking(move || ask.gateway.telemetry().render(clock::moment())).await;
    match text {
        Ok(text) => with(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", text),
        Err(_) => message(StatusCode::INTERNAL_SERVER_ERROR, "An unexpected error occurred"),
    }
}
