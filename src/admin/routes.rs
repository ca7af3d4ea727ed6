//! Every endpoint: one row each. The pages of `docs/` list the same rows.

use super::access::Trusted;
use super::answer::{Answer, message, not_found};
use super::limits::Kind;
use super::{config, entities, explain, health, metrics, providers, status};
use crate::control::Handle;
use axum::Router;
use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, Extension, Query, RawPathParams};
use axum::routing::{MethodFilter, MethodRouter, on};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{HeaderMap, Method, StatusCode};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What is asked.
pub(super) struct Ask {
    pub(super) gateway: Handle,
    pub(super) trusted: Trusted,
    /// What stands in the place of `{NAME}`s of the path, decoded.
    pub(super) names: Vec<String>,
    pub(super) query: Vec<(String, String)>,
    pub(super) fields: HeaderMap,
    pub(super) body: Bytes,
}

impl Ask {
    /// The first value of a query's parameter.
    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The name in this place of the path; empty where there is none.
    pub(super) fn name(&self, index: usize) -> &str {
        self.names.get(index).map_or("", String::as_str)
    }
}

/// Answers an [`Ask`].
type Answerer = fn(Ask) -> BoxFuture<'static, Answer>;

/// One endpoint.
pub struct Endpoint {
    /// `GET`, `POST` or `PUT`.
    pub method: &'static str,
    /// With `{name}` for what is filled in.
    pub path: &'static str,
    /// One line for the page.
    pub doc: &'static str,
    /// Whether the read-only door has it too.
    status: bool,
    answer: Answerer,
}

macro_rules! endpoints {
    ($($method:ident $path:literal $(($status:ident))? => $answer:path, $doc:literal;)*) => {
        /// Every endpoint, in the order of the page.
        pub const ENDPOINTS: &[Endpoint] = &[$(Endpoint {
            method: stringify!($method),
            path: $path,
            doc: $doc,
            status: endpoints!(@ $($status)?),
            answer: |ask| Box::pin($answer(ask)),
        }),*];
    };
    (@ status) => { true };
    (@) => { false };
}

endpoints! {
    GET "/" => status::node, "what this is: version, host name";
    GET "/status" => status::status, "connections, requests, memory, the document's hash and generation, why the last one was refused";
    GET "/healthz" (status) => status::alive, "200 while the process lives";
    GET "/readyz" (status) => status::ready, "200 once it serves what its providers see; 503, with the reason, before that and once it drains";
    GET "/metrics" (status) => metrics::scrape, "Prometheus' text format";
    GET "/config" => config::get, "the document that is served, as it was said";
    POST "/config" => config::post, "serve this document instead, whole or not at all; `?check_hash=1`: 304 if it is the one that is served";
    GET "/snapshot" => config::snapshot, "everything that is served, labels' part too, as one document";
    GET "/providers" => providers::list, "what each provider sees, and what was left out and why";
    GET "/explain" => explain::explain, "`?method=&url=`, and `&header=NAME: VALUE` as often as needed: which route a request takes, why the others lose, and where it goes";
    GET "/services" => entities::services, "Kong's list of services";
    GET "/services/{service}" => entities::service, "one, by id or name";
    GET "/services/{service}/routes" => entities::routes_of_service, "its routes";
    GET "/routes" => entities::routes, "Kong's list of routes";
    GET "/routes/{route}" => entities::route_by_name, "one, by id or name";
    GET "/routes/{route}/service" => entities::service_of_route, "the service that it leads to";
    GET "/upstreams" => entities::upstreams, "Kong's list of upstreams";
    GET "/upstreams/{upstream}" => entities::upstream, "one, by id or name";
    GET "/upstreams/{upstream}/targets" => entities::targets, "its targets, those that were discovered too";
    GET "/upstreams/{upstream}/health" => health::targets, "Kong's health of each target, with its state and every cause; `?balancer_health=1`: of the whole";
    PUT "/upstreams/{upstream}/targets/{target}/healthy" => health::set_healthy, "takes verdicts on the target back";
    PUT "/upstreams/{upstream}/targets/{target}/unhealthy" => health::set_unhealthy, "takes the target out, by hand; active checks that find it well bring it back, as in Kong";
    PUT "/upstreams/{upstream}/targets/{target}/{address}/healthy" => health::set_address_healthy, "one address of a target";
    PUT "/upstreams/{upstream}/targets/{target}/{address}/unhealthy" => health::set_address_unhealthy, "one address of a target";
    GET "/certificates" => entities::certificates, "Kong's list of certificates; a key is `***`, unless trusted";
    GET "/certificates/{certificate}" => entities::certificate, "one, by id or one of its SNIs";
    GET "/snis" => entities::snis, "Kong's list of SNIs";
    GET "/snis/{sni}" => entities::sni, "one, by name";
}

/// Entities of Kong's, which only a document may write.
const ENTITIES: [&str; 6] = ["services", "routes", "upstreams", "targets", "certificates", "snis"];

/// The router of a door.
pub(super) fn router(gateway: &Handle, read_only: bool) -> Router {
    let mut by_path: BTreeMap<&str, MethodRouter> = BTreeMap::new();
    for endpoint in ENDPOINTS.iter().filter(|endpoint| endpoint.status || !read_only) {
        let routed = one(endpoint, gateway);
        let routed = match by_path.remove(endpoint.path) {
            Some(before) => before.merge(routed),
            None => routed,
        };
        by_path.insert(endpoint.path, routed);
    }
    let mut router = Router::new();
    for (path, routed) in by_path {
        router = router.route(path, routed);
    }
    router
        .method_not_allowed_fallback(|method: Method, uri: http::Uri| async move { not_allowed(&method, uri.path()) })
        .fallback(|| async { not_found() })
}

fn one(endpoint: &Endpoint, gateway: &Handle) -> MethodRouter {
    let filter = match endpoint.method {
        "POST" => MethodFilter::POST,
        "PUT" => MethodFilter::PUT,
        _ => MethodFilter::GET,
    };
    let (answer, gateway) = (endpoint.answer, gateway.clone());
    let kind = Kind::of(&Method::from_bytes(endpoint.method.as_bytes()).unwrap_or_default(), endpoint.path);
    type Parameters = Query<Vec<(String, String)>>;
    let handler = move |Extension(trusted): Extension<Trusted>,
                        names: RawPathParams,
                        query: Result<Parameters, QueryRejection>,
                        fields: HeaderMap,
                        body: Result<Bytes, BytesRejection>| {
        let names = names.iter().map(|(_, value)| value.to_owned()).collect();
        let gateway = gateway.clone();
        async move {
            let body = match body {
                Ok(body) => body,
                Err(error) if error.status() == StatusCode::PAYLOAD_TOO_LARGE => return kind.too_large(),
                Err(_) => return message(StatusCode::BAD_REQUEST, "the body broke off"),
            };
            let Ok(Query(query)) = query else {
                return message(StatusCode::BAD_REQUEST, "the query is not of the form name=value&…");
            };
            answer(Ask { gateway, trusted, names, query, fields, body }).await
        }
    };
    // It counts in bytes that fit the memory.
    on(filter, handler).layer(DefaultBodyLimit::max(usize::try_from(kind.body_max()).unwrap_or(usize::MAX)))
}

/// In Kong's words where it is an entity that somebody wants to write.
fn not_allowed(method: &Method, path: &str) -> Answer {
    let entity = path.split('/').rev().find_map(|part| ENTITIES.into_iter().find(|name| *name == part));
    let verb = match *method {
        Method::POST => "create",
        Method::PUT => "create or update",
        Method::PATCH => "update",
        Method::DELETE => "remove",
        _ => "",
    };
    match entity {
        Some(entity) if !verb.is_empty() => {
            let text = format!("cannot {verb} '{entity}' entities when not using a database");
            super::answer::json(
                StatusCode::METHOD_NOT_ALLOWED,
                &serde_json::json!({"code": 12, "name": "operation unsupported", "message": text}),
            )
        }
        _ => message(StatusCode::METHOD_NOT_ALLOWED, "Method not allowed"),
    }
}

/// Keeps an `Arc`'d view for as long as an answer is made of it.
pub(super) type View = Arc<crate::control::View>;
