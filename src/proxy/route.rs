//! Which route a request takes, and what speaks against serving it at all.

use super::failure::Failure;
use super::request::Request;
use crate::snapshot::Settings;
use plimsoll_core::limits::Rate;
use plimsoll_core::protocol::{BodyLength, Known, Method, RequestHead, uri};
use plimsoll_core::router::{Ask, Fields};
use std::sync::atomic::Ordering;

/// The fields of a request's head, as the router asks for them.
struct HeadFields<'a>(&'a RequestHead);

impl Fields for HeadFields<'_> {
    fn any(&self, name: &str, test: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        self.0.all(name).any(test)
    }
}

/// Finds the request's route.
///
/// # Errors
/// Why it is answered without one.
pub(crate) fn find(request: &mut Request) -> Result<(), Failure> {
    let snapshot = request.snapshot();
    if let Some(rate) = &snapshot.settings.request_rate {
        within_rate(request, &snapshot.settings, rate)?;
    }
    let Request { head, path, path_is_plain, client, worker, .. } = request;
    if matches!(head.method, Method::Trace | Method::Connect) {
        return Err(Failure::MethodNotAllowed);
    }
    if passes_again(head, &worker.shared.via) {
        return Err(Failure::Loop);
    }
    let limits = &snapshot.settings.limits;
    if worker.buffers.are_used_up() {
        return Err(Failure::Overloaded);
    }
    if worker.shared.memory_short.load(Ordering::Relaxed) {
        return Err(Failure::MemoryShort);
    }
    if let (BodyLength::Length(length), Some(max)) = (head.body, limits.request_body)
        && length > max
    {
        return Err(Failure::BodyTooLarge);
    }
    *path_is_plain = uri::normalise_path(head.path(), path);
    if let (Some(tls), Some(sni)) = (&client.listener.tls, &client.sni) {
        let (name, _) = uri::split_host(head.host());
        if !tls.belongs(sni, std::str::from_utf8(name).unwrap_or_default()) {
            return Err(Failure::Misdirected);
        }
    }
    let found = snapshot.router.route(&Ask {
        method: head.method_bytes(),
        host: head.host(),
        port: client.port,
        path,
        tls: client.tls,
        sni: client.sni.as_deref(),
        fields: &HeadFields(head),
    });
    let found = found.ok_or(Failure::NoRoute)?;
    request.set_route(found.route, found.matched);
    let Some(route) = request.route() else { return Err(Failure::NoRoute) };
    if let (Some(status), false) = (route.https_redirect, request.client.tls) {
        return Err(Failure::HttpsRequired(status));
    }
    if route.service.is_none() {
        return Err(Failure::NoService);
    }
    Ok(())
}

/// Whether its client may send one more request.
#[inline(never)]
fn within_rate(request: &Request, settings: &Settings, rate: &Rate) -> Result<(), Failure> {
    let client = request.client.of(&request.head, settings).into();
    let now_ns = request.record.started.micros().saturating_mul(1000);
    request.worker.shared.clients.take(client, rate, now_ns).map_err(|wait| {
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        Failure::TooManyRequests(u32::try_from(seconds).unwrap_or(u32::MAX))
    })
}

/// Whether our own `Via` stands in the head twice already.
fn passes_again(head: &RequestHead, own: &str) -> bool {
    if head.known(Known::Via).is_none() {
        return false;
    }
    let entries = head.all("via").flat_map(|line| line.split(|byte| *byte == b','));
    let names = entries.filter_map(|entry| entry.trim_ascii().split(|byte| *byte == b' ').nth(1));
    names.filter(|name| *name == own.as_bytes()).count() >= 2
}
