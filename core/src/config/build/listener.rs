//! Listeners.

use super::Builder;
use crate::config::overlap::{clash, clash_message};
use crate::config::record::{Record, Value};
use crate::config::{Listener, ListenerTls, TlsVersion, rule};
use std::sync::Arc;

impl Builder<'_> {
    pub(super) fn listeners(&mut self, gateway: &Record) -> Vec<Listener> {
        let mut all: Vec<Listener> = Vec::new();
        for (index, record) in gateway.records("listeners") {
            self.within("listeners", index, |builder| {
                if let Some(listener) = builder.listener(gateway, record, &all) {
                    all.push(listener);
                }
            });
        }
        all
    }

    fn listener(&mut self, gateway: &Record, record: &Record, others: &[Listener]) -> Option<Listener> {
        let name = record.text("name")?;
        let address = rule::parse_address(&record.text("address")?)?;
        self.unique("listeners", "name", &name, record.mark_of("name"));
        if let Some(other) = others.iter().find(|other| clash(other.address, address)) {
            let message = clash_message(&format!("listener '{}'", other.name), other.address, address);
            self.complain(record, "address", &message, None);
        }
        let tls = match record.value("tls") {
            Some(Value::Flag(true)) => {
                Some(ListenerTls { min_version: TlsVersion::V1_2, client_ca: None, default_certificate: None })
            }
            Some(Value::Record(tls)) => Some(self.listener_tls(tls)),
            _ => None,
        };
        if tls.is_some() && self.document.certificates.is_empty() {
            let message = format!("listener '{name}' speaks TLS, but the document has no certificate");
            self.sink.warn(record.mark_of("tls"), message, Some("write certificates: [{cert: …, key: …}]".to_owned()));
        }
        let proxy_protocol = record.flag("proxy_protocol");
        if proxy_protocol && gateway.texts("trusted_proxies").is_empty() {
            let message = format!(
                "listener '{name}' takes the PROXY protocol, but no proxy is trusted: it closes every connection"
            );
            let help = "write gateway.trusted_proxies: [address or network of the proxy]";
            self.sink.warn(record.mark_of("proxy_protocol"), message, Some(help.to_owned()));
        }
        Some(Listener { name, address, tls, http2: record.flag("http2"), proxy_protocol })
    }

    fn listener_tls(&mut self, record: &Record) -> ListenerTls {
        #[expect(clippy::float_cmp, reason = "1.2 and 1.3 as the parser reads them, unquoted")]
        let min_version = match record.value("min_version") {
            Some(Value::Word("1.3")) => TlsVersion::V1_3,
            Some(Value::Number(number)) if *number == 1.3 => TlsVersion::V1_3,
            Some(Value::Number(number)) if *number != 1.2 => {
                self.complain(record, "min_version", "expected one of: 1.2, 1.3", None);
                TlsVersion::V1_2
            }
            _ => TlsVersion::V1_2,
        };
        let default_certificate = record.written_text("default_certificate").map(|text| text.value.clone());
        if let Some(name) = &default_certificate
            && !self.has_certificate(name)
        {
            let message = format!("invalid reference '{name}' (no certificate with this id or name)");
            self.complain(record, "default_certificate", &message, None);
        }
        ListenerTls { min_version, client_ca: record.pem("client_ca"), default_certificate }
    }

    fn has_certificate(&self, name: &Arc<str>) -> bool {
        let certificates = &self.document.certificates;
        certificates
            .iter()
            .any(|one| one.id.eq_ignore_ascii_case(name) || one.snis.iter().any(|sni| sni.eq_ignore_ascii_case(name)))
    }
}
