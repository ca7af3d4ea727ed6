//! Where a command's document comes from.

use super::Failure;
use anyhow::{Context, anyhow};
use plimsoll_core::config::{Problems, Read, ReadOptions, References, Source, read, without_secrets};
use std::io::IsTerminal;
use std::path::{Path, PathBuf};

/// Where `run` looks for a document if none is named.
pub(super) const SEARCHED: [&str; 2] = ["plimsoll.yaml", "/etc/plimsoll/plimsoll.yaml"];
/// A document is text that a person wrote, or a program from what people wrote. 64 MiB are half a million routes.
const DOCUMENT_MAX: u64 = 64 << 20;

/// The document that is used without `--config`. `None`: there is none, and the built-in default holds.
pub(super) fn find() -> Option<PathBuf> {
    SEARCHED.iter().map(PathBuf::from).find(|path| path.is_file())
}

/// A document and the text it came from.
pub(super) struct Loaded {
    /// As it was named on the command line.
    pub(super) file: String,
    text: String,
    pub(super) read: Result<Read, Problems>,
}

impl Loaded {
    /// The text, and what it says where it has no mistake.
    pub(super) fn into_parts(self) -> (String, Result<Read, Problems>) {
        (self.text, self.read)
    }

    /// The text as it may be shown.
    pub(super) fn shown(&self) -> String {
        without_secrets(&self.text)
    }
}

/// Reads a document file; its mistakes are part of the result.
pub(super) fn load(path: &Path) -> Result<Loaded, Failure> {
    let file = path.display().to_string();
    match std::fs::metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(Failure::Input(format!("{file}: no such file")));
        }
        Err(error) => return Err(Failure::Environment(anyhow!(error).context(format!("cannot read {file}")))),
        Ok(found) if found.len() >= DOCUMENT_MAX => {
            return Err(Failure::Input(format!("{file}: 64 MiB or larger")));
        }
        Ok(_) => {}
    }
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {file}"))?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        Failure::Input(format!("{file}: not UTF-8 at byte {at}"))
    })?;
    let read = read_text(&file, &text, &folder_of(path), Source::File);
    Ok(Loaded { file, text, read })
}

/// Reads a document; references are taken from the environment and from files beside it.
pub(super) fn read_text(file: &str, text: &str, folder: &Path, source: Source<'_>) -> Result<Read, Problems> {
    let references = Surroundings { folder: folder.to_owned() };
    read(text, &ReadOptions { file, references: &references, source })
}

/// What relative paths of a document are relative to.
pub(super) fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// This process' environment, and files beside the document.
struct Surroundings {
    folder: PathBuf,
}

impl References for Surroundings {
    fn env(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn file(&self, path: &str) -> Result<String, String> {
        std::fs::read_to_string(self.folder.join(path)).map_err(|error| error.to_string())
    }
}

/// Whether what a person reads on stderr may have colours.
pub(super) fn stderr_colour() -> bool {
    is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Whether it is a person who reads stderr.
pub(super) fn is_terminal() -> bool {
    std::io::stderr().is_terminal()
}
