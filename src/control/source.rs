//! Where a document comes from, and what its references are taken from.

use super::error::ApplyError;
use plimsoll_core::config::References;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// 64 MiB: far more than any document, far less than the machine.
const DOCUMENT_MAX: u64 = 64 << 20;

/// Where the gateway's own document is.
#[derive(Clone, Debug)]
pub(super) enum Origin {
    /// A file, which is watched.
    File(PathBuf),
    /// Text that an embedding program gave.
    Text(Arc<str>),
}

/// Who says a document. The last one said is served; after a restart, the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The operator's file, or the embedding program: it may say everything.
    File,
    /// The network, through the admin API: it may say what the running document's `gateway.admin` allows.
    Post,
}

impl Origin {
    /// What messages call it.
    pub(super) fn name(&self) -> Arc<str> {
        match self {
            Self::File(path) => path.display().to_string().into(),
            Self::Text(_) => "document".into(),
        }
    }

    /// What paths in it are relative to.
    pub(super) fn folder(&self) -> PathBuf {
        match self {
            Self::File(path) => match path.parent() {
                Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
                _ => PathBuf::from("."),
            },
            Self::Text(_) => PathBuf::from("."),
        }
    }

    /// The text as it is now.
    pub(super) fn text(&self) -> Result<Arc<str>, ApplyError> {
        match self {
            Self::Text(text) => Ok(Arc::clone(text)),
            Self::File(path) => read_text(path)
                .map(Into::into)
                .map_err(|error| ApplyError::Read { path: path.clone(), error: Arc::new(error) }),
        }
    }
}

/// Reads a text file of bounded size.
fn read_text(path: &Path) -> std::io::Result<String> {
    use std::io::Read;
    let mut text = String::new();
    let read = std::fs::File::open(path)?.take(DOCUMENT_MAX).read_to_string(&mut text)?;
    if read as u64 >= DOCUMENT_MAX {
        return Err(std::io::Error::other("larger than 64 MiB"));
    }
    Ok(text)
}

/// References to this process's environment, and to files relative to the document's folder.
pub(super) struct Surroundings {
    pub(super) folder: PathBuf,
}

impl References for Surroundings {
    fn env(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn file(&self, path: &str) -> Result<String, String> {
        read_text(&self.folder.join(path)).map_err(|error| error.to_string())
    }
}
