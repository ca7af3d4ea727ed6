//! Handshakes in memory.

use super::*;
use plimsoll_core::config::{Certificate, Listener, ListenerTls, Pem, Place, TlsVersion};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, Error, HandshakeKind, RootCertStore, ServerConfig, ServerConnection};
use std::path::Path;

const NOW_MS: u64 = 1_795_634_431_042;

/// A CA, its PEM, and certificates of it.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
    roots: Arc<RootCertStore>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(certificate.der().clone()).unwrap();
        Self { pem: certificate.pem(), issuer: Issuer::new(params, key), roots: Arc::new(roots) }
    }

    fn sign(&self, names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> (rcgen::Certificate, KeyPair) {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.issuer).unwrap(), key)
    }

    fn certificate(&self, id: &str, snis: &[&str]) -> Certificate {
        let (certificate, key) = self.sign(snis, |_| {});
        entity(id, snis, &certificate.pem(), &key.serialize_pem())
    }

    /// A client that trusts this authority, with a certificate of `identity` where there is one.
    fn client(&self, identity: Option<&Self>) -> Arc<ClientConfig> {
        let builder = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions().unwrap();
        let builder = builder.with_root_certificates(self.roots.clone());
        let mut config = match identity {
            None => builder.with_no_client_auth(),
            Some(authority) => {
                let (certificate, key) = authority.sign(&["client"], |_| {});
                let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
                builder.with_client_auth_cert(vec![certificate.der().clone()], key).unwrap()
            }
        };
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Arc::new(config)
    }
}

fn entity(id: &str, snis: &[&str], cert: &str, key: &str) -> Certificate {
    Certificate {
        id: id.into(),
        cert: Pem::Text(cert.into()),
        key: Pem::Text(key.into()),
        snis: snis.iter().map(|&sni| sni.into()).collect(),
        tags: Vec::new(),
        place: Place { line: 3, column: 5 },
    }
}

fn load(certificates: &[Certificate]) -> Result<Certificates, Vec<TlsProblem>> {
    Certificates::load(certificates, Path::new("/nonexistent"), NOW_MS)
}

fn listener() -> Listener {
    Listener {
        name: "https".into(),
        address: ([127, 0, 0, 1], 8443).into(),
        tls: Some(ListenerTls { min_version: TlsVersion::V1_2, client_ca: None, default_certificate: None }),
        http2: true,
        proxy_protocol: false,
    }
}

fn with_tls(change: impl FnOnce(&mut ListenerTls)) -> Listener {
    let mut listener = listener();
    change(listener.tls.as_mut().unwrap());
    listener
}

fn server(listener: &Listener, certificates: &Arc<Certificates>, tickets: &TicketKeys) -> Arc<ServerConfig> {
    server_config(listener, certificates, tickets, Path::new(".")).unwrap().unwrap()
}

/// Both ends once neither has anything to say, tickets included.
fn handshake(
    server: &Arc<ServerConfig>,
    client: &Arc<ClientConfig>,
    name: &str,
) -> Result<(ServerConnection, ClientConnection), Error> {
    let mut server = ServerConnection::new(server.clone())?;
    let mut client = ClientConnection::new(client.clone(), ServerName::try_from(name.to_owned()).unwrap())?;
    let mut wire = Vec::new();
    while client.wants_write() || server.wants_write() {
        wire.clear();
        client.write_tls(&mut wire).unwrap();
        server.read_tls(&mut &wire[..]).unwrap();
        server.process_new_packets()?;
        wire.clear();
        server.write_tls(&mut wire).unwrap();
        client.read_tls(&mut &wire[..]).unwrap();
        client.process_new_packets()?;
    }
    Ok((server, client))
}

#[test]
fn a_client_gets_the_certificate_of_the_name_it_asks_for_and_h2() {
    let authority = Authority::new();
    let certificates =
        [authority.certificate("first", &["a.example"]), authority.certificate("second", &["*.b.example"])];
    let certificates = Arc::new(load(&certificates).unwrap());
    assert!(certificates.warnings().is_empty(), "{:?}", certificates.warnings());
    let server = server(&listener(), &certificates, &TicketKeys::default());
    let check = |name: &str, place: usize| {
        let (_, client) = handshake(&server, &authority.client(None), name).unwrap();
        assert_eq!(client.peer_certificates().unwrap(), certificates.key(place).unwrap().cert, "{name}");
        assert_eq!(client.alpn_protocol(), Some(&b"h2"[..]));
    };
    check("a.example", 0);
    check("www.b.example", 1);
    let refused = handshake(&server, &authority.client(None), "other.example");
    assert!(matches!(refused, Err(Error::InvalidCertificate(_))), "the default certificate is not for it");
}

#[test]
fn the_default_certificate_is_named_by_id_or_sni() {
    let authority = Authority::new();
    let certificates =
        [authority.certificate("first", &["a.example"]), authority.certificate("second", &["b.example"])];
    let certificates = Arc::new(load(&certificates).unwrap());
    let tickets = TicketKeys::default();
    let client = TargetTls::new(Trust::System).config(TargetProfile { verify: false, http2: false }).unwrap();
    for name in ["second", "b.example"] {
        let listener = with_tls(|tls| tls.default_certificate = Some(name.into()));
        let (_, client) = handshake(&server(&listener, &certificates, &tickets), &client, "other.example").unwrap();
        assert_eq!(client.peer_certificates().unwrap(), certificates.key(1).unwrap().cert);
        assert_eq!(client.alpn_protocol(), Some(&b"http/1.1"[..]));
    }
    let listener = with_tls(|tls| tls.default_certificate = Some("c.example".into()));
    let problem = server_config(&listener, &certificates, &tickets, Path::new(".")).unwrap_err();
    assert_eq!(
        problem.to_string(),
        "listener `https`: tls.default_certificate: no certificate has the id or SNI `c.example`"
    );
}

#[test]
fn a_session_is_resumed_across_a_reload_but_not_across_a_change_of_client_cas() {
    let (authority, old, new) = (Authority::new(), Authority::new(), Authority::new());
    let certificates = Arc::new(load(&[authority.certificate("first", &["a.example"])]).unwrap());
    let tickets = TicketKeys::default();
    let client = authority.client(Some(&old));
    let under = |ca: &Authority| with_tls(|tls| tls.client_ca = Some(Pem::Text(ca.pem.as_str().into())));
    let kind = |listener: &Listener| {
        handshake(&server(listener, &certificates, &tickets), &client, "a.example")
            .map(|(_, client)| client.handshake_kind())
    };
    let current = server(&under(&old), &certificates, &tickets);
    assert_eq!(kind(&under(&old)), Ok(Some(HandshakeKind::Full)));
    assert_eq!(kind(&under(&old)), Ok(Some(HandshakeKind::Resumed)));
    assert!(kind(&under(&new)).is_err(), "a client of the old CA came in by its ticket");
    drop(current);
}

#[test]
fn clients_without_a_certificate_are_refused_where_one_is_asked_for() {
    let (authority, clients) = (Authority::new(), Authority::new());
    let certificates = Arc::new(load(&[authority.certificate("first", &["a.example"])]).unwrap());
    let listener = with_tls(|tls| tls.client_ca = Some(Pem::Text(clients.pem.as_str().into())));
    let server = server(&listener, &certificates, &TicketKeys::default());
    assert!(handshake(&server, &authority.client(None), "a.example").is_err());
    assert!(handshake(&server, &authority.client(Some(&clients)), "a.example").is_ok());
}

#[test]
fn a_listener_of_1_3_refuses_1_2() {
    let authority = Authority::new();
    let certificates = Arc::new(load(&[authority.certificate("first", &["a.example"])]).unwrap());
    let old =
        ClientConfig::builder_with_provider(provider()).with_protocol_versions(&[&rustls::version::TLS12]).unwrap();
    let old = Arc::new(old.with_root_certificates(authority.roots.clone()).with_no_client_auth());
    let check = |min_version, accepted: bool| {
        let listener = with_tls(|tls| tls.min_version = min_version);
        let server = server(&listener, &certificates, &TicketKeys::default());
        assert_eq!(handshake(&server, &old, "a.example").is_ok(), accepted, "{min_version:?}");
    };
    check(TlsVersion::V1_2, true);
    check(TlsVersion::V1_3, false);
}

#[test]
fn what_is_wrong_with_a_certificate_is_said_with_its_name() {
    let authority = Authority::new();
    let (certificate, key) = authority.sign(&["a.example"], |_| {});
    let (cert, key) = (certificate.pem(), key.serialize_pem());
    let other = KeyPair::generate().unwrap().serialize_pem();
    let check = |cert: Pem, key: Pem, expected: &str| {
        let problems = load(&[Certificate { cert, key, ..entity("shop", &["a.example"], "", "") }]).unwrap_err();
        assert_eq!(problems.len(), 1);
        assert_eq!(problems[0].place, Place { line: 3, column: 5 });
        let text = problems[0].to_string();
        assert!(text.starts_with("certificate `shop` (a.example): ") && text.contains(expected), "{text}");
    };
    let text = |text: &str| Pem::Text(text.into());
    check(text(&cert), text(&other), "the key does not belong to the certificate");
    check(text(""), text(&key), "cert: there is no `-----BEGIN CERTIFICATE-----`");
    check(text(&cert), text(&cert), "key: there is no `-----BEGIN … PRIVATE KEY-----`");
    check(
        text(&cert),
        text("-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n"),
        "key: it is encrypted",
    );
    check(text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), text(&key), "no X.509 certificate");
    check(text("-----BEGIN CERTIFICATE-----\nAAAA\n"), text(&key), "not valid PEM");
    check(Pem::File("a.crt".into()), text(&key), "file `a.crt` cannot be read");

    let twice = [authority.certificate("one", &["a.example"]), authority.certificate("two", &["A.example"])];
    let problems = load(&twice).unwrap_err();
    assert_eq!(problems[0].message, "SNI `A.example` belongs to certificate `one` already");
}

#[test]
fn an_expired_certificate_and_one_of_another_name_are_served_with_a_warning() {
    let authority = Authority::new();
    let check = |names: &[&str], year: (i32, i32), expected: &[&str]| {
        let (certificate, key) = authority.sign(names, |params| {
            params.not_before = rcgen::date_time_ymd(year.0, 1, 1);
            params.not_after = rcgen::date_time_ymd(year.1, 1, 1);
        });
        let certificates =
            load(&[entity("shop", &["www.a.example"], &certificate.pem(), &key.serialize_pem())]).unwrap();
        let warnings: Vec<&str> = certificates.warnings().iter().map(|warning| &*warning.message).collect();
        assert_eq!(warnings, expected);
    };
    check(&["www.a.example"], (2020, 2040), &[]);
    check(&["*.a.example"], (2020, 2040), &[]);
    check(&["www.a.example"], (2020, 2021), &["it expired on 2021-01-01"]);
    check(&["www.a.example"], (2039, 2040), &["it is not valid before 2039-01-01"]);
    check(&["b.example"], (2020, 2040), &["it does not cover its SNI `www.a.example`: clients will refuse it there"]);
}

#[test]
fn targets_are_verified_unless_told_not_to_and_sessions_resume() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let certificates = Arc::new(load(&[authority.certificate("web", &["web.internal"])]).unwrap());
    let target = server(&listener(), &certificates, &TicketKeys::default());
    let trusting = |authority: &Authority| TargetTls::new(Trust::Roots(authority.roots.clone()));
    let verified = TargetProfile { verify: true, http2: true };
    let tls = trusting(&authority);
    let (_, client) = handshake(&target, &tls.config(verified).unwrap(), "web.internal").unwrap();
    assert_eq!(client.alpn_protocol(), Some(&b"h2"[..]));
    let (_, client) = handshake(&target, &tls.config(verified).unwrap(), "web.internal").unwrap();
    assert_eq!(client.handshake_kind(), Some(HandshakeKind::Resumed));
    assert!(handshake(&target, &tls.config(verified).unwrap(), "other.internal").is_err());
    let tls = trusting(&stranger);
    assert!(handshake(&target, &tls.config(verified).unwrap(), "web.internal").is_err());
    let unverified = TargetProfile { verify: false, http2: false };
    assert!(handshake(&target, &tls.config(unverified).unwrap(), "other.internal").is_ok());
}

#[test]
fn the_systems_cas_or_the_built_in_ones_can_be_used() {
    let tls = TargetTls::new(Trust::System);
    assert!(tls.config(TargetProfile { verify: true, http2: false }).is_ok());
}

#[test]
fn a_targets_name_is_a_host_or_an_address() {
    let check = |host: &str, expected: Option<&str>| {
        assert_eq!(server_name(host).map(|name| name.to_str().into_owned()).as_deref(), expected, "{host}");
    };
    check("web.internal", Some("web.internal"));
    check("web.internal.", Some("web.internal"));
    check("10.0.0.5", Some("10.0.0.5"));
    check("[::1]", Some("::1"));
    check("two words", None);
    check("", None);
}
