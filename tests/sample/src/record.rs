//! What was carried out, kept in a file so that it outlives the replica, however that ends.

use std::fs::File;
use std::io::{Result, Write};
use std::path::Path;
use std::time::UNIX_EPOCH;

pub(crate) struct Record(File);

impl Record {
    /// A file of its own for every life of a replica: `NAME.PID.SINCE`.
    pub(crate) fn new(folder: &Path, replica: &str) -> Result<Self> {
        let since_ns = UNIX_EPOCH.elapsed().unwrap_or_default().as_nanos();
        let name = format!("{replica}.{}.{since_ns}", std::process::id());
        Ok(Self(File::options().create_new(true).append(true).open(folder.join(name))?))
    }

    /// One write, so that a line is there whole or not at all.
    pub(crate) fn carried_out(&self, request: &str) -> Result<()> {
        (&self.0).write_all(format!("{request}\n").as_bytes())
    }
}
