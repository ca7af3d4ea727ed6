//! The system's way of resolving: `/etc/hosts`, then the name servers of `/etc/resolv.conf`.

use super::watch::VALID_MAX;
use super::{Answer, Resolve};
use crate::telemetry::clock;
use futures_util::future::BoxFuture;
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{LookupIpStrategy, ResolverConfig, ResolverOpts};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::system_conf::read_system_conf;
use parking_lot::Mutex;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// Of one query to one server; two tries.
const QUERY_TIMEOUT: Duration = Duration::from_secs(2);
/// A name that does not exist may exist soon: a container that starts.
const NEGATIVE_TTL_MAX: Duration = Duration::from_secs(1);
/// Answers that are remembered.
const CACHE_SIZE: u64 = 1024;
const FILES: [&str; 2] = ["/etc/hosts", "/etc/resolv.conf"];

/// Asks as the system's own programs do; reads the files again when they changed. Used within a tokio runtime.
#[derive(Default)]
pub struct SystemResolver {
    current: Mutex<Option<Current>>,
}

struct Current {
    resolver: TokioResolver,
    modified: [Option<SystemTime>; 2],
}

impl SystemResolver {
    /// Reads nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn resolver(&self) -> Result<TokioResolver, String> {
        let modified = FILES.map(|file| std::fs::metadata(file).and_then(|data| data.modified()).ok());
        let mut current = self.current.lock();
        if let Some(known) = current.as_ref().filter(|known| known.modified == modified) {
            return Ok(known.resolver.clone());
        }
        let resolver = build()?;
        *current = Some(Current { resolver: resolver.clone(), modified });
        Ok(resolver)
    }
}

impl Resolve for SystemResolver {
    fn resolve(&self, host: Arc<str>) -> BoxFuture<'static, Result<Answer, String>> {
        if is_localhost(&host) {
            let addresses = vec![IpAddr::V4(Ipv4Addr::LOCALHOST)];
            return Box::pin(async { Ok(Answer { addresses, valid_for: Duration::MAX }) });
        }
        let resolver = self.resolver();
        Box::pin(async move {
            let found = resolver?.lookup_ip(&*host).await.map_err(|error| error.to_string())?;
            let addresses: Vec<IpAddr> = found.iter().collect();
            if addresses.is_empty() {
                return Err("the name has no address".to_owned());
            }
            Ok(Answer { addresses, valid_for: found.valid_until().saturating_duration_since(clock::now()) })
        })
    }
}

fn build() -> Result<TokioResolver, String> {
    // Without the file there is no name server, but still `/etc/hosts`.
    let (config, mut options) =
        read_system_conf().unwrap_or_else(|_| (ResolverConfig::from_name_servers(Vec::new()), ResolverOpts::default()));
    options.ip_strategy = LookupIpStrategy::Ipv4thenIpv6;
    options.timeout = options.timeout.min(QUERY_TIMEOUT);
    options.cache_size = CACHE_SIZE;
    options.positive_max_ttl = Some(VALID_MAX);
    options.negative_max_ttl = Some(NEGATIVE_TTL_MAX);
    let builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default()).with_options(options);
    builder.build().map_err(|error| format!("the system's resolver cannot be used: {error}"))
}

/// RFC 6761 §6.3: always loopback, also where there is no `/etc/hosts` (a `scratch` image).
fn is_localhost(host: &str) -> bool {
    let name = host.strip_suffix('.').unwrap_or(host).as_bytes();
    let at = name.len().saturating_sub(b"localhost".len());
    name[at..].eq_ignore_ascii_case(b"localhost") && (at == 0 || name[at - 1] == b'.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn localhost_and_what_ends_in_it_is_loopback() {
        let check = |host: &str, expected: bool| assert_eq!(is_localhost(host), expected, "{host}");
        check("localhost", true);
        check("LocalHost.", true);
        check("web.localhost", true);
        check("mylocalhost", false);
        check("localhost.example", false);
        check("", false);
    }

    #[tokio::test]
    async fn localhost_resolves_without_a_name_server() {
        let answer = SystemResolver::new().resolve("localhost".into()).await.unwrap();
        assert_eq!(answer.addresses, [IpAddr::V4(Ipv4Addr::LOCALHOST)]);
    }

    #[tokio::test]
    async fn a_name_that_cannot_exist_is_an_error_and_no_panic() {
        let error = SystemResolver::new().resolve("no..such".into()).await.unwrap_err();
        assert!(!error.is_empty());
    }
}
