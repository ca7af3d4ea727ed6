//! The sample's image: a static binary on `scratch`, built once and shared by all tests and test processes.

use super::Engine;
use std::fs::File;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Its image. It has a HEALTHCHECK, which containers that want none switch off.
const DOCKERFILE: &str = "FROM scratch
COPY sample /sample
EXPOSE 8000
USER 65532:65532
HEALTHCHECK --interval=1s --timeout=2s --retries=2 CMD [\"/sample\", \"health\"]
ENTRYPOINT [\"/sample\"]
";

/// Builds the sample's image on this engine unless it is there, and gives its name.
pub async fn sample_image(engine: &Engine) -> String {
    let binary = tokio::task::spawn_blocking(|| build_static("plimsoll-sample")).await.unwrap();
    let bytes = std::fs::read(&binary).expect("the static binary");
    let image = format!("plimsoll-test-sample:{:016x}", plimsoll_sample::checksum(&bytes));
    if engine.run(&format!("images -q {image}")).await.is_empty() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("Dockerfile"), DOCKERFILE).unwrap();
        std::fs::write(folder.path().join("sample"), bytes).unwrap();
        std::fs::set_permissions(folder.path().join("sample"), PermissionsExt::from_mode(0o755)).unwrap();
        engine.docker(&["build", "-q", "-t", &image, &folder.path().display().to_string()]).await;
    }
    image
}

/// Builds a package of the workspace as a static binary, in a target folder of its own, and gives its path. Cargo finds
/// out whether anything is to do; a lock makes test processes wait for one another.
///
/// `--target` is there so that the flag does not reach build scripts and macros, which cannot be static.
#[must_use]
pub fn build_static(package: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("the workspace").to_owned();
    let target = root.join("target/static");
    std::fs::create_dir_all(&target).unwrap();
    let lock = File::create(target.join("tests.lock")).unwrap();
    lock.lock().expect("a file lock");
    let triple = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let status = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["build", "--quiet", "--profile", "ci", "--package", package, "--target", &triple])
        .args(["--bins", "--target-dir"])
        .arg(&target)
        .env("RUSTFLAGS", "-C target-feature=+crt-static")
        .current_dir(&root)
        .status();
    assert!(status.is_ok_and(|status| status.success()), "the static build of {package} failed");
    target.join(triple).join("ci").join(package)
}
