//! What strings must look like. Kong's words where Kong has some (Kong 3.10 kong/db/schema/typedefs.lua and init.lua).

use super::table::{Complaint, Rule};
use ipnet::IpNet;
use regex::RegexBuilder;
use std::net::{IpAddr, SocketAddr};

type Check = Result<(), Complaint>;

macro_rules! rules {
    ($($(#[$doc:meta])* $name:ident: $title:literal, $pattern:literal, $check:expr;)*) => {
        $($(#[$doc])* pub(super) const $name: Rule = Rule { name: $title, pattern: $pattern, check: $check };)*
    };
}

rules! {
    /// Any string, the empty one too.
    ANY: "string", "", |_, _| Ok(());
    /// Any string but the empty one.
    FILLED: "string", ".", filled;
    /// A service's, a route's name.
    NAME: "name", "^[^\\s/?#]+$", name;
    ID: "id (UUID)", "^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$", id;
    TAG: "tag", "^[^,/]+$", tag;
    /// A host name or address, without a port.
    HOST: "host", "^\\S+$", host;
    /// An upstream's name.
    UPSTREAM_NAME: "host name", "^\\S+$", upstream_name;
    /// A route's host: exact, wildcard, with or without a port.
    ROUTE_HOST: "host, `*.host` or `host.*`", "^\\S+$", route_host;
    SNI: "host name, `*.host` or `host.*`", "^\\S+$", sni;
    TARGET: "host:port", "^\\S+$", target;
    HOST_HEADER: "host[:port]", "^\\S+$", host_header;
    URL: "URL", "^[a-z]+://", filled;
    /// A path that requests are sent to.
    PATH: "path", "^/", path;
    /// A route's path: a prefix, or a regex after `~`.
    ROUTE_PATH: "path prefix, or `~` and a regex", "^[/~]", route_path;
    METHOD: "method in upper case", "^[A-Z]+$", method;
    HEADER_NAME: "header name", "^[-!#$%&'*+.^_`|~0-9A-Za-z]+$", header_name;
    ROUTE_HEADER_NAME: "header name", "^[-!#$%&'*+.^_`|~0-9A-Za-z]+$", route_header_name;
    ADDRESS: "address:port", "^\\S+$", address;
    ADMIN_ADDRESS: "address:port, or unix:PATH", "^\\S+$", admin_address;
    NETWORK: "address or CIDR", "^\\S+$", network;
    DOCKER_ENDPOINT: "auto, unix:PATH or tcp:HOST:PORT", "^(auto$|unix:|tcp:)", docker_endpoint;
    LABEL: "label", ".", filled;
    VARIABLE: "name of an environment variable", "^[^=]+$", variable;
}

fn fail(message: impl Into<std::borrow::Cow<'static, str>>) -> Check {
    Err(Complaint::new(message))
}

fn filled(value: &str, _: &str) -> Check {
    if value.is_empty() { fail("length must be at least 1") } else { Ok(()) }
}

fn name(value: &str, shown: &str) -> Check {
    filled(value, shown)?;
    let good = |c: char| c.is_ascii_alphanumeric() || "._~-".contains(c) || !c.is_ascii();
    if value.chars().all(good) {
        return Ok(());
    }
    fail(format!("invalid value '{shown}': the only accepted ascii characters are alphanumerics or ., -, _, and ~"))
}

fn id(value: &str, _: &str) -> Check {
    if super::uuid::is_uuid(value) { Ok(()) } else { fail("expected a valid UUID") }
}

fn tag(value: &str, shown: &str) -> Check {
    filled(value, shown)?;
    if value.chars().any(|c| c.is_control() || c == ',' || c == '/') {
        return fail(format!("invalid tag '{shown}': expected printable characters except ',' and '/'"));
    }
    Ok(())
}

/// Kong's idea of a host name: letters, digits, `-`, `_` and dots.
fn is_host_name(value: &str) -> bool {
    let labels = value.strip_suffix('.').unwrap_or(value);
    !labels.is_empty()
        && value.len() <= 253
        && labels.split('.').all(|label| {
            !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        })
}

/// Splits `host:port`, `[v6]:port`; the port is `None` where there is none, `Some(Err)` where it is no port.
pub(super) fn split_port(value: &str) -> (&str, Option<Result<u16, ()>>) {
    let colon = match value.rfind(':') {
        Some(at) if value.starts_with('[') => (value.get(at - 1..at) == Some("]")).then_some(at),
        // More than one colon without brackets: an IPv6 address.
        Some(at) if value.find(':') == Some(at) => Some(at),
        _ => None,
    };
    let Some((host, port)) = colon.and_then(|at| value.split_at_checked(at)) else { return (value, None) };
    let digits = port.trim_start_matches(':');
    let good = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    (host, Some(digits.parse().ok().filter(|_| good).ok_or(())))
}

/// The address in `10.0.0.1`, `::1` or `[::1]`.
pub(super) fn parse_ip(host: &str) -> Option<IpAddr> {
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    match bare {
        Some(v6) => v6.parse().ok().map(IpAddr::V6),
        None => host.parse().ok(),
    }
}

fn is_host(value: &str) -> bool {
    parse_ip(value).is_some() || is_host_name(value)
}

fn host(value: &str, shown: &str) -> Check {
    filled(value, shown)?;
    if is_host(value) {
        return Ok(());
    }
    match split_port(value) {
        (name, Some(_)) if is_host(name) => {
            Err(Complaint::new("must not have a port").help("the port has a field of its own: port"))
        }
        _ => fail(format!("invalid value: {shown}")),
    }
}

fn upstream_name(value: &str, _: &str) -> Check {
    match split_port(value) {
        _ if parse_ip(value).is_some() => fail("Invalid name; no ip addresses allowed"),
        (name, Some(_)) if is_host(name) => fail("Invalid name; no port allowed"),
        _ if is_host_name(value) => Ok(()),
        _ => fail("Invalid name; must be a valid hostname"),
    }
}

fn wildcard(value: &str, shown: &str, port: bool) -> Check {
    filled(value, shown)?;
    let stars = value.matches('*').count();
    if stars > 1 {
        return fail("invalid wildcard: must have at most one wildcard");
    }
    let (name, at) = split_port(value);
    if stars == 1 && !name.starts_with("*.") && !name.ends_with(".*") {
        return fail("invalid wildcard: must be placed at leftmost or rightmost label");
    }
    if at.is_some() && !port {
        return fail("must not have a port");
    }
    if at == Some(Err(())) {
        return fail("invalid port number");
    }
    let plain = name.replace('*', "abc");
    if is_host(&plain) { Ok(()) } else { fail(format!("invalid value: {shown}")) }
}

fn route_host(value: &str, shown: &str) -> Check {
    wildcard(value, shown, true)
}

fn sni(value: &str, shown: &str) -> Check {
    if parse_ip(value).is_some() {
        return fail("must not be an IP");
    }
    wildcard(value, shown, false)
}

fn target(value: &str, shown: &str) -> Check {
    let (name, port) = split_port(value);
    if port == Some(Err(())) || !is_host(name) {
        return fail(format!("Invalid target ('{shown}'); not a valid hostname or ip address"));
    }
    Ok(())
}

fn host_header(value: &str, shown: &str) -> Check {
    let (name, port) = split_port(value);
    if port == Some(Err(())) || !is_host(name) { fail(format!("invalid value: {shown}")) } else { Ok(()) }
}

fn path(value: &str, shown: &str) -> Check {
    if !value.starts_with('/') {
        return fail("should start with: /");
    }
    if value.contains("//") {
        return fail("must not have empty segments");
    }
    if value.bytes().any(|b| b.is_ascii_control() || b == b' ' || b == b'?' || b == b'#') {
        return fail("invalid path: characters outside of the reserved list of RFC 3986 found");
    }
    percent(value, shown)
}

/// Every `%` must be followed by two hex digits.
fn percent(value: &str, shown: &str) -> Check {
    let mut parts = value.split('%');
    parts.next();
    let good = |part: &str| part.len() >= 2 && part.bytes().take(2).all(|b| b.is_ascii_hexdigit());
    match parts.find(|part| !good(part)) {
        Some(_) if value != shown => fail("invalid url-encoded value"),
        Some(part) => {
            let bad: String = part.chars().take(2).collect();
            fail(format!("invalid url-encoded value: '%{bad}'"))
        }
        None => Ok(()),
    }
}

fn route_path(value: &str, shown: &str) -> Check {
    if let Some(pattern) = value.strip_prefix('~') {
        return regex(pattern, shown);
    }
    if !value.starts_with('/') {
        return Err(Complaint::new("should start with: / (fixed path) or ~/ (regexed path)")
            .help("write /… for a prefix, or ~/… for a regex that is anchored at its start"));
    }
    if value.contains("//") {
        return fail("must not have empty segments");
    }
    if value.bytes().any(|b| b.is_ascii_control()) {
        return fail("invalid path: control characters found");
    }
    percent(value, shown)
}

/// 1 MiB of compiled program: a route's regex takes a few KiB.
const REGEX_SIZE: usize = 1 << 20;

/// Compiles once, only to say what is wrong where it stands.
pub(super) fn regex(pattern: &str, shown: &str) -> Check {
    let Err(error) = RegexBuilder::new(pattern).size_limit(REGEX_SIZE).build() else { return Ok(()) };
    let complaint = Complaint::new(format!("invalid regex: '{shown}'"));
    // The parser's report ends with the reason; what stands before it shows the pattern itself.
    let text = error.to_string();
    let reason = text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
    let look = reason.contains("look-around") || reason.contains("backreferences");
    Err(match look {
        true => complaint.help("look-around and back-references are not supported: they can take time without bound"),
        false => complaint.help(reason),
    })
}

fn method(value: &str, shown: &str) -> Check {
    filled(value, shown)?;
    if value.bytes().all(|b| b.is_ascii_uppercase()) {
        return Ok(());
    }
    let upper = value.to_ascii_uppercase();
    let complaint = Complaint::new(format!("invalid value: {shown}"));
    Err(if upper.bytes().all(|b| b.is_ascii_uppercase()) && value == shown {
        complaint.help(format!("did you mean {upper}?"))
    } else {
        complaint
    })
}

/// Whether `value` is a token of RFC 9110 §5.6.2.
fn is_token(value: &str) -> bool {
    !value.is_empty() && value.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

fn header_name(value: &str, shown: &str) -> Check {
    if is_token(value) { Ok(()) } else { fail(format!("bad header name '{shown}'")) }
}

fn route_header_name(value: &str, shown: &str) -> Check {
    if value.eq_ignore_ascii_case("host") {
        return fail("cannot contain 'host' header, which must be specified in the 'hosts' attribute");
    }
    header_name(value, shown)
}

/// `10.0.0.1:80`, `[::]:80`, and `:80` for all addresses of both families.
pub(super) fn parse_address(value: &str) -> Option<SocketAddr> {
    match value.strip_prefix(':') {
        Some(port) if !port.starts_with(':') => format!("[::]:{port}").parse().ok(),
        _ => value.parse().ok(),
    }
}

fn address(value: &str, shown: &str) -> Check {
    if parse_address(value).is_some() {
        return Ok(());
    }
    Err(Complaint::new(format!("invalid address '{shown}'"))
        .help("expected an address and a port, such as \"0.0.0.0:8000\" or \"[::]:8000\""))
}

fn admin_address(value: &str, shown: &str) -> Check {
    match value.strip_prefix("unix:") {
        Some("") => fail("a path is missing after 'unix:'"),
        Some(_) => Ok(()),
        None => address(value, shown),
    }
}

/// `10.0.0.0/8`, or one address.
pub(super) fn parse_network(value: &str) -> Option<IpNet> {
    value.parse().ok().or_else(|| value.parse::<IpAddr>().ok().map(IpNet::from))
}

fn network(value: &str, shown: &str) -> Check {
    if parse_network(value).is_some() { Ok(()) } else { fail(format!("invalid ip or cidr range: '{shown}'")) }
}

fn docker_endpoint(value: &str, shown: &str) -> Check {
    let good = value == "auto"
        || value.strip_prefix("unix:").is_some_and(|path| !path.is_empty())
        || value.strip_prefix("tcp:").is_some_and(|rest| !rest.is_empty());
    if good {
        return Ok(());
    }
    fail(format!("invalid endpoint '{shown}': expected auto, unix:PATH or tcp:HOST:PORT"))
}

fn variable(value: &str, shown: &str) -> Check {
    filled(value, shown)?;
    if value.contains(['=', '\0']) { fail("must not contain '='") } else { Ok(()) }
}
