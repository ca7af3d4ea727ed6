//! What the project says about itself, held against what it is: documents are valid, references are current, links lead
//! somewhere, commands exist.

#![expect(clippy::expect_used, reason = "a test may stop")]

use plimsoll_test_support::tls::Authority;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where a document may stand that the gateway reads. Compose files and pipelines are not such.
const DOCUMENTS: &[&str] =
    &["config", "examples/compose/gateway", "examples/gitlab-ci/deploy/plimsoll.yaml", "examples/local-processes"];

#[test]
fn every_document_of_the_project_passes_its_own_check() {
    // The certificate that a document of `config` names lies beside it, as it would lie with a user.
    let folder = tempfile::tempdir().expect("a folder");
    let identity = Authority::new().identity(&["example.com"]);
    fs::create_dir(folder.path().join("tls")).expect("ours");
    fs::write(folder.path().join("tls/web.crt"), identity.certificate).expect("ours");
    fs::write(folder.path().join("tls/web.key"), identity.key).expect("ours");
    for path in DOCUMENTS.iter().flat_map(|place| files(Path::new(place), "yaml")) {
        let copy = folder.path().join("plimsoll.yaml");
        fs::copy(&path, &copy).expect("ours");
        let output = Command::new(env!("CARGO_BIN_EXE_plimsoll")).arg("check").arg("--config").arg(&copy).output();
        let output = output.expect("the binary runs");
        assert!(output.status.success(), "{}: {}", path.display(), String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn documents_in_pages_pass_the_check() {
    let folder = tempfile::tempdir().expect("a folder");
    for page in pages() {
        let text = fs::read_to_string(&page).expect("a page");
        for (number, block) in text.split("```yaml\n").skip(1).enumerate() {
            let block = block.split("```").next().unwrap_or_default();
            // Others are parts of a document, Compose files, labels.
            if !block.trim_start().starts_with("_format_version") {
                continue;
            }
            let margin = block.len() - block.trim_start_matches(' ').len();
            let document: String =
                block.lines().map(|line| line.get(margin..).unwrap_or_default().to_owned() + "\n").collect();
            let path = folder.path().join(format!("{number}.yaml"));
            fs::write(&path, document).expect("ours");
            let output = Command::new(env!("CARGO_BIN_EXE_plimsoll")).arg("check").arg("--config").arg(&path).output();
            let output = output.expect("the binary runs");
            let error = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(output.status.success(), "{} block {}: {error}", page.display(), number + 1);
        }
    }
}

/// `PLIMSOLL_BLESS=1` writes it anew.
#[test]
fn the_reference_is_the_one_that_the_field_tables_make() {
    let made = plimsoll_core::config::reference_markdown();
    if std::env::var("PLIMSOLL_BLESS").as_deref() == Ok("1") {
        fs::write("docs/reference.md", &made).expect("ours");
    }
    let have = fs::read_to_string("docs/reference.md").expect("docs/reference.md");
    assert!(have == made, "docs/reference.md is stale: run this test with PLIMSOLL_BLESS=1");
}

#[test]
fn every_metric_is_described() {
    let page = fs::read_to_string("docs/metrics.md").expect("docs/metrics.md");
    for family in plimsoll::telemetry::metric::FAMILIES {
        assert!(page.contains(&format!("`{}`", family.name)), "docs/metrics.md says nothing of {}", family.name);
    }
}

#[test]
fn every_endpoint_is_described() {
    let page = fs::read_to_string("docs/admin-api.md").expect("docs/admin-api.md");
    let rows: Vec<&str> = page.lines().filter(|line| line.contains("| `/")).collect();
    let expected = plimsoll::admin::ENDPOINTS;
    assert_eq!(rows.len(), expected.len(), "docs/admin-api.md has another number of endpoints");
    for (row, endpoint) in rows.iter().zip(expected) {
        assert_eq!(*row, format!("| {} | `{}` | {} |", endpoint.method, endpoint.path, endpoint.doc));
    }
}

/// Names of tests are told from other words by their length.
#[test]
fn every_test_that_the_page_on_reliability_names_exists() {
    let page = fs::read_to_string("docs/reliability.md").expect("docs/reliability.md");
    let sources = ["src", "core", "tests"].iter().flat_map(|folder| files(Path::new(folder), "rs"));
    let sources: String = sources.map(|path| fs::read_to_string(path).expect("a source")).collect();
    let mut named = 0;
    for word in page.split('`').skip(1).step_by(2) {
        let is_name = word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
        if is_name && word.matches('_').count() >= 4 && !word.starts_with("plimsoll_") {
            assert!(sources.contains(&format!("fn {word}(")), "docs/reliability.md names {word}, which is no test");
            named += 1;
        }
    }
    assert!(named > 50, "only {named} tests are named: are they still told from other words?");
}

#[test]
fn links_between_pages_lead_somewhere() {
    for page in pages() {
        let text = fs::read_to_string(&page).expect("a page");
        let folder = page.parent().expect("a file");
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let target = link.split('#').next().unwrap_or_default();
            let elsewhere = target.is_empty() || target.contains("://");
            assert!(elsewhere || folder.join(target).exists(), "{}: {link} leads nowhere", page.display());
        }
    }
}

#[test]
fn continuous_integration_runs_the_test_command_of_the_readme() {
    let readme = fs::read_to_string("README.md").expect("README.md");
    let command = readme.lines().find(|line| line.starts_with("cargo nextest run")).expect("a test command");
    let door = fs::read_to_string(".ci/run").expect(".ci/run");
    assert!(door.contains(command), ".ci/run does not run `{command}`");
}

fn pages() -> Vec<PathBuf> {
    let mut pages: Vec<_> = ["docs", "examples"].iter().flat_map(|folder| files(Path::new(folder), "md")).collect();
    let top = fs::read_dir(".").expect("the project").map(|entry| entry.expect("an entry").path());
    pages.extend(top.filter(|path| path.extension().is_some_and(|extension| extension == "md")));
    pages
}

fn files(place: &Path, extension: &str) -> Vec<PathBuf> {
    if place.is_file() {
        return vec![place.to_owned()];
    }
    let mut found = Vec::new();
    for entry in fs::read_dir(place).into_iter().flatten() {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(files(&path, extension));
        } else if path.extension().is_some_and(|have| have == extension) {
            found.push(path);
        }
    }
    found.sort();
    found
}
