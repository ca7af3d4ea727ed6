//! The system's way of resolving: `/etc/hosts`, then the name servers of `/etc/resolv.conf`.

use super::watch::VALID_MAX;
use super::{Answer, Resolve, ResolveError};
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
/// A name that does not exist may exist soon: a container that starts. And shorter than the time between two queries, so
/// that what is said twice was asked twice.
const NEGATIVE_TTL_MAX: Duration = Duration::from_millis(500);
/// Answers that are remembered.
const CACHE_SIZE: u64 = 1024;
const FILES: [&str; 2] = ["/etc/hosts", "/etc/resolv.conf"];

/// Asks as the system's own programs do; reads the files again when they changed. Used within a tokio runtime.
#[derive(Default)]
pub struct SystemResolver {
    current: Mutex<Option<Current>>,
}

struct Current {
    resolvers: Resolvers,
    modified: [Option<SystemTime>; 2],
}

/// One for each family: the library's own "IPv4, then IPv6" asks for IPv6 after any trouble with IPv4, so that one lost
/// answer would move traffic from the one to the other; and of two errors it tells the last one.
#[derive(Clone)]
struct Resolvers {
    v4: TokioResolver,
    v6: TokioResolver,
}

impl SystemResolver {
    /// Reads nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn resolvers(&self) -> Result<Resolvers, ResolveError> {
        let modified = FILES.map(|file| std::fs::metadata(file).and_then(|data| data.modified()).ok());
        let mut current = self.current.lock();
        if let Some(known) = current.as_ref().filter(|known| known.modified == modified) {
            return Ok(known.resolvers.clone());
        }
        let resolvers = build()?;
        *current = Some(Current { resolvers: resolvers.clone(), modified });
        Ok(resolvers)
    }
}

impl Resolve for SystemResolver {
    fn resolve(&self, host: Arc<str>) -> BoxFuture<'static, Result<Answer, ResolveError>> {
        if is_localhost(&host) {
            let addresses = vec![IpAddr::V4(Ipv4Addr::LOCALHOST)];
            return Box::pin(async { Ok(Answer { addresses, valid_for: Duration::MAX }) });
        }
        let resolvers = self.resolvers();
        Box::pin(async move { ask(&resolvers?, &host).await })
    }
}

/// IPv6 is asked for only where it is known that there is no IPv4.
async fn ask(resolvers: &Resolvers, host: &str) -> Result<Answer, ResolveError> {
    match ask_one(&resolvers.v4, host).await {
        Err(ResolveError::NoAddress) => ask_one(&resolvers.v6, host).await,
        said => said,
    }
}

async fn ask_one(resolver: &TokioResolver, host: &str) -> Result<Answer, ResolveError> {
    match resolver.lookup_ip(host).await {
        Ok(found) => {
            let addresses: Vec<IpAddr> = found.iter().collect();
            let valid_for = found.valid_until().saturating_duration_since(clock::now());
            if addresses.is_empty() { Err(ResolveError::NoAddress) } else { Ok(Answer { addresses, valid_for }) }
        }
        Err(error) if error.is_no_records_found() => Err(ResolveError::NoAddress),
        Err(error) => Err(ResolveError::NoAnswer(error.to_string())),
    }
}

fn build() -> Result<Resolvers, ResolveError> {
    // Without the file there is no name server, but still `/etc/hosts`.
    let (config, options) =
        read_system_conf().unwrap_or_else(|_| (ResolverConfig::from_name_servers(Vec::new()), ResolverOpts::default()));
    build_with(config, options)
}

fn build_with(config: ResolverConfig, mut options: ResolverOpts) -> Result<Resolvers, ResolveError> {
    options.timeout = options.timeout.min(QUERY_TIMEOUT);
    options.cache_size = CACHE_SIZE;
    options.positive_max_ttl = Some(VALID_MAX);
    options.negative_max_ttl = Some(NEGATIVE_TTL_MAX);
    let of_family = |ip_strategy: LookupIpStrategy| {
        let mut options = options.clone();
        options.ip_strategy = ip_strategy;
        let provider = TokioRuntimeProvider::default();
        let builder = TokioResolver::builder_with_config(config.clone(), provider).with_options(options);
        let unusable = |error| ResolveError::NoAnswer(format!("the system's resolver cannot be used: {error}"));
        builder.build().map_err(unusable)
    };
    Ok(Resolvers { v4: of_family(LookupIpStrategy::Ipv4Only)?, v6: of_family(LookupIpStrategy::Ipv6Only)? })
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
    use hickory_resolver::config::NameServerConfig;

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

    /// Answers with `::1`.
    const LOOPBACK: u8 = 0xff;

    /// A name server with one answer (RFC 1035's code, or [`LOOPBACK`]) to questions for A, and one to those for AAAA.
    async fn answering(a: u8, aaaa: u8) -> Resolvers {
        let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let mut server = NameServerConfig::udp(IpAddr::V4(Ipv4Addr::LOCALHOST));
        server.connections[0].port = socket.local_addr().unwrap().port();
        drop(tokio::spawn(async move {
            let mut packet = [0; 512];
            while let Ok((length, from)) = socket.recv_from(&mut packet).await {
                // The question ends with the name's empty label, its type and its class; what follows is optional.
                let end = 12 + packet[12..length].iter().position(|byte| *byte == 0).unwrap() + 5;
                let code = if packet[end - 3] == 28 { aaaa } else { a };
                packet[6..12].fill(0);
                let mut answer = packet[..end].to_vec();
                if code == LOOPBACK {
                    answer[7] = 1;
                    // The question's name, AAAA, IN, an hour, 16 bytes.
                    answer.extend([0xc0, 12, 0, 28, 0, 1, 0, 0, 14, 16, 0, 16]);
                    answer.extend(std::net::Ipv6Addr::LOCALHOST.octets());
                }
                answer[2..4].copy_from_slice(&[0x81, 0x80 | if code == LOOPBACK { 0 } else { code }]);
                socket.send_to(&answer, from).await.unwrap();
            }
        }));
        build_with(ResolverConfig::from_name_servers(vec![server]), ResolverOpts::default()).unwrap()
    }

    #[tokio::test]
    async fn a_name_without_an_address_is_told_from_a_server_that_does_not_know() {
        let (none, failure, no_such_name) = (0, 2, 3);
        for (a, aaaa, is_known) in [
            (no_such_name, no_such_name, true),
            (none, none, true),
            (failure, failure, false),
            (failure, none, false),
            (none, failure, false),
        ] {
            let error = ask(&answering(a, aaaa).await, "web.example.").await.unwrap_err();
            assert_eq!(error == ResolveError::NoAddress, is_known, "{a} {aaaa}: {error}");
        }
    }

    #[tokio::test]
    async fn ipv6_is_taken_where_there_is_no_ipv4_and_not_where_that_could_not_be_told() {
        let (none, failure) = (0, 2);
        let found = ask(&answering(none, LOOPBACK).await, "web.example.").await.unwrap();
        assert_eq!(found.addresses, [IpAddr::V6(std::net::Ipv6Addr::LOCALHOST)]);
        let error = ask(&answering(failure, LOOPBACK).await, "web.example.").await.unwrap_err();
        assert!(matches!(error, ResolveError::NoAnswer(_)), "{error}");
    }

    #[tokio::test]
    async fn a_name_that_cannot_exist_is_an_error_and_no_panic() {
        let error = SystemResolver::new().resolve("no..such".into()).await.unwrap_err();
        assert!(!error.to_string().is_empty());
    }
}
