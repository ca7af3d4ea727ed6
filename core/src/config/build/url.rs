//! Kong's `url` shorthand (Kong 3.10 kong/db/schema/entities/services.lua, `shorthand_fields`).

use crate::config::Protocol;
use crate::config::rule;
use crate::config::table::Complaint;

/// What a service's `url` stands for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ServiceUrl {
    pub(super) protocol: Protocol,
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) path: Option<String>,
}

/// Parses `protocol://host[:port][/path]`. The value may be a secret, so messages do not show it.
pub(super) fn parse(url: &str) -> Result<ServiceUrl, Complaint> {
    let Some((scheme, rest)) = url.split_once("://") else {
        return Err(Complaint::new("missing scheme in url").help("expected http://HOST[:PORT][/PATH], or https"));
    };
    let protocol = match scheme.to_ascii_lowercase().as_str() {
        "http" => Protocol::Http,
        "https" => Protocol::Https,
        "grpc" => Protocol::Grpc,
        "grpcs" => Protocol::Grpcs,
        _ => return Err(Complaint::new("expected one of: http, https, grpc, grpcs")),
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, tail) = rest.split_at_checked(end).unwrap_or((rest, ""));
    if authority.contains('@') {
        return Err(Complaint::new("a user or a password in the url is not sent to targets: leave it out"));
    }
    let (host, port) = rule::split_port(authority);
    if host.is_empty() {
        return Err(Complaint::new("missing host in url"));
    }
    (rule::HOST.check)(host, "the url's host")?;
    let port = match port {
        Some(Ok(port)) => port,
        Some(Err(())) => return Err(Complaint::new("value should be between 0 and 65535: the url's port")),
        None if protocol == Protocol::Https => 443,
        None => 80,
    };
    // Kong keeps neither query nor fragment.
    let path = tail.split(['?', '#']).next().unwrap_or_default();
    if !path.is_empty() {
        (rule::PATH.check)(path, "the url's path")?;
    }
    let path = (!path.is_empty()).then(|| path.to_owned());
    Ok(ServiceUrl { protocol, host: host.to_owned(), port, path })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_stands_for_four_fields() {
        let check = |url: &str, expected: Result<(Protocol, &str, u16, Option<&str>), &str>| {
            let got = parse(url);
            let got = got
                .as_ref()
                .map(|u| (u.protocol, u.host.as_str(), u.port, u.path.as_deref()))
                .map_err(|complaint| complaint.message.as_ref());
            assert_eq!(got, expected, "{url}");
        };
        check("http://a.b", Ok((Protocol::Http, "a.b", 80, None)));
        check("https://a.b", Ok((Protocol::Https, "a.b", 443, None)));
        check("http://a.b:8080/x/y?z=1", Ok((Protocol::Http, "a.b", 8080, Some("/x/y"))));
        check("http://a.b/", Ok((Protocol::Http, "a.b", 80, Some("/"))));
        check("HTTPS://10.0.0.1:1", Ok((Protocol::Https, "10.0.0.1", 1, None)));
        check("http://[::1]:8080/", Ok((Protocol::Http, "[::1]", 8080, Some("/"))));
        check("grpc://a:50051", Ok((Protocol::Grpc, "a", 50051, None)));
        check("a.b:80", Err("missing scheme in url"));
        check("http://", Err("missing host in url"));
        check("http:///x", Err("missing host in url"));
        check("http://a.b:99999", Err("value should be between 0 and 65535: the url's port"));
        check("http://a.b:x", Err("value should be between 0 and 65535: the url's port"));
        check("ftp://a.b", Err("expected one of: http, https, grpc, grpcs"));
        check("http://u:p@a.b", Err("a user or a password in the url is not sent to targets: leave it out"));
        check("http://a b/", Err("invalid value: the url's host"));
    }
}
