//! Finds the commit for `--version`: from `PLIMSOLL_COMMIT`, else from git, else `unknown`. Never fails.

use std::process::Command;

fn main() {
    println!("cargo::rerun-if-env-changed=PLIMSOLL_COMMIT");
    for changed in ["HEAD", "index"] {
        if let Some(path) = git(&["rev-parse", "--git-path", changed]) {
            println!("cargo::rerun-if-changed={path}");
        }
    }
    let given = std::env::var("PLIMSOLL_COMMIT").ok().filter(|commit| !commit.trim().is_empty());
    let commit = given.or_else(|| git(&["rev-parse", "--short=12", "HEAD"])).unwrap_or_else(|| "unknown".to_owned());
    println!("cargo::rustc-env=PLIMSOLL_COMMIT={}", commit.trim());
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok().filter(|output| output.status.success())?;
    let text = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (!text.is_empty()).then_some(text)
}
