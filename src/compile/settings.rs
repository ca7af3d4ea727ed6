//! Settings of the whole gateway.

use crate::snapshot::Settings;
use plimsoll_core::config::Gateway;
use plimsoll_core::limits::Rate;
use plimsoll_core::protocol::HeadLimits;

pub(super) fn compile(gateway: &Gateway) -> Settings {
    let limits = &gateway.limits;
    Settings {
        limits: limits.clone(),
        timeouts: gateway.timeouts.clone(),
        http2: gateway.http2.clone(),
        head_limits: HeadLimits {
            request_line: limits.request_line as usize,
            headers: limits.request_headers as usize,
            count: usize::from(limits.request_header_count),
        },
        headers: gateway.headers,
        request_rate: limits.requests_per_client.map(|limit| Rate::new(limit.rate, limit.per, limit.burst)),
        trusted_proxies: gateway.trusted_proxies.clone(),
    }
}
