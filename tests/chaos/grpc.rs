//! What a client of gRPC makes of an answer.

use crate::account::Outcome;
use crate::excuse::refused;
use crate::schedule::{Kind, Request};
use http::HeaderMap;
use http::response::Parts;
use plimsoll_sample::{checksum, messages};

/// What the gateway says where it answers a call itself, and the status that it counts then.
const REASONS: [(&str, u16); 5] = [
    ("An invalid response was received from the upstream server", 502),
    ("The upstream server is timing out", 504),
    ("failure to get a peer from the ring-balancer", 503),
    ("The service is overloaded", 503),
    ("The gateway is overloaded", 503),
];

/// Whether this is the answer to that call, with every message in place, and said to be all of it.
pub(crate) fn judge(request: &Request, sent: &[u8], head: &Parts, body: &[u8], trailers: &HeaderMap) -> Outcome {
    // A head that has the status is all of the answer, and not the replica's: that is asked for nothing it would refuse.
    let message = text(&head.headers, "grpc-message");
    let reason = REASONS.iter().find(|(words, _)| message.starts_with(words));
    if let (Some((_, status)), "14") = (reason, text(&head.headers, "grpc-status")) {
        let when = head.headers.get("retry-after").and_then(|value| value.to_str().ok());
        return refused(*status, when, message);
    }
    // Without it, an answer that was cut would pass for a whole one: nothing excuses that.
    let ended = text(trailers, "grpc-status");
    let messages = messages(body).unwrap_or_default();
    if head.status == 200 && ended == "0" && messages == expected(request, sent) {
        return Outcome::Right(200);
    }
    let count = messages.len();
    Outcome::Wrong(format!("{count} messages in {} bytes, grpc-status {ended:?}: {head:?}", body.len()))
}

fn expected(request: &Request, sent: &[u8]) -> Vec<Vec<u8>> {
    if request.kind == Kind::Call {
        return vec![sent.to_vec()];
    }
    let (number, sum) = (request.number, checksum(sent));
    (0..request.count).map(|each| format!("{each} of {number}: {sum:016x}").into_bytes()).collect()
}

fn text<'a>(map: &'a HeaderMap, name: &str) -> &'a str {
    map.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use plimsoll_sample::framed;

    fn map(fields: &[(&'static str, &str)]) -> HeaderMap {
        fields.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn an_answer_is_right_with_every_message_and_the_status_and_never_without() {
        let of = |kind| Request { kind, number: 7, count: 2, ..Request::of(0, 0) };
        let check = |kind, body: &[u8], head: &[(&'static str, &str)], trailers: &[(&'static str, &str)]| {
            let mut parts = http::Response::new(()).into_parts().0;
            parts.headers = map(head);
            judge(&of(kind), b"it", &parts, body, &map(trailers))
        };
        let fine = &[("grpc-status", "0")];
        let counted = |each: u32| framed(format!("{each} of 7: {:016x}", checksum(b"it")).as_bytes());
        let both = [counted(0), counted(1)].concat();
        assert!(matches!(check(Kind::Call, &framed(b"it"), &[], fine), Outcome::Right(200)));
        assert!(matches!(check(Kind::CallStream, &both, &[], fine), Outcome::Right(200)));
        let wrong = [
            (Kind::Call, framed(b"is"), &[][..], &fine[..]),
            (Kind::Call, framed(b"it"), &[], &[]),
            (Kind::Call, framed(b"it"), &[], &[("grpc-status", "13")]),
            (Kind::Call, Vec::new(), &[("grpc-status", "0")], &[]),
            (Kind::Call, Vec::new(), &[("grpc-status", "14"), ("grpc-message", "for no reason")], &[]),
            (Kind::CallStream, both[..both.len() - 1].to_vec(), &[], fine),
            (Kind::CallStream, counted(0), &[], fine),
            (Kind::CallStream, [counted(1), counted(0)].concat(), &[], fine),
        ];
        for (kind, body, head, trailers) in wrong {
            let outcome = check(kind, &body, head, trailers);
            assert!(matches!(outcome, Outcome::Wrong(_)), "{outcome:?}");
        }
    }

    #[test]
    fn a_reason_that_the_gateway_states_is_known_by_its_words() {
        let check = |message: &str, expected: u16| {
            let mut head = http::Response::new(()).into_parts().0;
            head.headers = map(&[("grpc-status", "14"), ("grpc-message", message)]);
            let outcome = judge(&Request { kind: Kind::Call, ..Request::of(0, 0) }, b"", &head, b"", &HeaderMap::new());
            assert!(matches!(outcome, Outcome::Answered(status, _) if status == expected), "{outcome:?}");
        };
        check("An invalid response was received from the upstream server, request_id: 0f", 502);
        check("The upstream server is timing out, request_id: 0f", 504);
        check("The service is overloaded, request_id: 0f", 503);
    }
}
