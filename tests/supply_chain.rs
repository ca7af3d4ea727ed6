//! What the project depends on: no banned crates, no unknown licences, one source.

#![expect(clippy::expect_used, reason = "a test may stop")]

use std::collections::BTreeSet;
use std::process::Command;

/// Crates that must not come in, not even by way of another, and why.
const BANNED: &[(&str, &str)] = &[
    ("ring", "one crypto provider: aws-lc-rs"),
    ("openssl", "one TLS: rustls"),
    ("openssl-sys", "one TLS: rustls"),
    ("native-tls", "one TLS: rustls"),
    ("serde_yaml", "deprecated; serde-saphyr keeps places"),
    ("serde_yml", "unsound"),
    ("rustls-pemfile", "unmaintained; rustls-pki-types reads PEM"),
    ("yaml-rust", "unmaintained"),
    ("backoff", "unmaintained"),
    ("derivative", "unmaintained"),
    ("paste", "unmaintained"),
    ("proc-macro-error", "unmaintained"),
    ("proc-macro-error2", "unmaintained"),
    ("fxhash", "unmaintained; rustc-hash"),
    ("async-std", "unmaintained"),
    ("instant", "unmaintained"),
    ("atty", "unsound; std::io::IsTerminal"),
    ("ansi_term", "unmaintained"),
    ("structopt", "superseded by clap"),
    ("tui", "superseded by ratatui"),
    ("bincode", "unmaintained"),
    ("trust-dns-resolver", "renamed: hickory-resolver"),
    ("iai-callgrind", "renamed, and pulls unmaintained crates"),
    ("figment", "dormant"),
];

/// Licences that the binary may carry. All let it be given away under Apache-2.0.
const LICENCES: &[&str] = &[
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-1-Clause",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "OpenSSL",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// Of what is built: the lock file also names what features that are off would bring.
#[test]
fn no_banned_crate_is_built() {
    let mut found = Vec::new();
    for (name, version, _) in built() {
        if let Some((_, why)) = BANNED.iter().find(|(banned, _)| *banned == name) {
            found.push(format!("{name} {version}: {why}"));
        }
    }
    assert!(found.is_empty(), "banned; `cargo tree -i NAME` says who brings it:\n{}", found.join("\n"));
}

#[test]
fn every_package_comes_from_one_registry_with_a_checksum() {
    let ours = |package: &Package| package.name.starts_with("plimsoll") && package.source.is_none();
    let others: Vec<_> = packages().into_iter().filter(|package| !ours(package)).collect();
    let first = others.first().and_then(|package| package.source.clone()).expect("there are dependencies");
    assert!(first.starts_with("registry+"), "{first}");
    for package in others {
        assert_eq!(package.source.as_ref(), Some(&first), "{} {}", package.name, package.version);
        assert!(package.checksum, "{} {} has no checksum", package.name, package.version);
    }
}

#[test]
fn every_licence_is_a_known_one() {
    let all = built();
    let mut unknown = Vec::new();
    for (name, version, licence) in &all {
        if !may_carry(licence) {
            unknown.push(format!("{name} {version}: {licence}"));
        }
    }
    assert!(all.len() > 100 && unknown.is_empty(), "{} packages; not on the list:\n{}", all.len(), unknown.join("\n"));
}

/// What is built here, tests included: (name, version, licence). Not `cargo metadata`, which also names what features that
/// are off would bring.
fn built() -> Vec<(String, String, String)> {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--workspace", "--offline", "--locked", "--prefix", "none", "--format", "{p} | {l}"])
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let lines = text.lines().filter_map(|line| line.split_once(" | "));
    let packages = lines.map(|(package, licence)| {
        let mut words = package.split(' ').map(str::to_owned);
        let licence = licence.trim_end_matches("(*)").trim().to_owned();
        (words.next().unwrap_or_default(), words.next().unwrap_or_default(), licence)
    });
    packages.collect::<BTreeSet<_>>().into_iter().collect()
}

struct Package {
    name: String,
    version: String,
    source: Option<String>,
    checksum: bool,
}

fn packages() -> Vec<Package> {
    let lock = std::fs::read_to_string("Cargo.lock").expect("Cargo.lock");
    let blocks = lock.split("[[package]]").skip(1);
    let packages = blocks.map(|block| {
        let field = |name: &str| {
            let line = block.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(" = "));
            line.map(|value| value.trim_matches('"').to_owned())
        };
        Package {
            name: field("name").expect("a name"),
            version: field("version").expect("a version"),
            source: field("source"),
            checksum: field("checksum").is_some(),
        }
    });
    packages.collect()
}

/// SPDX, as far as crates use it: AND binds closer than OR; `/` is an old OR.
fn may_carry(expression: &str) -> bool {
    let expression = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<_> = expression.split_whitespace().collect();
    let (value, rest) = either(&words);
    value && rest.is_empty()
}

fn either<'a>(words: &'a [&'a str]) -> (bool, &'a [&'a str]) {
    let (mut value, mut rest) = both(words);
    while let ["OR", after @ ..] = rest {
        let (next, left) = both(after);
        (value, rest) = (value || next, left);
    }
    (value, rest)
}

fn both<'a>(words: &'a [&'a str]) -> (bool, &'a [&'a str]) {
    let (mut value, mut rest) = one(words);
    while let ["AND", after @ ..] = rest {
        let (next, left) = one(after);
        (value, rest) = (value && next, left);
    }
    (value, rest)
}

fn one<'a>(words: &'a [&'a str]) -> (bool, &'a [&'a str]) {
    match words {
        ["(", after @ ..] => match either(after) {
            (value, [")", rest @ ..]) => (value, rest),
            (_, rest) => (false, rest),
        },
        [licence, "WITH", exception, rest @ ..] => {
            (LICENCES.contains(&format!("{licence} WITH {exception}").as_str()), rest)
        }
        [licence, rest @ ..] => (LICENCES.contains(licence), rest),
        [] => (false, &[]),
    }
}

#[test]
fn licences_are_read_as_spdx() {
    let check = |expression: &str, expected| assert_eq!(may_carry(expression), expected, "{expression}");
    check("MIT", true);
    check("MIT OR GPL-3.0", true);
    check("MIT/Apache-2.0", true);
    check("GPL-3.0", false);
    check("MIT AND GPL-3.0", false);
    check("(MIT OR GPL-3.0) AND Unicode-3.0", true);
    check("ISC AND (Apache-2.0 OR ISC)", true);
    check("Apache-2.0 WITH LLVM-exception OR MIT", true);
    check("none stated", false);
    check("", false);
}
