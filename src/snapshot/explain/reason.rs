//! From a question to its explanation, step by step as the data path goes.

use super::pool::{self, Ability};
use super::{Asked, Considered, Explanation, Forwarded, Question};
use crate::snapshot::{HostRule, Route, Service, Snapshot};
use plimsoll_core::protocol::{Method, RequestHead, uri};
use plimsoll_core::router::{Ask, Fields, Outcome, RouteIndex};

/// Routes that are told of, at the most: the winner, and those that come nearest.
const ROUTES_TOLD: usize = 10;

/// What would become of a request.
#[must_use]
pub fn explain(snapshot: &Snapshot, question: &Question) -> Explanation {
    let mut explanation = unanswered(question, port(snapshot, question));
    match question.head(&snapshot.settings.head_limits) {
        Ok(head) if matches!(head.method, Method::Trace | Method::Connect) => {
            end(&mut explanation, 405, format!("{} is not served", question.method));
        }
        Ok(head) => route(snapshot, question, &head, &mut explanation),
        Err(error) => end(&mut explanation, error.status(), format!("not a request that is served: {error}")),
    }
    explanation
}

fn unanswered(question: &Question, port: u16) -> Explanation {
    let (path, query) = match question.target.split_once('?') {
        Some((path, query)) => (path, Some(query.to_owned())),
        None => (question.target.as_str(), None),
    };
    let request = Asked {
        method: question.method.clone(),
        scheme: question.scheme().to_owned(),
        host: question.authority.clone(),
        port,
        path: path.to_owned(),
        query,
    };
    Explanation {
        request,
        outcome: String::new(),
        status: None,
        route: None,
        service: None,
        routes: Vec::new(),
        more_routes: 0,
        plugins: Vec::new(),
        upstream: None,
        forward: None,
    }
}

/// The gateway itself would answer.
fn end(explanation: &mut Explanation, status: u16, outcome: String) {
    (explanation.status, explanation.outcome) = (Some(status), outcome);
}

/// The port that the request would come in by: the URL's, else that of the first listener of its kind.
fn port(snapshot: &Snapshot, question: &Question) -> u16 {
    let (_, written) = uri::split_host(question.authority.as_bytes());
    let fitting = snapshot.listeners.values().filter(|listener| listener.tls.is_some() == question.tls);
    let first = fitting.map(|listener| listener.address.port()).min();
    written.or(first).unwrap_or(if question.tls { 443 } else { 80 })
}

struct HeadFields<'a>(&'a RequestHead);

impl Fields for HeadFields<'_> {
    fn any(&self, name: &str, test: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        self.0.all(name).any(test)
    }
}

fn route(snapshot: &Snapshot, question: &Question, head: &RequestHead, explanation: &mut Explanation) {
    let mut path = Vec::new();
    uri::normalise_path(head.path(), &mut path);
    explanation.request.path = String::from_utf8_lossy(&path).into_owned();
    let (name, _) = uri::split_host(head.host());
    let ask = Ask {
        method: head.method_bytes(),
        host: head.host(),
        port: explanation.request.port,
        path: &path,
        tls: question.tls,
        sni: std::str::from_utf8(name).ok().filter(|_| question.tls),
        fields: &HeadFields(head),
    };
    let verdicts = snapshot.router.explain(&ask, ROUTES_TOLD);
    explanation.more_routes = snapshot.routes.len().saturating_sub(verdicts.len());
    for verdict in verdicts {
        explanation.routes.extend(considered(snapshot, verdict.route, verdict.outcome));
    }
    let Some(found) = snapshot.router.route(&ask) else {
        return end(explanation, 404, "no route matches".to_owned());
    };
    let Some(route) = snapshot.route(found.route) else { return };
    explanation.route = Some(route.name.to_string());
    if let (Some(status), false) = (route.https_redirect, question.tls) {
        let how = if status == 426 { "is told to use https" } else { "is redirected to https" };
        return end(explanation, status, format!("the route {} wants https: the client {how}", route.name));
    }
    let Some(service) = &route.service else {
        return end(explanation, 503, format!("the route {} has no service", route.name));
    };
    explanation.service = Some(service.name.to_string());
    explanation.forward = Some(forwarded(route, service, head, &path, found.matched));
    conclude(snapshot, route, service, explanation);
}

fn conclude(snapshot: &Snapshot, route: &Route, service: &Service, explanation: &mut Explanation) {
    let (upstream, ability) = pool::view(snapshot, service);
    let name = upstream.name.clone();
    explanation.upstream = Some(upstream);
    if service.unresolved {
        return end(explanation, 503, format!("the name of the service {} does not resolve", service.name));
    }
    match ability {
        Ability::Serves | Ability::Unknown => {
            explanation.outcome = format!("goes by the route {} to a target of {name}", route.name);
        }
        Ability::Holds => {
            explanation.outcome = format!("is held until a target of {name} is ready, or the hold's time is over");
        }
        Ability::Fails => end(explanation, 503, format!("no target of {name} may be picked")),
    }
}

fn considered(snapshot: &Snapshot, index: RouteIndex, outcome: Outcome) -> Option<Considered> {
    let route = snapshot.route(index)?;
    let from_labels = snapshot.plan.routes.get(index.0 as usize).is_some_and(|planned| planned.labelled);
    let (wins, why) = match outcome {
        Outcome::Wins { matched: 0 } => (true, "matches".to_owned()),
        Outcome::Wins { matched } => {
            let bytes = if matched == 1 { "byte" } else { "bytes" };
            (true, format!("matches; its path took {matched} {bytes} of the request's"))
        }
        Outcome::Loses { why } => (false, why),
    };
    Some(Considered { route: route.name.to_string(), from_labels, wins, why })
}

fn forwarded(route: &Route, service: &Service, head: &RequestHead, path: &[u8], matched: usize) -> Forwarded {
    let mut joined = Vec::new();
    if head.target() == b"*" {
        joined.push(b'*');
    } else {
        let service_path = service.path.as_ref().map(|path| path.as_bytes());
        uri::join_path(route.path_v1, service_path, path, matched, route.strip_path, &mut joined);
    }
    if let Some(query) = head.query() {
        joined.push(b'?');
        joined.extend_from_slice(query);
    }
    let host = match &service.host {
        _ if route.preserve_host && !head.host().is_empty() => Some(String::from_utf8_lossy(head.host()).into_owned()),
        HostRule::Target => None,
        HostRule::Written(host) => Some(host.to_string()),
    };
    let path = String::from_utf8_lossy(&joined).into_owned();
    Forwarded { protocol: service.protocol.name().to_owned(), path, host }
}
