//! Calls of gRPC.

use crate::http::checksum;
use crate::server::Replica;
use bytes::Bytes;
use h2::RecvStream;
use h2::server::SendResponse;
use http::{HeaderMap, HeaderValue, Request, Response};
use std::io::Error;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinSet;
use tokio::time::sleep;

/// The call that is answered by its own message.
pub const ECHO: &str = "/sample.Calls/Echo";
/// The call that is answered by a stream of messages.
pub const COUNT: &str = "/sample.Calls/Count";

/// INTERNAL: what came is no message.
const INTERNAL: u16 = 13;
/// UNIMPLEMENTED: there is no such call.
const UNIMPLEMENTED: u16 = 12;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Serves a connection until it ends; told to stop, it says so, and finishes the calls that have begun.
pub(crate) async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin, replica: &Arc<Replica>) -> std::io::Result<()> {
    let mut connection = h2::server::handshake(stream).await.map_err(Error::other)?;
    let mut stopping = replica.stopping.clone();
    let mut told = false;
    // Dropped with the connection: nobody is left to be answered then.
    let mut calls = JoinSet::new();
    loop {
        tokio::select! {
            asked = connection.accept() => {
                let Some(asked) = asked else { return Ok(()) };
                let (request, answer) = asked.map_err(Error::other)?;
                let replica = Arc::clone(replica);
                // A call that breaks is the other side's affair.
                calls.spawn(async move { drop(call(request, answer, &replica).await) });
            }
            () = async { drop(stopping.wait_for(|stopping| *stopping).await) }, if !told => {
                told = true;
                connection.graceful_shutdown();
            }
        }
        while calls.try_join_next().is_some() {}
    }
}

async fn call(request: Request<RecvStream>, mut answer: SendResponse<Bytes>, replica: &Replica) -> Result<()> {
    let (parts, body) = request.into_parts();
    let field = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let number = |name: &str| field(name).parse::<u64>().unwrap_or(0);
    let (name, pause) = (field("x-test-request"), Duration::from_millis(number("x-test-ms")));
    let body = whole(body).await?;
    let asked = messages(&body).unwrap_or_default();
    let path = parts.uri.path();
    let ([message], ECHO | COUNT) = (asked.as_slice(), path) else {
        let status = if asked.len() == 1 { UNIMPLEMENTED } else { INTERNAL };
        let mut head = head(replica)?;
        head.headers_mut().extend(ended(status));
        answer.send_response(head, true)?;
        return Ok(());
    };
    if let Some(record) = &replica.record {
        record.carried_out(name)?;
    }
    let mut stream;
    if path == ECHO {
        sleep(pause).await;
        stream = answer.send_response(head(replica)?, false)?;
        stream.send_data(framed(message).into(), false)?;
    } else {
        stream = answer.send_response(head(replica)?, false)?;
        let sum = checksum(message);
        for each in 0..number("x-test-count") {
            sleep(pause).await;
            stream.send_data(framed(format!("{each} of {name}: {sum:016x}").as_bytes()).into(), false)?;
        }
    }
    stream.send_trailers(ended(0))?;
    Ok(())
}

fn head(replica: &Replica) -> http::Result<Response<()>> {
    let head = Response::builder().header("content-type", "application/grpc");
    head.header("x-replica", &replica.options.replica).body(())
}

fn ended(status: u16) -> HeaderMap {
    HeaderMap::from_iter([(http::HeaderName::from_static("grpc-status"), HeaderValue::from(status))])
}

async fn whole(mut body: RecvStream) -> Result<Vec<u8>> {
    let mut whole = Vec::new();
    while let Some(data) = body.data().await {
        let data = data?;
        body.flow_control().release_capacity(data.len())?;
        whole.extend_from_slice(&data);
    }
    Ok(whole)
}

/// A message as a body has it.
#[must_use]
pub fn framed(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    [&[0], &length.to_be_bytes()[..], message].concat()
}

/// The messages of a body; `None` where one is compressed, or the last one is not whole.
#[must_use]
pub fn messages(mut body: &[u8]) -> Option<Vec<&[u8]>> {
    let mut messages = Vec::new();
    while let Some((compressed, rest)) = body.split_first() {
        let (length, rest) = rest.split_first_chunk()?;
        let (message, rest) = rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
        if *compressed != 0 {
            return None;
        }
        messages.push(message);
        body = rest;
    }
    Some(messages)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_come_back_as_they_were_framed_and_only_whole() {
        let body = [framed(b"one"), framed(b""), framed(&[7; 300])].concat();
        assert_eq!(messages(&body), Some(vec![&b"one"[..], b"", &[7; 300]]));
        assert_eq!(messages(b""), Some(Vec::new()));
        assert_eq!(messages(&body[..body.len() - 1]), None);
        assert_eq!(messages(&body[..3]), None);
        assert_eq!(messages(b"\x01\0\0\0\x01x"), None, "it is compressed");
    }
}
