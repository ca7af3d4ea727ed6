//! Target to gateway to client: `cases/answers`. Whatever a target answers, the next request gets its own answer.

use crate::case::{self, Case, Then};
use crate::client::{self, Client, Pace, statuses};
use crate::gateway::{self, Embedded};
use crate::recorder::answer;
use crate::strict::{self, Message, Read};
use parking_lot::Mutex;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// One test for each theme, and a list of them.
macro_rules! themes {
    ($($theme:ident),* $(,)?) => {
        const THEMES: &[&str] = &[$(stringify!($theme)),*];
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $theme() {
                run(stringify!($theme)).await;
            }
        )*
    };
}

themes! { bodies, framing, heads, interim, surplus }

#[test]
fn every_file_is_a_theme() {
    assert_eq!(case::themes("answers"), THEMES);
}

/// What a request to `/case` is answered with; one to `/early` as soon as its head is there.
#[derive(Clone)]
struct Script {
    bytes: Vec<u8>,
    pace: Pace,
    finish: bool,
}

/// A target that plays scripts, and answers every other request well.
struct Player {
    address: SocketAddr,
    script: Arc<Mutex<Script>>,
    task: JoinHandle<()>,
}

impl Drop for Player {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Player {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port on loopback");
        let address = listener.local_addr().expect("it is bound");
        let script = Arc::new(Mutex::new(Script { bytes: Vec::new(), pace: Pace::Whole, finish: false }));
        let shared = Arc::clone(&script);
        let task = tokio::spawn(async move {
            let mut tasks = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                tasks.spawn(play(stream, Arc::clone(&shared)));
            }
        });
        Self { address, script, task }
    }
}

/// Ends with the connection, however that ends: the client's side judges.
async fn play(stream: TcpStream, script: Arc<Mutex<Script>>) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let (mut read, mut write) = stream.into_split();
    let mut bytes = Vec::new();
    loop {
        let (request, early) = match strict::request(&bytes) {
            Read::Whole(request) => (request, false),
            Read::Part(Some(head)) if head.target == "/early" => (head, true),
            Read::Bad(problem) => panic!("{problem}: {}", bytes.escape_ascii()),
            Read::Part(_) => {
                if read.read_buf(&mut bytes).await? == 0 {
                    return Ok(());
                }
                continue;
            }
        };
        bytes.drain(..request.length);
        if !matches!(request.target.as_str(), "/case" | "/early") {
            write.write_all(&answer(&request)).await?;
            continue;
        }
        let script = script.lock().clone();
        client::send(&mut write, &script.bytes, script.pace).await?;
        if script.finish || early {
            write.shutdown().await?;
            while read.read_buf(&mut bytes).await? > 0 {
                bytes.clear();
            }
            return Ok(());
        }
    }
}

async fn run(theme: &str) {
    let target = Player::start().await;
    let gateway = gateway::start(target.address.port()).await;
    let cases = case::theme("answers", theme);
    let mut problems = Vec::new();
    for pace in [Pace::Whole, Pace::ByteByByte] {
        for case in cases.iter().filter(|case| pace == Pace::Whole || !case.at_once) {
            *target.script.lock() = Script { bytes: case.send.clone(), pace, finish: case.finish };
            if let Err(problem) = check(case, &gateway).await {
                problems.push(format!("{theme}.txt, {}, {pace:?}:\n  {problem}", case.name));
            }
        }
    }
    eprintln!("{theme}: {} cases, at two paces", cases.len());
    assert!(problems.is_empty(), "{} of {} cases:\n{}", problems.len(), cases.len() * 2, problems.join("\n"));
}

async fn check(case: &Case, gateway: &Embedded) -> Result<(), String> {
    let mut client = Client::connect(gateway.address).await;
    let request = case.request.as_deref().unwrap_or(b"GET /case HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut to_head: Vec<_> = case.answers.iter().map(|(_, to_head)| *to_head).collect();
    let mut expected: Vec<_> = case.answers.iter().map(|(status, _)| *status).collect();
    let cut = if case.then == Then::Cut { expected.pop().zip(to_head.pop()) } else { None };
    let answers = client.talk(request, Pace::Whole, false, &to_head).await?;
    if statuses(&answers) != expected {
        return Err(format!("answered {:?}, not {expected:?}", statuses(&answers)));
    }
    if let Some((status, _)) = cut {
        client.broken(status).await?;
    }
    if let Some(last) = answers.last() {
        check_answer(case, last)?;
    }
    client.check(case.then).await?;
    let mut other = Client::connect(gateway.address).await;
    other.check(Then::Open).await.map_err(|problem| format!("another client: {problem}"))
}

fn check_answer(case: &Case, answer: &Message) -> Result<(), String> {
    let got = answer.head.escape_ascii();
    for line in &case.has {
        if !answer.lines().any(|have| have == line) {
            return Err(format!("no line {:?}: {got}", line.escape_ascii().to_string()));
        }
    }
    for start in &case.lacks {
        if answer.lines().any(|line| line.get(..start.len()).is_some_and(|line| line.eq_ignore_ascii_case(start))) {
            return Err(format!("a line {:?}: {got}", start.escape_ascii().to_string()));
        }
    }
    match &case.body {
        Some(body) if *body != answer.body => Err(format!("another body: {}", answer.body.escape_ascii())),
        _ => Ok(()),
    }
}
