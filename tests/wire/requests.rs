//! Client to target: `cases/requests`.

use crate::case::{self, Case, Reached, Then};
use crate::client::{Client, Pace, statuses};
use crate::gateway::{self, Embedded};
use crate::recorder::{Record, Recorder};

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

themes! { chunks, connection, content_length, expect, forwarded, hosts, limits, lines, pipelines, start_lines, trailers, transfer_encoding }

#[test]
fn every_file_is_a_theme() {
    assert_eq!(case::themes("requests"), THEMES);
}

/// All cases, for whoever changes them.
pub(crate) fn all() -> Vec<Case> {
    THEMES.iter().flat_map(|theme| case::theme("requests", theme)).collect()
}

async fn run(theme: &str) {
    let (mut target, mut gateway) = fresh().await;
    let cases = case::theme("requests", theme);
    let mut problems = Vec::new();
    for pace in [Pace::Whole, Pace::ByteByByte] {
        for case in &cases {
            if let Err(problem) = check(case, pace, &gateway, &target).await {
                problems.push(format!("{theme}.txt, {}, {pace:?}:\n  {problem}", case.name));
            }
            if case.reached == Reached::Cut {
                // What was begun may be seen late: not by the next case.
                (target, gateway) = fresh().await;
            }
        }
    }
    eprintln!("{theme}: {} cases, at two paces", cases.len());
    assert!(problems.is_empty(), "{} of {} cases:\n{}", problems.len(), cases.len() * 2, problems.join("\n"));
}

/// A gateway and the target behind it.
pub(crate) async fn fresh() -> (Recorder, Embedded) {
    let target = Recorder::start().await;
    let gateway = gateway::start(target.address.port()).await;
    (target, gateway)
}

async fn check(case: &Case, pace: Pace, gateway: &Embedded, target: &Recorder) -> Result<(), String> {
    let mut client = Client::connect(gateway.address).await;
    let talked = exchange(case, pace, &mut client).await;
    let record = target.take().await;
    talked.map_err(|problem| format!("{problem}\n  the target got: {}", record.bytes.escape_ascii()))?;
    check_record(case, &record)?;
    client.check(case.then).await?;
    let after = target.take().await;
    match (after.faults.first(), after.requests.len(), case.then) {
        (Some(fault), ..) => Err(fault.clone()),
        (None, 1, Then::Open) | (None, 0, _) => Ok(()),
        (None, more, _) => Err(format!("{more} requests reached the target afterwards")),
    }
}

async fn exchange(case: &Case, pace: Pace, client: &mut Client) -> Result<(), String> {
    let to_head: Vec<_> = case.answers.iter().map(|(_, to_head)| *to_head).collect();
    let answers = client.talk(&case.send, pace, case.finish, &to_head).await?;
    let expected: Vec<_> = case.answers.iter().map(|(status, _)| *status).collect();
    if statuses(&answers) != expected {
        return Err(format!("answered {:?}, not {expected:?}", statuses(&answers)));
    }
    for (answer, to_head) in answers.iter().zip(to_head) {
        if (400..500).contains(&answer.status) && answer.body.is_empty() && !to_head {
            return Err(format!("{} without a body", answer.status));
        }
    }
    Ok(())
}

fn check_record(case: &Case, record: &Record) -> Result<(), String> {
    if let Some(fault) = record.faults.first() {
        return Err(fault.clone());
    }
    let reached = (record.requests.len(), record.cut);
    let right = match case.reached {
        Reached::Whole(count) => reached == (count, 0),
        Reached::Cut => reached.0 == 0,
    };
    let got = record.bytes.escape_ascii();
    if !right {
        return Err(format!("{reached:?} requests whole and cut reached the target: {got}"));
    }
    let last = record.requests.last();
    for line in &case.has {
        if !last.is_some_and(|request| request.lines().any(|have| have == line)) {
            return Err(format!("no line {:?}: {got}", line.escape_ascii().to_string()));
        }
    }
    for start in &case.lacks {
        let begins = |line: &[u8]| line.get(..start.len()).is_some_and(|line| line.eq_ignore_ascii_case(start));
        if record.requests.iter().any(|request| request.lines().any(begins)) {
            return Err(format!("a line {:?}: {got}", start.escape_ascii().to_string()));
        }
    }
    if case.body.is_some() && case.body.as_ref() != last.map(|request| &request.body) {
        return Err(format!("another body: {got}"));
    }
    match &case.ends {
        Some(ends) if !record.bytes.ends_with(ends) => Err(format!("it ends otherwise: {got}")),
        _ => Ok(()),
    }
}
