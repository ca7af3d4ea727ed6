//! The document that the demo runs, which is also the one to copy.

/// The upstream's name: replicas are `web.1`, `web.2`, …
pub(super) const UPSTREAM: &str = "web";

/// A whole document: one route, one service, and an upstream of local processes.
pub(super) fn document(binary: &str, port: u16, admin: Option<u16>, replicas: u16) -> String {
    let admin = admin.map_or_else(|| "false".to_owned(), |port| format!("{{address: \"127.0.0.1:{port}\"}}"));
    // A path may hold anything; JSON's strings are YAML's too.
    let binary = serde_json::Value::from(binary);
    format!(
        r#"_format_version: "3.0"
gateway:
  listeners: [{{name: http, address: "127.0.0.1:{port}"}}]
  admin: {admin}
  access_log: false
  providers: {{docker: false}}     # local processes alone
services:
  - name: web
    host: {UPSTREAM}                 # the upstream below
    routes: [{{name: everything, paths: ["/"]}}]
upstreams:
  - name: {UPSTREAM}
    algorithm: round-robin
    discover:
      process:              # Plimsoll starts, watches and stops these
        command: [{binary}, __sample,
                  --address, "127.0.0.1", --port, "{{port}}"]
        replicas: {replicas}
"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use plimsoll_core::config::{Discover, NoReferences, ReadOptions, Source, read};

    #[test]
    fn the_document_to_copy_has_no_mistake_whatever_the_binary_is_called() {
        for binary in ["/usr/bin/plimsoll", "/home/a b/#1: \"x\"/plimsoll"] {
            let text = document(binary, 8000, Some(8001), 3);
            let options = ReadOptions { file: "demo", references: &NoReferences, source: Source::File };
            let read = read(&text, &options).unwrap_or_else(|problems| panic!("{problems}"));
            let Discover::Process(source) = &read.document.upstreams[0].discover[0] else { panic!("{text}") };
            assert_eq!((source.replicas, &*source.command[0]), (3, binary));
            assert!(read.warnings.is_empty(), "{:?}", read.warnings);
        }
    }
}
