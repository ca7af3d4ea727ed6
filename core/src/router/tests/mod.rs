//! The router's tests: one rule at a time, against a slow reference, and its explanations.

mod examples;
mod explained;
mod reference;

use super::{Ask, NoFields, Router, Rules};

fn texts(list: &[&str]) -> Vec<std::sync::Arc<str>> {
    list.iter().map(|text| (*text).into()).collect()
}

fn rules() -> Rules {
    Rules {
        hosts: Vec::new(),
        paths: Vec::new(),
        methods: Vec::new(),
        headers: Vec::new(),
        snis: Vec::new(),
        regex_priority: 0,
        tier: 0,
        enabled: true,
    }
}

fn ask<'a>(method: &'a str, host: &'a str, path: &'a str) -> Ask<'a> {
    Ask {
        method: method.as_bytes(),
        host: host.as_bytes(),
        port: 8000,
        path: path.as_bytes(),
        tls: false,
        sni: None,
        fields: &NoFields,
    }
}

/// The winner's index, and how much of the path it matched.
fn winner(rules: &[Rules], ask: &Ask<'_>) -> Option<(u32, usize)> {
    let router = Router::compile(rules).unwrap();
    router.route(ask).map(|found| (found.route.0, found.matched))
}
