//! A second, strict reader of HTTP/1, on httparse: what it and the gateway read differently is where smuggling begins.
//! It takes fewer things than RFC 9112 allows a recipient to take: no bare LF, no folded lines, one length.

use httparse::{Header, ParserConfig, Request, Response, Status};

/// Fields that a message may have here.
const FIELDS_MAX: usize = 256;

/// What some bytes begin with.
#[derive(Debug)]
pub(crate) enum Read {
    Whole(Message),
    /// The beginning of a message; the head, if that is whole.
    Part(Option<Message>),
    Bad(String),
}

/// A message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Message {
    /// A request's, else empty.
    pub(crate) method: String,
    pub(crate) target: String,
    /// A response's, else 0.
    pub(crate) status: u16,
    /// The head with its empty line.
    pub(crate) head: Vec<u8>,
    pub(crate) fields: Vec<(String, Vec<u8>)>,
    /// Without framing.
    pub(crate) body: Vec<u8>,
    /// All the bytes that it takes.
    pub(crate) length: usize,
}

impl Message {
    /// The values of a field, `name` in lower case.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.fields.iter().filter(move |(have, _)| have == name).map(|(_, value)| value.as_slice())
    }

    /// The lines of the head.
    pub(crate) fn lines(&self) -> impl Iterator<Item = &[u8]> {
        self.head.split(|&byte| byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line))
    }
}

/// How a body ends.
enum Length {
    Bytes(usize),
    Chunks,
    Close,
}

/// Reads a request.
pub(crate) fn request(bytes: &[u8]) -> Read {
    let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
    let mut request = Request::new(&mut fields);
    let end = match ParserConfig::default().parse_request(&mut request, bytes) {
        Ok(Status::Complete(end)) => end,
        Ok(Status::Partial) => return Read::Part(None),
        Err(error) => return Read::Bad(format!("{error}")),
    };
    let mut message = Message {
        method: request.method.unwrap_or_default().to_owned(),
        target: request.path.unwrap_or_default().to_owned(),
        ..Message::default()
    };
    let old = request.version == Some(0);
    if let Err(problem) = take_head(&mut message, &bytes[..end], request.headers) {
        return Read::Bad(problem);
    }
    if !old && message.all("host").count() != 1 {
        return Read::Bad("not one Host".to_owned());
    }
    match length(&message, old) {
        Err(problem) => Read::Bad(problem),
        Ok(None) => body(message, bytes, end, &Length::Bytes(0)),
        Ok(Some(length)) => body(message, bytes, end, &length),
    }
}

/// Reads a response; at the end of the stream (`ended`) a body without a length is whole.
pub(crate) fn response(bytes: &[u8], to_head: bool, ended: bool) -> Read {
    let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
    let mut response = Response::new(&mut fields);
    let end = match ParserConfig::default().parse_response(&mut response, bytes) {
        Ok(Status::Complete(end)) => end,
        Ok(Status::Partial) => return Read::Part(None),
        Err(error) => return Read::Bad(format!("{error}")),
    };
    let status = response.code.unwrap_or_default();
    let mut message = Message { status, ..Message::default() };
    if let Err(problem) = take_head(&mut message, &bytes[..end], response.headers) {
        return Read::Bad(problem);
    }
    let length = match length(&message, response.version == Some(0)) {
        Err(problem) => return Read::Bad(problem),
        Ok(length) => length,
    };
    match (status, length) {
        (204, Some(_)) => Read::Bad("204 with a length".to_owned()),
        (100..200 | 204 | 304, _) => body(message, bytes, end, &Length::Bytes(0)),
        _ if to_head => body(message, bytes, end, &Length::Bytes(0)),
        (_, None) if ended => body(message, bytes, end, &Length::Bytes(bytes.len() - end)),
        (_, None) => body(message, bytes, end, &Length::Close),
        (_, Some(length)) => body(message, bytes, end, &length),
    }
}

fn take_head(message: &mut Message, head: &[u8], fields: &[Header<'_>]) -> Result<(), String> {
    // httparse passes over empty lines before the first.
    let start = head.iter().position(|&byte| !matches!(byte, b'\r' | b'\n')).unwrap_or_default();
    for (at, byte) in head.iter().enumerate() {
        match byte {
            b'\n' if at == 0 || head[at - 1] != b'\r' => return Err("a bare LF in the head".to_owned()),
            b'\r' if head.get(at + 1) != Some(&b'\n') => return Err("a bare CR in the head".to_owned()),
            _ => {}
        }
    }
    message.head = head[start..].to_vec();
    for field in fields {
        message.fields.push((field.name.to_ascii_lowercase(), field.value.to_vec()));
    }
    Ok(())
}

fn length(message: &Message, old: bool) -> Result<Option<Length>, String> {
    let lengths: Vec<_> = message.all("content-length").collect();
    let codings: Vec<_> = message.all("transfer-encoding").collect();
    match (lengths.as_slice(), codings.as_slice()) {
        ([], []) => Ok(None),
        ([length], []) => {
            let text = std::str::from_utf8(length).map_err(|error| error.to_string())?;
            let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            let number = text.parse().ok().filter(|_| digits).ok_or_else(|| format!("no length: {text:?}"))?;
            Ok(Some(Length::Bytes(number)))
        }
        ([], [coding]) if !old && coding.eq_ignore_ascii_case(b"chunked") => Ok(Some(Length::Chunks)),
        _ => Err("a length said twice, or in no known way".to_owned()),
    }
}

fn body(mut message: Message, bytes: &[u8], end: usize, length: &Length) -> Read {
    match length {
        Length::Bytes(length) => match end.checked_add(*length).and_then(|whole| bytes.get(end..whole)) {
            Some(body) => {
                message.body = body.to_vec();
                message.length = end + length;
                Read::Whole(message)
            }
            None => Read::Part(Some(message)),
        },
        Length::Close => Read::Part(Some(message)),
        Length::Chunks => match chunks(&bytes[end..], &mut message.body) {
            Ok(Some(length)) => {
                message.length = end + length;
                Read::Whole(message)
            }
            Ok(None) => Read::Part(Some(message)),
            Err(problem) => Read::Bad(problem),
        },
    }
}

/// Takes chunks apart; how long they are, with their trailers.
fn chunks(bytes: &[u8], body: &mut Vec<u8>) -> Result<Option<usize>, String> {
    let mut at = 0;
    loop {
        let Some(line) = line(&bytes[at..])? else { return Ok(None) };
        at += line.len() + 2;
        let size = line.split(|&byte| byte == b';').next().unwrap_or_default().trim_ascii_end();
        let size = std::str::from_utf8(size).map_err(|error| error.to_string())?;
        if size.is_empty() || !size.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(format!("no chunk size: {size:?}"));
        }
        let size = usize::from_str_radix(size, 16).map_err(|error| error.to_string())?;
        if size == 0 {
            break;
        }
        let Some(end) = at.checked_add(size) else { return Ok(None) };
        let Some(data) = bytes.get(at..end) else { return Ok(None) };
        body.extend_from_slice(data);
        match bytes.get(end..end + 2) {
            Some(b"\r\n") => at = end + 2,
            Some(other) => return Err(format!("a chunk followed by {other:?}")),
            None if bytes.get(end).is_some_and(|&byte| byte != b'\r') => return Err("no CR after a chunk".to_owned()),
            None => return Ok(None),
        }
    }
    loop {
        let Some(line) = line(&bytes[at..])? else { return Ok(None) };
        at += line.len() + 2;
        if line.is_empty() {
            return Ok(Some(at));
        }
        let name = line.iter().position(|&byte| byte == b':').map(|colon| &line[..colon]);
        if name.is_none_or(|name| name.is_empty() || name.iter().any(|byte| !byte.is_ascii_graphic())) {
            return Err("no trailer".to_owned());
        }
    }
}

/// A line of the framing of chunks, without its end. It holds no control characters.
fn line(bytes: &[u8]) -> Result<Option<&[u8]>, String> {
    let end = bytes.iter().position(|&byte| (byte < b' ' && byte != b'\t') || byte == 0x7f);
    let Some(end) = end else { return Ok(None) };
    match (bytes[end], bytes.get(end + 1)) {
        (b'\r', Some(b'\n')) => Ok(Some(&bytes[..end])),
        (b'\r', None) => Ok(None),
        (byte, _) => Err(format!("a line with the byte {byte}")),
    }
}
