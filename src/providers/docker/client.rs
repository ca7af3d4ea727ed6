//! The Engine API's few calls, each bounded in time and size.

use super::transport::Transport;
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use plimsoll_core::discovery::docker::{Inspect, Inspected, ListItem, Network, parse_list};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::time::Duration;

/// A client of one engine, past the negotiation of versions.
pub(super) struct Client {
    transport: Transport,
    /// `v1.41`. A path without a version means the newest, which is never asked for.
    version: String,
    /// Podman's service, which tells events in its own way.
    pub(super) is_podman: bool,
    /// The engine's clock when it was asked, seconds since the Unix epoch.
    pub(super) engine_time_s: Option<u64>,
    idle: Mutex<Vec<SendRequest<Empty<Bytes>>>>,
}

impl Client {
    /// Asks the engine which versions it speaks.
    pub(super) async fn negotiate(transport: Transport) -> Result<Self, String> {
        let mut client = Self {
            transport,
            version: String::new(),
            is_podman: false,
            engine_time_s: None,
            idle: Mutex::new(Vec::new()),
        };
        let (head, body) = within(PING_TIMEOUT, "asking for /_ping", client.send("/_ping")).await?;
        let text = |name: &str| field(&head, name);
        if head.status != StatusCode::OK {
            let body = read_bounded(body, ERROR_MAX).await.unwrap_or_default();
            return Err(refusal("/_ping", head.status, &body));
        }
        client.version = negotiated(text("api-version").unwrap_or(OLDEST_TEXT))?;
        client.is_podman = text("server").is_some_and(|server| server.starts_with("Libpod"));
        client.engine_time_s = engine_time_s(&head);
        Ok(client)
    }

    pub(super) fn transport(&self) -> &Transport {
        &self.transport
    }

    /// The version that is spoken: `v1.41`.
    pub(super) fn version(&self) -> &str {
        &self.version
    }

    /// All containers, those that do not run too: a service with a stopped container is still a service.
    pub(super) async fn containers(&self) -> Result<Listed, String> {
        let fetched = self.fetch("/containers/json?all=true", LIST_MAX).await?.map_err(|refused| refused.message)?;
        let (items, unreadable) = parse_list(&fetched.text)?;
        Ok(Listed { items, unreadable, engine_time_s: fetched.engine_time_s })
    }

    /// Networks; none where a proxy keeps them to itself.
    pub(super) async fn networks(&self) -> Result<Vec<Network>, String> {
        match self.fetch("/networks", LIST_MAX).await? {
            Ok(fetched) => Ok(parse_list(&fetched.text)?.0),
            Err(refused) => Err(refused.message),
        }
    }

    /// One container.
    pub(super) async fn inspect(&self, id: &str) -> Inspected {
        let safe = id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
        if !safe || id.is_empty() {
            return Inspected::Missing;
        }
        match self.fetch(&format!("/containers/{id}/json"), INSPECT_MAX).await {
            Ok(Ok(fetched)) => {
                json::<Inspect>(&fetched.text).map_or_else(Inspected::Failed, |one| Inspected::Found(Box::new(one)))
            }
            Ok(Err(refused)) if refused.status == StatusCode::NOT_FOUND => Inspected::Missing,
            Ok(Err(refused)) => Inspected::Failed(refused.message),
            Err(error) => Inspected::Failed(error),
        }
    }

    /// The stream of events that match `filters`, from `since` on.
    pub(super) async fn events(&self, since: &str, filters: &str) -> Result<Incoming, String> {
        let path = format!("/{}/events?since={since}&filters={}", self.version, percent_encoded(filters));
        // A connection of its own, which ends with the stream.
        let (_, answer) = within(CALL_TIMEOUT, "asking for /events", self.open(&path)).await?;
        let (head, body) = answer.into_parts();
        if head.status == StatusCode::OK {
            return Ok(body);
        }
        let body = read_bounded(body, ERROR_MAX).await.unwrap_or_default();
        Err(refusal("/events", head.status, &body))
    }

    async fn fetch(&self, path: &str, bytes_max: usize) -> Result<Result<Fetched, Refused>, String> {
        let versioned = format!("/{}{path}", self.version);
        let call = async {
            let (head, body) = self.send(&versioned).await?;
            let text = read_bounded(body, bytes_max).await.map_err(|error| format!("reading {path}: {error}"))?;
            if head.status == StatusCode::OK {
                return Ok(Ok(Fetched { text, engine_time_s: engine_time_s(&head) }));
            }
            Ok(Err(Refused { status: head.status, message: refusal(path, head.status, &text) }))
        };
        within(CALL_TIMEOUT, path, call).await
    }

    /// Over an idle connection, else a new one. An idle one may have been closed meanwhile: then once more.
    async fn send(&self, path: &str) -> Result<(http::response::Parts, Incoming), String> {
        let idle = {
            let mut idle = self.idle.lock();
            idle.iter().position(SendRequest::is_ready).map(|at| idle.swap_remove(at))
        };
        if let Some(mut connection) = idle
            && let Ok(answer) = connection.send_request(request(path)?).await
        {
            self.keep(connection);
            return Ok(answer.into_parts());
        }
        let (connection, answer) = self.open(path).await?;
        self.keep(connection);
        Ok(answer.into_parts())
    }

    /// Over a new connection.
    async fn open(&self, path: &str) -> Result<(SendRequest<Empty<Bytes>>, http::Response<Incoming>), String> {
        let stream = self.transport.connect().await?;
        let fail = |error: hyper::Error| format!("speaking HTTP to {}: {error}", self.transport.endpoint());
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(fail)?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection to the engine ended");
            }
        });
        let answer = sender.send_request(request(path)?).await.map_err(fail)?;
        Ok((sender, answer))
    }

    /// Keeps a connection for another call. It is ready when the answer that it carries is read.
    fn keep(&self, connection: SendRequest<Empty<Bytes>>) {
        let mut idle = self.idle.lock();
        idle.retain(|one| !one.is_closed());
        if idle.len() < IDLE_MAX {
            idle.push(connection);
        }
    }
}

/// What a list of containers said.
pub(super) struct Listed {
    pub(super) items: Vec<ListItem>,
    /// Entries that could not be read.
    pub(super) unreadable: usize,
    /// The engine's clock, seconds since the Unix epoch, where it said.
    pub(super) engine_time_s: Option<u64>,
}

/// An answer of 200.
struct Fetched {
    text: Bytes,
    engine_time_s: Option<u64>,
}

/// An answer other than 200.
struct Refused {
    status: StatusCode,
    message: String,
}

fn request(path: &str) -> Result<Request<Empty<Bytes>>, String> {
    let builder = Request::get(path).header("host", "docker").header("user-agent", crate::telemetry::SERVER);
    builder.body(Empty::new()).map_err(|error| error.to_string())
}

async fn within<T>(limit: Duration, what: &str, call: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    match tokio::time::timeout(limit, call).await {
        Ok(outcome) => outcome,
        Err(_) => Err(format!("{what}: no answer within {} s", limit.as_secs())),
    }
}

#[expect(clippy::disallowed_methods, reason = "bounded by Limited")]
async fn read_bounded(body: Incoming, bytes_max: usize) -> Result<Bytes, String> {
    Limited::new(body, bytes_max).collect().await.map(|all| all.to_bytes()).map_err(|error| error.to_string())
}

fn json<T: DeserializeOwned>(text: &[u8]) -> Result<T, String> {
    serde_json::from_slice(text).map_err(|error| format!("an answer that is no JSON: {error}"))
}

/// The engine's own words, and what to do about them where that is known.
fn refusal(path: &str, status: StatusCode, body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Message {
        message: String,
    }
    let words = json::<Message>(body).map(|message| message.message).unwrap_or_default();
    let words: String = words.chars().filter(|character| !character.is_control()).take(200).collect();
    let path = path.split('?').next().unwrap_or(path);
    let remedy = match status {
        StatusCode::FORBIDDEN => " (a socket proxy must allow GET of /_ping, /events, /containers and /networks)",
        _ => "",
    };
    let colon = if words.is_empty() { "" } else { ": " };
    format!("{path} was answered {}{colon}{words}{remedy}", status.as_u16())
}

/// The newest version that both speak.
fn negotiated(server: &str) -> Result<String, String> {
    let parts =
        server.trim().split_once('.').and_then(|(major, minor)| Some((major.parse().ok()?, minor.parse().ok()?)));
    let Some(version): Option<(u16, u16)> = parts else {
        return Err(format!("the engine names its API version {server:?}, which is none"));
    };
    if version < OLDEST {
        return Err(format!("the engine speaks API {server}; {OLDEST_TEXT} or later is needed (Docker 20.10)"));
    }
    let (major, minor) = version.min(NEWEST);
    Ok(format!("v{major}.{minor}"))
}

fn field<'a>(head: &'a http::response::Parts, name: &str) -> Option<&'a str> {
    head.headers.get(name).and_then(|value| value.to_str().ok())
}

fn engine_time_s(head: &http::response::Parts) -> Option<u64> {
    field(head, "date").and_then(http_date_s)
}

/// `Date` of HTTP, RFC 9110 §5.6.7.
fn http_date_s(text: &str) -> Option<u64> {
    let time = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
    u64::try_from(time.as_second()).ok()
}

fn percent_encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len() * 3);
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// Docker 20.10.
const OLDEST: (u16, u16) = (1, 41);
const OLDEST_TEXT: &str = "1.41";
/// The newest whose changes were read; later engines speak it too.
const NEWEST: (u16, u16) = (1, 52);
/// The first call: an engine that does not answer it is out of reach.
const PING_TIMEOUT: Duration = Duration::from_secs(3);
/// An engine under load takes seconds for a list.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);
/// As many as inspects at a time.
const IDLE_MAX: usize = 8;
/// 20,000 containers of 1.5 KiB.
const LIST_MAX: usize = 32 << 20;
/// Environment, labels and the log of a HEALTHCHECK.
const INSPECT_MAX: usize = 4 << 20;
/// An error's body.
const ERROR_MAX: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_version_that_both_speak_is_spoken() {
        let check = |server: &str, expected: Option<&str>| {
            assert_eq!(negotiated(server).ok().as_deref(), expected, "{server}");
        };
        check("1.41", Some("v1.41"));
        check("1.45", Some("v1.45"));
        check("1.52", Some("v1.52"));
        check("1.60", Some("v1.52"));
        check("2.0", Some("v1.52"));
        check("1.40", None);
        check("1.9", None);
        check("", None);
        check("one", None);
    }

    #[test]
    fn the_engines_clock_is_read_from_its_date() {
        assert_eq!(http_date_s("Wed, 25 Nov 2026 19:20:31 GMT"), Some(1_795_634_431));
        assert_eq!(http_date_s("yesterday"), None);
    }

    #[test]
    fn a_refusal_says_what_the_engine_said_and_what_to_do() {
        let said = refusal("/x?y", StatusCode::BAD_REQUEST, br#"{"message":"client version\n is too old"}"#);
        assert_eq!(said, "/x was answered 400: client version is too old");
        assert!(refusal("/events", StatusCode::FORBIDDEN, b"<html>").contains("socket proxy must allow"));
    }
}
