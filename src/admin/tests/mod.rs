//! The admin API of a gateway that runs, over real sockets.

mod config;
mod doors;
mod reads;

use super::{Doors, Served};
use crate::control::{Gateway, Handle, Running};
use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::Full;
use plimsoll_core::config::{ReadOptions, References, Source, read};
use plimsoll_test_support::client::Client;
use plimsoll_test_support::target::Target;
use serde_json::Value;
use std::net::SocketAddr;
use std::path::Path;

/// A gateway with its doors open.
struct Bench {
    running: Running,
    admin: Option<SocketAddr>,
    status: Option<SocketAddr>,
    _served: Served,
}

impl Bench {
    /// `gateway` is what the document has there besides listeners, in one line; `rest` is everything beside it.
    async fn new(gateway: &str, rest: &str) -> Self {
        let text = document(gateway, rest);
        let doors = open(&text, Path::new(".")).await.unwrap();
        let running = match Gateway::builder().document_text(text).start().await {
            Ok(running) => running,
            Err(error) => panic!("{error}"),
        };
        let (admin, status) = (doors.admin, doors.status);
        let served = doors.serve(&running.handle());
        Self { running, admin, status, _served: served }
    }

    /// Behind one service of two targets, which say `one` and `two`.
    async fn with_two(gateway: &str) -> (Self, [Target; 2]) {
        let targets = [Target::answering("one").await, Target::answering("two").await];
        let rest = two(&targets);
        (Self::new(gateway, &rest).await, targets)
    }

    fn handle(&self) -> Handle {
        self.running.handle()
    }

    async fn ask(&self, method: Method, path: &str, fields: &[(&str, &str)], body: &str) -> Response<Bytes> {
        send(self.admin.unwrap(), method, path, fields, body).await
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        let answer = self.ask(Method::GET, path, &[], "").await;
        (answer.status().as_u16(), serde_json::from_slice(answer.body()).unwrap_or_default())
    }

    async fn post(&self, kind: &str, body: &str) -> (u16, Value) {
        let answer = self.ask(Method::POST, "/config", &[("content-type", kind)], body).await;
        (answer.status().as_u16(), serde_json::from_slice(answer.body()).unwrap_or_default())
    }

    /// What the gateway itself answers.
    async fn served(&self) -> String {
        let client = Client::http1(self.running.address("http").unwrap());
        let answer = client.get("web.test", "/").await.unwrap();
        format!("{} {}", answer.status().as_u16(), String::from_utf8_lossy(answer.body()))
    }
}

/// One request with a Host of loopback, unless `fields` has another.
async fn send(address: SocketAddr, method: Method, path: &str, fields: &[(&str, &str)], body: &str) -> Response<Bytes> {
    let mut request = Request::builder().method(method).uri(path);
    if !fields.iter().any(|(name, _)| *name == "host") {
        request = request.header("host", address.to_string());
    }
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::new(Bytes::copy_from_slice(body.as_bytes()))).unwrap();
    Client::http1(address).send(request).await.unwrap()
}

fn document(gateway: &str, rest: &str) -> String {
    format!(
        "_format_version: \"3.0\"\ngateway: {{workers: 1, access_log: false, providers: {{docker: false}}, listeners: [{{name: http, address: \
         \"127.0.0.1:0\"}}], {gateway}}}\n{rest}"
    )
}

fn two(targets: &[Target; 2]) -> String {
    format!(
        "services:\n- {{name: web, host: pool, routes: [{{name: all, paths: [/]}}]}}\nupstreams:\n- {{name: pool, targets: \
         [{{target: \"{}\"}}, {{target: \"{}\"}}]}}\n",
        targets[0].address, targets[1].address
    )
}

const ADMIN: &str = "admin: {address: \"127.0.0.1:0\"}";

/// Doors are asked for before the gateway reads the document: what references come to decides nothing there.
struct Any;

impl References for Any {
    fn env(&self, _: &str) -> Option<String> {
        Some("any".to_owned())
    }

    fn file(&self, _: &str) -> Result<String, String> {
        Ok("any".to_owned())
    }
}

async fn open(text: &str, folder: &Path) -> Result<Doors, super::OpenError> {
    let options = ReadOptions { file: "test.yaml", references: &Any, source: Source::File };
    let document = match read(text, &options) {
        Ok(read) => read.document,
        Err(problems) => panic!("{problems}"),
    };
    Doors::open(&document.gateway.unwrap(), folder).await
}
