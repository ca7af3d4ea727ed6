//! Our reader of heads beside `httparse`, for every input.
//!
//! `httparse` takes bare LF and any number of leading empty lines; `HeadScan` refuses both before it is asked.

use super::LIMITS;
use super::properties::near_http;
use crate::protocol::h1::{HeadScan, parse_request, parse_response};
use crate::protocol::{HeadError, Known, Method, RequestHead, ResponseHead};
use httparse::{EMPTY_HEADER, Request, Response, Status};
use proptest::prelude::*;

type Fields = Vec<(Vec<u8>, Vec<u8>)>;

/// What the first line says, and the fields.
type Read = (Vec<Vec<u8>>, Fields);

/// Errors that speak of what a head is made of, not of what it means.
fn is_about_syntax(error: &HeadError) -> bool {
    use HeadError::{BareLf, FieldName, FieldValue, LeadingLines, StartLine, Version};
    matches!(error, BareLf | LeadingLines | StartLine | Version | FieldName | FieldValue)
}

fn theirs(headers: &[httparse::Header<'_>]) -> Fields {
    headers.iter().map(|header| (header.name.as_bytes().to_vec(), header.value.to_vec())).collect()
}

fn ours<'a>(fields: impl Iterator<Item = (&'a [u8], &'a [u8], Known)>) -> Fields {
    fields.map(|(name, value, _)| (name.to_vec(), value.to_vec())).collect()
}

fn their_request(head: &[u8]) -> Option<Read> {
    let mut headers = [EMPTY_HEADER; 128];
    let mut request = Request::new(&mut headers);
    let Ok(Status::Complete(_)) = request.parse(head) else { return None };
    let line = vec![request.method?.into(), request.path?.into(), vec![request.version?]];
    Some((line, theirs(request.headers)))
}

fn their_response(head: &[u8]) -> Option<Read> {
    let mut headers = [EMPTY_HEADER; 128];
    let mut response = Response::new(&mut headers);
    let Ok(Status::Complete(_)) = response.parse(head) else { return None };
    Some((vec![response.code?.to_string().into(), vec![response.version?]], theirs(response.headers)))
}

fn is_http10(version: crate::protocol::Version) -> Vec<u8> {
    vec![u8::from(version != crate::protocol::Version::Http10)]
}

/// Holds ours against theirs: what they read we read alike, or refuse for its meaning; what they do not we refuse.
fn agree(
    bytes: &[u8],
    result: Result<Option<usize>, HeadError>,
    ours: Option<Read>,
    theirs: impl Fn(&[u8]) -> Option<Read>,
) -> Result<(), TestCaseError> {
    let scanned = HeadScan::new().find(bytes);
    match (&result, scanned) {
        (Ok(Some(end)), Ok(Some(range))) => {
            prop_assert_eq!(*end, range.end);
            prop_assert_eq!(ours, theirs(&bytes[range]));
        }
        (Ok(None), scanned) => prop_assert_eq!(scanned, Ok(None)),
        (Err(error), Ok(Some(range))) if is_about_syntax(error) => prop_assert_eq!(theirs(&bytes[range]), None),
        (Err(_), _) => {}
        (Ok(Some(_)), scanned) => prop_assert!(false, "{scanned:?} though it was read"),
    }
    Ok(())
}

fn request(bytes: &[u8]) -> Result<(), TestCaseError> {
    let mut head = RequestHead::new();
    let result = parse_request(bytes, &LIMITS, &mut head);
    // The target of an absolute form is taken apart: theirs is the whole of it.
    let absolute =
        head.store.bytes.get(usize::from(head.method_span.end) + 1..).is_some_and(|rest| rest.first() != Some(&b'/'));
    if absolute && matches!(result, Ok(Some(_))) {
        return Ok(());
    }
    let read =
        (vec![head.method_bytes().to_vec(), head.target().to_vec(), is_http10(head.version)], ours(head.fields()));
    agree(bytes, result, Some(read), their_request)
}

fn response(bytes: &[u8]) -> Result<(), TestCaseError> {
    let mut head = ResponseHead::new();
    let result = parse_response(bytes, Method::Get, &mut head);
    let read = (vec![head.status.to_string().into_bytes(), is_http10(head.version)], ours(head.fields()));
    agree(bytes, result, Some(read), their_response)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn heads_are_cut_as_httparse_cuts_them(bytes in near_http()) {
        request(&bytes)?;
        response(&bytes)?;
    }

    #[test]
    fn one_byte_changed_is_seen_alike(place in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut bytes = b"GET /a/b?c=d HTTP/1.1\r\nHost: shop.example\r\nAccept-Language: \ten, de \t\r\nX_1:\r\nX-Y: z\r\n\r\n".to_vec();
        let place_in = place.index(bytes.len());
        bytes[place_in] = byte;
        request(&bytes)?;
        let mut bytes = b"HTTP/1.1 200 Fine\r\nServer: a b\r\nContent-Length: 12\r\nX-Unknown-Name-Of-Some-Length: \"z\"\r\n\r\n".to_vec();
        let place_in = place.index(bytes.len());
        bytes[place_in] = byte;
        response(&bytes)?;
    }
}
