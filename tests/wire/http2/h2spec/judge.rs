//! Runs a case, and says of one that fails what was expected and what came.

use super::case::{Begins, Case, Expect, Passes, name};
use super::site::Site;
use crate::http2::frames::{ACK, Came, Client, GOAWAY, PATIENCE};
use std::io::ErrorKind;
use tokio::time::timeout;

/// Runs it; what is wrong with it, if anything is.
pub(super) async fn judge(case: &Case, site: &Site) -> Result<(), String> {
    let problem = match (run(case, site).await, case.passes) {
        (Ok(passed), said) if passed == said => return Ok(()),
        (Ok(Passes::AsNamed), Passes::ByIntent(_)) => return Ok(()),
        (Ok(Passes::ByTheEnd(code)), _) => {
            format!("it passes by the end alone, after {}, which the table does not say", name(code))
        }
        (Ok(_), _) => "it passes by what is named, and not as the table says".to_owned(),
        (Err(problem), Passes::ByIntent(reason)) => format!("{problem} (not h2spec's rule, by intent: {reason})"),
        (Err(problem), _) => problem,
    };
    let over = if site.tls.is_some() { "over TLS" } else { "plain" };
    Err(format!("{} ({over}), {}: {problem}", case.number, case.title))
}

async fn run(case: &Case, site: &Site) -> Result<Passes, String> {
    let mut client = match case.begins {
        Begins::Silent => site.silent().await?,
        Begins::AfterSettings => site.greeted().await?.0,
    };
    let mut passed = Passes::AsNamed;
    for (bytes, expect) in &case.steps {
        // Whether it is still read is seen by what comes.
        client.send(bytes).await;
        passed = match expect {
            Expect::Http1(status) => http1(&mut client, *status).await?,
            _ => meet(&mut client, *expect).await?,
        };
    }
    Ok(passed)
}

/// Reads until it is settled.
async fn meet(client: &mut Client, expect: Expect) -> Result<Passes, String> {
    let mut seen = Vec::new();
    let mut passes = Passes::AsNamed;
    loop {
        let came = match timeout(PATIENCE, client.read.event()).await {
            Ok(Ok(came)) => came,
            Ok(Err(error)) if error.kind() == ErrorKind::ConnectionReset => None,
            Ok(Err(error)) => {
                seen.push(format!("half a frame: {error}"));
                break;
            }
            Err(_) => {
                seen.push("nothing more".to_owned());
                break;
            }
        };
        seen.push(came.as_ref().map_or_else(|| "the end".to_owned(), said));
        match (expect.settled(came.as_ref()), came) {
            (Some(true), None) => return Ok(passes),
            (Some(true), Some(_)) => return Ok(Passes::AsNamed),
            (Some(false), _) => break,
            (None, Some(came)) if came.kind == GOAWAY && expect.names_codes() => {
                passes = came.code().map_or(Passes::AsNamed, Passes::ByTheEnd);
            }
            (None, _) => {}
        }
    }
    Err(format!("expected {expect}; came {}", seen.join(", ")))
}

async fn http1(client: &mut Client, status: u16) -> Result<Passes, String> {
    let answer = client.read.rest().await.map_err(|error| format!("it does not end: {error}"))?;
    if answer.starts_with(format!("HTTP/1.1 {status} ").as_bytes()) {
        return Ok(Passes::AsNamed);
    }
    Err(format!("expected {}; came {}", Expect::Http1(status), answer.escape_ascii()))
}

/// A frame as a failure shows it.
fn said(came: &Came) -> String {
    const KINDS: [&str; 10] = [
        "DATA",
        "HEADERS",
        "PRIORITY",
        "RST_STREAM",
        "SETTINGS",
        "PUSH_PROMISE",
        "PING",
        "GOAWAY",
        "WINDOW_UPDATE",
        "CONTINUATION",
    ];
    let kind = KINDS.get(usize::from(came.kind)).copied().unwrap_or("a frame of an unknown kind");
    let code = came.code().map(|code| format!(" with {}", name(code))).unwrap_or_default();
    let flags = if came.flags == 0 { String::new() } else { format!(" flags {:#x}", came.flags) };
    let acknowledges = matches!(kind, "SETTINGS" | "PING") && came.flags & ACK != 0;
    let flags = if acknowledges { " that acknowledges".to_owned() } else { flags };
    format!("{kind}{code}{flags} of stream {} ({} octets)", came.stream, came.payload.len())
}
