//! A path at which a program lies, as one that is deployed: something else can be put there while it runs.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// The path, in a folder of its own, until it is dropped.
pub struct Deployed {
    binary: PathBuf,
    folder: tempfile::TempDir,
}

impl Deployed {
    /// A link to this program.
    #[must_use]
    pub fn new(binary: &Path) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let deployed = Self { binary: binary.to_owned(), folder };
        deployed.link();
        deployed
    }

    /// What is started.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.folder.path().join("plimsoll")
    }

    /// A place beside it.
    #[must_use]
    pub fn beside(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Another version: a script of the shell.
    pub fn replace(&self, script: &str) {
        self.put(format!("#!/bin/sh\n{script}\n").as_bytes());
    }

    /// Another file that may be run, whatever it holds.
    pub fn put(&self, bytes: &[u8]) {
        let new = self.beside("new");
        std::fs::write(&new, bytes).expect("a file");
        std::fs::set_permissions(&new, std::fs::Permissions::from_mode(0o755)).expect("its mode");
        std::fs::rename(new, self.path()).expect("it is put in place");
    }

    /// Nothing.
    pub fn remove(&self) {
        std::fs::remove_file(self.path()).expect("it is there");
    }

    /// The program again.
    pub fn restore(&self) {
        if self.path().symlink_metadata().is_ok() {
            self.remove();
        }
        self.link();
    }

    fn link(&self) {
        std::os::unix::fs::symlink(&self.binary, self.path()).expect("a link");
    }
}
