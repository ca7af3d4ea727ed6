//! Commands as people and scripts meet them: exit codes, what is on stdout and what on stderr, signals.

use rustix::process::{Pid, Signal, kill_process};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;
use tempfile::TempDir;
use tokio::time::Instant;

const BINARY: &str = env!("CARGO_BIN_EXE_plimsoll");
const DEADLINE: Duration = Duration::from_secs(20);

const GOOD: &str = r#"_format_version: "3.0"
services:
- {name: web, host: web, path: /base, routes: [{name: shop, hosts: [shop.test], paths: [/a]}, {name: rest, paths: [/]}]}
upstreams:
- {name: web, targets: [{target: "127.0.0.1:9"}]}
"#;
const BAD: &str = "_format_version: \"3.0\"\nservices:\n- name: web\n  url: http://a.test\n  rutes: []\n";

/// A folder with documents; commands run in it.
struct Bench {
    folder: TempDir,
}

impl Bench {
    fn new() -> Self {
        let bench = Self { folder: tempfile::tempdir().expect("a folder") };
        bench.write("good.yaml", GOOD);
        bench.write("bad.yaml", BAD);
        bench
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.folder.path().join(name), text).expect("it can be written");
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(BINARY);
        command.args(words).current_dir(self.folder.path()).stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn run(&self, words: &[&str]) -> Output {
        self.command(words).output().expect("it runs")
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn every_command_ends_with_the_code_that_says_whose_fault_it_is() {
    let bench = Bench::new();
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("it is bound").port();
    bench.write(
        "taken.yaml",
        &format!(
            "_format_version: \"3.0\"\ngateway:\n  listeners: [{{name: http, address: \"127.0.0.1:{port}\"}}]\n  \
             admin: false\n  providers: {{docker: false}}\n"
        ),
    );
    let closed = format!("http://127.0.0.1:{}", closed_port());
    let port = port.to_string();
    // Words, exit code, what stdout has, what stderr has.
    let cases: &[(&[&str], i32, &str, &str)] = &[
        (&["--version"], 0, concat!("plimsoll ", env!("CARGO_PKG_VERSION"), " ("), ""),
        (&["--help"], 0, "healthcheck", ""),
        (&["schema"], 0, "\"$schema\"", ""),
        (&["check", "--config", "good.yaml"], 0, "good.yaml: well; 1 service, 2 routes, 1 upstream", ""),
        (&["check", "--config", "bad.yaml"], 1, "", "bad.yaml:5:3: in 'rutes': unknown field"),
        (&["check", "--config", "bad.yaml"], 1, "", "help: did you mean 'routes'?"),
        (&["check", "--config", "bad.yaml", "--output", "json"], 1, "\"line\": 5", ""),
        (&["check", "--config", "none.yaml"], 1, "", "none.yaml: no such file"),
        (&["check"], 2, "", "--config"),
        (&["explain", "GET", "http://shop.test/a/b", "--config", "good.yaml"], 0, "GET /base/b over http", ""),
        (&["explain", "GET", "/a", "-H", "Host: shop.test", "--config", "good.yaml"], 0, "✓ shop", ""),
        (&["explain", "GET", "/", "--config", "bad.yaml"], 1, "", "did you mean"),
        (&["explain", "GET", "/"], 2, "", "--admin"),
        (&["explain", "GET", "ftp://x/", "--config", "good.yaml"], 2, "", "neither http://HOST/PATH"),
        (&["explain", "GET", "/", "--admin", &closed], 3, "", "cannot connect"),
        (&["healthcheck", "--url", &closed], 3, "", "cannot connect"),
        (&["run", "--config", "bad.yaml"], 1, "", "did you mean"),
        (&["run", "--config", "taken.yaml"], 3, "", "cannot listen on"),
        (&["demo", "--port", &port], 3, "", "--port"),
        (&["demo", "--duration", "soon"], 2, "", "write 20s"),
        (&["nonsense"], 2, "", "nonsense"),
        (&[], 2, "", "Usage"),
    ];
    for (words, code, stdout, stderr) in cases {
        let output = bench.run(words);
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        assert_eq!(output.status.code(), Some(*code), "{words:?}\n{out}\n{err}");
        assert!(out.contains(stdout), "{words:?}: stdout has no {stdout:?}\n{out}\n{err}");
        assert!(err.contains(stderr), "{words:?}: stderr has no {stderr:?}\n{out}\n{err}");
        assert!(!(out + &err).contains('\x1b'), "{words:?}: no colours where nobody sees them");
    }
}

#[test]
fn an_explanation_is_json_where_a_program_reads_it() {
    let bench = Bench::new();
    let output =
        bench.run(&["explain", "GET", "http://shop.test/a/x?q=1", "--config", "good.yaml", "--output", "json"]);
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(answer["route"], "shop");
    assert_eq!(answer["forward"]["path"], "/base/x?q=1");
    assert_eq!(answer["routes"][1]["wins"], false);
    assert_eq!(answer["upstream"]["targets"][0]["state"], "unknown");
}

#[test]
fn the_demo_kills_a_replica_and_loses_nothing() {
    let bench = Bench::new();
    let output = bench.run(&["demo", "--port", "0", "--duration", "6s"]);
    let out = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{out}\n{}", text(&output.stderr));
    for said in
        ["_format_version", "is killed (kill -9)", "web.2 is back as pid", "Nothing was lost", " 0 lost; one replica"]
    {
        assert!(out.contains(said), "no {said:?} in\n{out}");
    }
    assert!(!out.contains('\x1b'), "no drawing into a pipe");
}

#[test]
fn kill_9_of_the_demo_leaves_no_process_behind() {
    let bench = Bench::new();
    let mark = "PLIMSOLL_DEMO_MARK=killed";
    let (name, value) = mark.split_once('=').expect("a pair");
    let mut demo = bench.command(&["demo", "--port", "0", "--quiet"]).env(name, value).spawn().expect("it runs");
    // The demo, three guards and three replicas.
    wait_until("everything runs", || marked(mark) == 7);
    demo.kill().expect("it runs");
    demo.wait().expect("it ended");
    wait_until("nothing is left", || marked(mark) == 0);
}

#[test]
fn term_drains_and_a_second_one_stops_at_once() {
    let bench = Bench::new();
    let port = closed_port();
    bench.write(
        "run.yaml",
        &format!(
            "_format_version: \"3.0\"\ngateway:\n  listeners: [{{name: http, address: \"127.0.0.1:{port}\"}}]\n  \
             admin: false\n  access_log: false\n  providers: {{docker: false}}\nservices:\n- {{name: web, host: web, \
             routes: [{{name: all, paths: [/]}}]}}\nupstreams:\n- name: web\n  discover:\n    process: {{command: \
             [{BINARY:?}, __sample, --port, \"{{port}}\"], replicas: 1}}\n"
        ),
    );
    let status = |stream: &mut TcpStream| {
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).map(|()| text(&answer))
    };

    // A request that is under way is answered, and then the gateway ends.
    let mut gateway = serve(&bench, port);
    let mut under_way = ask(port, "/slow?ms=1500");
    std::thread::sleep(Duration::from_millis(200));
    signal(&gateway, Signal::TERM);
    assert_eq!(status(&mut under_way).expect("an answer"), "HTTP/1.1 200");
    assert_eq!(ended(&mut gateway).code(), Some(0));

    // Told twice, it does not wait.
    let mut gateway = serve(&bench, port);
    let mut under_way = ask(port, "/slow?ms=15000");
    std::thread::sleep(Duration::from_millis(200));
    signal(&gateway, Signal::TERM);
    std::thread::sleep(Duration::from_millis(200));
    signal(&gateway, Signal::INT);
    let told = Instant::now();
    ended(&mut gateway);
    assert!(told.elapsed() < Duration::from_secs(3), "{:?}", told.elapsed());
    assert!(status(&mut under_way).is_err(), "its connection was cut");
}

/// Starts `run` and waits for its first answer.
fn serve(bench: &Bench, port: u16) -> Child {
    let gateway = bench.command(&["run", "--config", "run.yaml"]).stderr(Stdio::null()).spawn().expect("it runs");
    let answers = || {
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { return false };
        let mut answer = String::new();
        let asked = stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        asked.and_then(|()| stream.read_to_string(&mut answer)).is_ok() && answer.starts_with("HTTP/1.1 200")
    };
    wait_until("it answers", answers);
    gateway
}

fn ask(port: u16, path: &str) -> TcpStream {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
    stream.set_read_timeout(Some(DEADLINE)).expect("a timeout");
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes()).expect("it reads");
    stream
}

fn signal(child: &Child, signal: Signal) {
    let pid = Pid::from_raw(child.id().cast_signed()).expect("a pid");
    kill_process(pid, signal).expect("it runs");
}

fn ended(child: &mut Child) -> std::process::ExitStatus {
    let mut status = None;
    wait_until("it ends", || {
        status = status.or_else(|| child.try_wait().expect("its state can be read"));
        status.is_some()
    });
    status.expect("it ended")
}

/// A port that was free a moment ago.
fn closed_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port").port()
}

/// How many processes carry a mark in their environment.
fn marked(mark: &str) -> usize {
    let carries = |entry: &std::fs::DirEntry| {
        let environment = std::fs::read(Path::new("/proc").join(entry.file_name()).join("environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes())
    };
    std::fs::read_dir("/proc").expect("/proc is there").flatten().filter(carries).count()
}

fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < DEADLINE, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
