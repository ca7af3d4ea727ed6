//! The document's services and routes, which no label changes.

use super::pools::Pools;
use super::whole::Remarks;
use super::{PlannedRoute, PlannedService};
use crate::config::Document;
use rustc_hash::FxHashMap;

/// Every service with the upstream that its host means.
pub(super) fn services(document: &Document, pools: &mut Pools<'_>, remarks: &mut Remarks) -> Vec<PlannedService> {
    let services = document.services.iter().map(|service| PlannedService {
        service: service.clone(),
        upstream: pools.of_host(&service.host, service.port, remarks),
    });
    services.collect()
}

/// Every route with its service.
pub(super) fn routes(document: &Document) -> Vec<PlannedRoute> {
    let by_name: FxHashMap<&str, usize> =
        document.services.iter().enumerate().map(|(index, service)| (&*service.name, index)).collect();
    let routes = document.routes.iter().map(|route| PlannedRoute {
        route: route.clone(),
        service: route.service.as_ref().and_then(|name| by_name.get(&**name).copied()),
        labelled: false,
    });
    routes.collect()
}
