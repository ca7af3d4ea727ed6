//! The documents in `config/`, which people start from.

use super::options;
use crate::config::docs::tables;
use crate::config::{DockerProvider, Gateway, Healthchecks, Providers, Source, UpstreamSettings, read};

#[test]
fn the_small_document_is_right() {
    let read = read(include_str!("../../../../config/plimsoll.yaml"), &options(Source::File));
    let read = read.unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(read.warnings, []);
    assert_eq!(read.document.upstreams[0].targets.len(), 2);
}

#[test]
fn the_full_document_has_every_key_with_its_default() {
    let text = include_str!("../../../../config/full.yaml");
    let read = read(text, &options(Source::File)).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(read.warnings, []);
    for table in tables() {
        for field in table.fields.iter().filter(|field| !field.is_obscure()) {
            let key = format!("{}:", field.name);
            assert!(text.contains(&key), "{}.{}", table.name, field.name);
        }
    }
    let gateway = read.document.gateway.expect("a gateway");
    let providers = Providers { written: true, docker: Some(DockerProvider::default()), ..Providers::default() };
    assert_eq!(gateway, Gateway { listeners: gateway.listeners.clone(), providers, ..Gateway::default() });
    assert_eq!(read.document.upstreams[0].settings.healthchecks, Healthchecks::default());
    assert_eq!(read.document.upstreams[0].settings.algorithm, UpstreamSettings::default().algorithm);
}
