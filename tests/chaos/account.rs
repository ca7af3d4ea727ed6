//! Where every request ended up, by the rules of the table in `main.rs`.

use crate::excuse::{MEMORY_SHORT, Trouble, excuse};
use crate::schedule::{Kind, Request};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// The service of what was answered before it was looked at who it was for, in the gateway's books and in ours.
pub(crate) const UNROUTED: &str = "";
/// How many losses are kept and printed one by one.
const PRINTED: usize = 40;

/// What a client saw.
#[derive(Debug)]
#[expect(dead_code, reason = "the words are printed where a request is lost")]
pub(crate) enum Outcome {
    /// Every byte as it should be, after an answer with this status.
    Right(u16),
    /// An answer that was not asked for: its status and body.
    Answered(u16, String),
    /// A WebSocket whose client was told to go, in whole frames, after an answer with this status.
    Told(u16),
    /// An answer that began, with this status, and did not end.
    Cut(u16, String),
    /// A wrong answer, in whole.
    Wrong(String),
    /// Nothing.
    None(String),
}

/// One that was answered neither right nor for a stated reason.
#[derive(Debug)]
pub(crate) struct Lost {
    request: Request,
    started: Instant,
    ended: Instant,
    outcome: Outcome,
}

#[derive(Default)]
struct Books {
    sent: u64,
    right: BTreeMap<Kind, u64>,
    /// By reason.
    excused: BTreeMap<(&'static str, Kind), u64>,
    lost: u64,
    kept: Vec<Lost>,
    /// By service: statuses as clients saw them, for the gateway's own account to be held against.
    statuses: BTreeMap<(&'static str, u16), u64>,
    slowest: BTreeMap<Kind, Duration>,
    /// By number: 1 for a POST that was answered right.
    posts: Vec<u8>,
    /// From when to when there was trouble; `None`: there still is.
    troubles: Vec<(Trouble, Instant, Option<Instant>)>,
}

/// The books of a run.
pub(crate) struct Account {
    started: Instant,
    books: Mutex<Books>,
}

impl Account {
    pub(crate) fn new() -> Self {
        Self { started: Instant::now(), books: Mutex::default() }
    }

    /// From now on there is trouble, until it is over.
    pub(crate) fn trouble(self: &Arc<Self>, what: Trouble) -> Excuse {
        let mut books = self.books.lock();
        books.troubles.push((what, Instant::now(), None));
        Excuse { account: Arc::clone(self), number: books.troubles.len() - 1 }
    }

    pub(crate) fn sent(&self) {
        self.books.lock().sent += 1;
    }

    /// Books a request that has ended.
    pub(crate) fn ended(&self, request: &Request, started: Instant, outcome: Outcome) {
        let ended = Instant::now();
        let mut books = self.books.lock();
        let of_its_time = |(what, from, to): &(Trouble, Instant, Option<Instant>)| {
            (to.is_none_or(|to| started <= to) && *from <= ended).then_some(*what)
        };
        let troubles: Vec<Trouble> = books.troubles.iter().filter_map(of_its_time).collect();
        let reason = excuse(request, &outcome, &troubles);
        if let Some(status) = outcome.status() {
            let service = if reason == Some(MEMORY_SHORT) { UNROUTED } else { request.kind.service() };
            *books.statuses.entry((service, status)).or_default() += 1;
        }
        if let Outcome::Right(_) = outcome {
            *books.right.entry(request.kind).or_default() += 1;
            let slowest = books.slowest.entry(request.kind).or_default();
            *slowest = (*slowest).max(ended - started);
            if request.kind.is_post() {
                let at = request.number as usize;
                let length = books.posts.len().max(at + 1);
                books.posts.resize(length, 0);
                books.posts[at] = 1;
            }
            return;
        }
        if let Some(reason) = reason {
            *books.excused.entry((reason, request.kind)).or_default() += 1;
            return;
        }
        books.lost += 1;
        let lost = Lost { request: *request, started, ended, outcome };
        eprintln!("LOST {}", lost.since(self.started));
        if books.kept.len() < PRINTED {
            books.kept.push(lost);
        }
    }

    pub(crate) fn open(&self) -> u64 {
        let books = self.books.lock();
        books.sent - books.right.values().sum::<u64>() - books.excused.values().sum::<u64>() - books.lost
    }

    pub(crate) fn lost(&self) -> u64 {
        self.books.lock().lost
    }

    /// Those of kinds, for reasons.
    pub(crate) fn excused_where(&self, is_it: impl Fn(&str, Kind) -> bool) -> u64 {
        self.books.lock().excused.iter().filter(|((reason, of), _)| is_it(reason, *of)).map(|(_, count)| count).sum()
    }

    /// Those of kinds that were right.
    pub(crate) fn right_where(&self, is_it: impl Fn(Kind) -> bool) -> u64 {
        self.books.lock().right.iter().filter(|(kind, _)| is_it(**kind)).map(|(_, count)| count).sum()
    }

    pub(crate) fn statuses(&self) -> BTreeMap<(&'static str, u16), u64> {
        self.books.lock().statuses.clone()
    }

    /// What is wrong with the replicas' own record of the POSTs that they carried out.
    pub(crate) fn against(&self, carried_out: &BTreeMap<u32, u32>) -> Vec<String> {
        let books = self.books.lock();
        let twice = carried_out.iter().filter(|(_, times)| **times > 1);
        let twice = twice.map(|(number, times)| format!("POST {number} was carried out {times} times"));
        let answered = books.posts.iter().zip(0_u32..).filter(|(right, _)| **right == 1).map(|(_, number)| number);
        let never = answered.filter(|number| !carried_out.contains_key(number));
        let never = never.map(|number| format!("POST {number} was answered and never carried out"));
        twice.chain(never).collect()
    }
}

impl Outcome {
    /// Of the answer, if any began.
    const fn status(&self) -> Option<u16> {
        match self {
            Self::Right(status) | Self::Told(status) | Self::Answered(status, _) | Self::Cut(status, _) => {
                Some(*status)
            }
            Self::Wrong(_) | Self::None(_) => None,
        }
    }
}

/// While it lives, trouble excuses what it touches.
pub(crate) struct Excuse {
    account: Arc<Account>,
    number: usize,
}

impl Drop for Excuse {
    fn drop(&mut self) {
        if let Some((_, _, to)) = self.account.books.lock().troubles.get_mut(self.number) {
            *to = Some(Instant::now());
        }
    }
}

impl Lost {
    fn since(&self, start: Instant) -> String {
        let Self { request, started, ended, outcome } = self;
        let (at, took) = ((*started - start).as_millis(), (*ended - *started).as_millis());
        format!("at {at} ms, after {took} ms: {request:?}: {outcome:?}")
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let books = self.books.lock();
        let right: u64 = books.right.values().sum();
        let excused: u64 = books.excused.values().sum();
        let (sent, lost) = (books.sent, books.lost);
        write!(f, "{sent} sent, {right} right, {excused} failed for a stated reason, {lost} lost; slowest")?;
        for (kind, slowest) in &books.slowest {
            write!(f, " {kind:?} {} ms", slowest.as_millis())?;
        }
        for ((reason, kind), count) in &books.excused {
            write!(f, "\n  {count} × {kind:?} {reason}")?;
        }
        for lost in &books.kept {
            write!(f, "\n  LOST {}", lost.since(self.started))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_post_is_carried_out_once_if_it_was_answered_and_never_twice() {
        let account = Account::new();
        for number in 1..=2 {
            let request = Request { number, kind: Kind::Post, ..Request::of(0, 0) };
            account.ended(&request, Instant::now(), Outcome::Right(200));
        }
        assert_eq!(account.against(&BTreeMap::from([(1, 1), (2, 1), (3, 1)])), [""; 0]);
        assert_eq!(account.against(&BTreeMap::from([(1, 1), (2, 2)])), ["POST 2 was carried out 2 times"]);
        assert_eq!(account.against(&BTreeMap::from([(1, 1)])), ["POST 2 was answered and never carried out"]);
    }
}
