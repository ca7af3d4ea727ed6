//! `route.…` and `routes.NAME.…`: which requests come to the container.

use super::table::Field;
use super::values::{self, is_token, shown};
use crate::config::{PathHandling, Place, Protocol, Route};
use regex::bytes::RegexBuilder;
use std::sync::Arc;

/// A route while its labels are read.
pub(super) struct RouteDraft {
    pub(super) route: Route,
    /// Apart from the route's, since its default depends on the protocols.
    strip_path: Option<bool>,
}

impl RouteDraft {
    /// A route that no label has said anything of, with Kong's defaults.
    pub(super) fn new(name: &str, service: &str) -> Self {
        let full: Arc<str> = if name.is_empty() { service.into() } else { format!("{service}/{name}").into() };
        let route = Route {
            id: Arc::clone(&full),
            name: full,
            service: Some(service.into()),
            protocols: vec![Protocol::Http, Protocol::Https],
            hosts: Vec::new(),
            paths: Vec::new(),
            methods: Vec::new(),
            headers: Vec::new(),
            snis: Vec::new(),
            strip_path: true,
            preserve_host: false,
            path_handling: PathHandling::V0,
            regex_priority: 0,
            https_redirect_status_code: 426,
            tags: Vec::new(),
            place: Place::default(),
        };
        Self { route, strip_path: None }
    }

    /// What can be judged only when all labels are read.
    pub(super) fn finish(mut self) -> Result<Route, String> {
        if self.route.hosts.is_empty() {
            return Err("`hosts` is needed: a label route without a host could take any request".to_owned());
        }
        // Kong 3.10 kong/db/schema/entities/routes_subschemas.lua: gRPC's path names the method, nothing may be cut off.
        let grpc = self.route.protocols.iter().any(|protocol| protocol.is_grpc());
        if grpc && self.strip_path == Some(true) {
            return Err("`strip_path` cannot be true where `protocols` has grpc or grpcs".to_owned());
        }
        self.route.strip_path = self.strip_path.unwrap_or(!grpc);
        Ok(self.route)
    }
}

/// The regexes that a route's rules hold, without their marks.
pub(super) fn regexes(route: &Route) -> impl Iterator<Item = &str> {
    let paths = route.paths.iter().filter_map(|path| path.strip_prefix('~'));
    let headers = route.headers.iter().filter_map(|(_, values)| match values.as_slice() {
        [only] => only.strip_prefix("~*"),
        _ => None,
    });
    paths.chain(headers)
}

/// Whether `regex` is one, and is no larger than `size_max` bytes when compiled.
pub(super) fn check_regex(regex: &str, size_max: usize) -> Result<(), String> {
    let compiled = RegexBuilder::new(&format!("^(?:{regex})")).unicode(false).size_limit(size_max).build();
    match compiled {
        Ok(_) => Ok(()),
        Err(regex::Error::CompiledTooBig(_)) => Err(format!(
            "the regex {} is larger than its share of `limits.regex` allows ({size_max} bytes)",
            shown(regex)
        )),
        Err(_) => Err(format!("{} is not a regex that can be used", shown(regex))),
    }
}

pub(super) const FIELDS: &[Field<RouteDraft>] = &[
    Field {
        name: "hosts",
        doc: "Hosts that it answers: exact, with a port, `*.b` or `a.*`. Needed.",
        example: "shop.example.com,*.shop.example.com",
        set: |draft, _, value| {
            draft.route.hosts = values::list(value)?.iter().map(|item| host(item)).collect::<Result<_, _>>()?;
            Ok(())
        },
    },
    Field {
        name: "paths",
        doc: "Prefixes, or `~regex` anchored at its start.",
        example: "/api,~/v\\d+/",
        set: |draft, _, value| {
            draft.route.paths = values::list(value)?;
            let wrong = draft.route.paths.iter().find(|path| !path.starts_with('/') && !path.starts_with("~/"));
            wrong.map_or(Ok(()), |path| Err(format!("wants paths that begin with / or ~/, not {}", shown(path))))
        },
    },
    Field {
        name: "methods",
        doc: "Methods that it answers, in upper case.",
        example: "GET,HEAD",
        set: |draft, _, value| {
            draft.route.methods = values::list(value)?;
            let upper = |method: &Arc<str>| method.bytes().all(|byte| byte.is_ascii_uppercase());
            let wrong = draft.route.methods.iter().find(|method| !upper(method));
            wrong.map_or(Ok(()), |method| Err(format!("wants methods in upper case, not {}", shown(method))))
        },
    },
    Field {
        name: "headers.*",
        doc: "Values of a header, any of which matches; a single `~*regex` is a regex.",
        example: "beta,canary",
        set: |draft, key, value| {
            let name = key.to_ascii_lowercase();
            if !is_token(&name) || name == "host" {
                return Err("names no header that a route may ask for".to_owned());
            }
            let values = values::list(value)?;
            draft.route.headers.retain(|(known, _)| **known != *name);
            draft.route.headers.push((name.into(), values));
            Ok(())
        },
    },
    Field {
        name: "protocols",
        doc: "Schemes that it answers.",
        example: "http,https",
        set: |draft, _, value| {
            draft.route.protocols =
                values::list(value)?.iter().map(|item| values::protocol(item)).collect::<Result<_, _>>()?;
            Ok(())
        },
    },
    Field {
        name: "strip_path",
        doc: "Takes the matched prefix off the path.",
        example: "true",
        set: |draft, _, value| {
            draft.strip_path = Some(values::boolean(value)?);
            Ok(())
        },
    },
    Field {
        name: "preserve_host",
        doc: "Sends the client's Host on.",
        example: "false",
        set: |draft, _, value| {
            draft.route.preserve_host = values::boolean(value)?;
            Ok(())
        },
    },
    Field {
        name: "regex_priority",
        doc: "Among regex paths, higher first.",
        example: "10",
        set: |draft, _, value| {
            draft.route.regex_priority = values::integer(value, i64::from(i32::MIN)..=i64::from(i32::MAX))?;
            Ok(())
        },
    },
    Field {
        name: "https_redirect_status_code",
        doc: "What an http request to an https-only route is answered: 426, 301, 302, 307 or 308.",
        example: "301",
        set: |draft, _, value| {
            let code = values::small(value, 0..=u16::MAX)?;
            if ![426, 301, 302, 307, 308].contains(&code) {
                return Err(format!("wants 426, 301, 302, 307 or 308, not {code}"));
            }
            draft.route.https_redirect_status_code = code;
            Ok(())
        },
    },
];

/// A host rule in lower case. Kong 3.10 kong/db/schema/typedefs.lua, `wildcard_host`.
fn host(text: &str) -> Result<Arc<str>, String> {
    let lower = text.to_ascii_lowercase();
    let (name, port) = match lower.rsplit_once(':') {
        Some((name, port)) => (name, Some(port)),
        None => (lower.as_str(), None),
    };
    if let Some(port) = port {
        values::small(port, 1..=u16::MAX).map_err(|error| format!("has a port in {} that {error}", shown(text)))?;
    }
    let middle = name.strip_prefix("*.").or_else(|| name.strip_suffix(".*")).unwrap_or(name);
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    if name.len() <= 253 && middle.split('.').all(label) {
        Ok(lower.into())
    } else {
        Err(format!("wants host names, with one `*` as the first or the last label at the most, not {}", shown(text)))
    }
}
