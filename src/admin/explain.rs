//! Why a request goes where it goes.

use super::answer::{Answer, message, ok, with};
use super::routes::Ask;
use crate::snapshot::explain::{Question, explain as explain_by};
use http::StatusCode;
use http::header::ACCEPT;

/// `GET /explain`. As JSON; as text to whoever asks for text alone.
pub(super) async fn explain(ask: Ask) -> Answer {
    let Some(url) = ask.parameter("url") else {
        return message(StatusCode::BAD_REQUEST, "say what to explain: /explain?method=GET&url=http://HOST/PATH");
    };
    let method = ask.parameter("method").unwrap_or("GET").to_ascii_uppercase();
    let headers: Vec<String> =
        ask.query.iter().filter(|(name, _)| name == "header").map(|(_, value)| value.clone()).collect();
    let question = match Question::parse(&method, url, &headers) {
        Ok(question) => question,
        Err(error) => return message(StatusCode::BAD_REQUEST, &error.to_string()),
    };
    let explanation = explain_by(&ask.gateway.snapshot(), &question);
    let accepted = ask.fields.get(ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    if accepted.starts_with("text/plain") {
        return with(StatusCode::OK, "text/plain; charset=utf-8", explanation.to_string());
    }
    match serde_json::to_value(&explanation) {
        Ok(value) => ok(&value),
        Err(_) => message(StatusCode::INTERNAL_SERVER_ERROR, "An unexpected error occurred"),
    }
}
