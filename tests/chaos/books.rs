//! The gateway's own books, held against those of the clients: its counters, which begin anew in every process that takes
//! over, and its access log, which does not.

use crate::account::{Account, UNROUTED};
use crate::acts::{Scene, UPSTREAM};
use crate::excuse::{GATEWAY_DIED, KILLED_WITH_IT, MEMORY_SHORT, NO_DESCRIPTORS, NO_GATEWAY, RESET_BEFORE_HEAD};
use crate::log::{Lines, Written};
use crate::named::NAMED;
use plimsoll_test_support::metrics;
use plimsoll_test_support::wait::until;
use std::collections::BTreeMap;
use std::time::Duration;

/// 15 s: for what is counted to be counted.
const COUNTED_MAX: Duration = Duration::from_secs(15);
/// What is asked: the replicas' HTTP, and their gRPC; and who is found by a name.
const ASKED: [&str; 3] = ["web", "calls", NAMED];
/// And what was not routed.
const SERVICES: [&str; 4] = [ASKED[0], ASKED[1], ASKED[2], UNROUTED];
/// More than there are: of what was not routed much is of clients that keep no books.
const UNCOUNTED: u64 = 1 << 40;

/// By service and status, or of all.
type Statuses = BTreeMap<(&'static str, u16), u64>;

/// What is known of processes that are gone, and what is not: what they counted after they were last asked.
#[derive(Default)]
pub(crate) struct Past {
    /// Their metrics, as they last said them.
    said: Vec<String>,
    /// At the most.
    unseen: Statuses,
    unseen_failures: u64,
    /// Of the latter, those of which there is no line in the log either.
    unlogged: Statuses,
}

/// What has become of a process that was asked what it had counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It has given its place to another one, and has ended in good order.
    Replaced,
    /// It was killed.
    Killed,
    /// It serves on: who was to take its place, and was never asked, was killed.
    HeirKilled,
}

/// A moment at which a process of the gateway was asked what it had counted.
pub(crate) struct Page {
    said: String,
    statuses: Statuses,
    failures: u64,
}

impl Past {
    /// The sum over all processes, the living one's metrics being these.
    fn value(&self, now: &str, name: &str, labels: &[(&str, &str)]) -> f64 {
        let all = self.said.iter().map(String::as_str).chain([now]);
        all.filter_map(|text| metrics::value(text, name, labels)).sum()
    }

    /// Clients have had more answers since; who counted them, and wrote lines of them, may have died.
    fn close(&mut self, page: Page, account: &Account, fate: Fate) {
        let more = since(&account.statuses(), &page.statuses);
        for (place, answers) in more {
            *self.unseen.entry(place).or_default() += answers;
            if fate != Fate::Replaced {
                *self.unlogged.entry(place).or_default() += answers;
            }
        }
        self.unseen_failures += failures(account) - page.failures;
        if fate != Fate::HeirKilled {
            self.said.push(page.said);
        }
    }
}

impl Scene {
    /// Asks the gateway what it has counted, when it has counted all that clients know of.
    pub(crate) async fn page(&self) -> Page {
        let (statuses, failures) = (self.account.statuses(), failures(&self.account));
        self.all_counted(&statuses).await;
        Page { said: self.metrics().await, statuses, failures }
    }

    /// This has become of the process that was asked then.
    pub(crate) fn turn_page(&mut self, page: Page, fate: Fate) {
        self.past.close(page, &self.account, fate);
    }

    /// Waits until as many requests are counted as were answered: its client may know of an answer first.
    pub(crate) async fn all_counted(&self, statuses: &Statuses) {
        let enough = async || {
            let now = self.metrics().await;
            SERVICES.iter().all(|service| {
                let counted = self.past.value(&now, "plimsoll_http_requests_total", &[("service", service)]);
                counted + count(of(&self.past.unseen, service)) >= count(of(statuses, service))
            })
        };
        drop(tokio::time::timeout(COUNTED_MAX, until(COUNTED_MAX * 2, "every answer to be counted", enough)).await);
    }

    async fn metrics(&self) -> String {
        self.gateway.admin("GET", "/metrics", "").await.map(|answer| answer.text()).unwrap_or_default()
    }

    /// Lines of the access log that were dropped, by all processes.
    pub(crate) async fn dropped(&self) -> f64 {
        self.past.value(&self.metrics().await, "plimsoll_access_log_dropped_total", &[])
    }

    /// What the gateway's counters say otherwise than its clients.
    pub(crate) async fn counters_against(&self) -> Vec<String> {
        let text = self.metrics().await;
        let value = |name: &str, labels: &[(&str, &str)]| self.past.value(&text, name, labels);
        let mut wrong = Vec::new();
        for service in SERVICES {
            let reset = self.reset(service);
            let mut check = |what: String, counted: f64, answers: u64, unseen: u64, reset: u64| {
                if counted + count(unseen) < count(answers) || counted > count(answers + reset) {
                    let most = answers + reset;
                    wrong.push(format!(
                        "{what}: the gateway counted {counted} and perhaps {unseen}, clients {answers} to {most}"
                    ));
                }
            };
            for ((_, status), answers) in self.account.statuses().iter().filter(|((name, _), _)| *name == service) {
                let labels = [("service", service), ("code", &status.to_string())];
                let unseen = self.past.unseen.get(&(service, *status)).copied().unwrap_or_default();
                let counted = value("plimsoll_http_requests_total", &labels);
                let reset = if *status == 200 || service == UNROUTED { reset } else { 0 };
                check(format!("answers of {service} with {status}"), counted, *answers, unseen, reset);
            }
            let counted = value("plimsoll_http_requests_total", &[("service", service)]);
            let (answers, unseen) = (of(&self.account.statuses(), service), of(&self.past.unseen, service));
            check(format!("answers of {service}"), counted, answers, unseen, reset);
        }
        wrong.extend(self.losses_against(&value));
        if !wrong.is_empty() {
            let of = |line: &&str| line.starts_with("plimsoll_http_requests_total") || line.contains("_requests_lost_");
            wrong.push(text.lines().filter(of).collect::<Vec<_>>().join("\n    "));
        }
        wrong
    }

    /// Answers that began, as far as the gateway knows, and of which the client had nothing.
    fn reset(&self, service: &str) -> u64 {
        if service == UNROUTED {
            return UNCOUNTED;
        }
        let unseen = |reason: &str| matches!(reason, RESET_BEFORE_HEAD | GATEWAY_DIED);
        self.account.excused_where(|reason, kind| unseen(reason) && kind.service() == service)
    }

    /// By reason: what began and was cut, what got no answer, and what was turned away. A tunnel may be cut after its client has
    /// had all that it wanted; and one whose target's kernel says that nothing more comes has ended, as far as anybody but the
    /// client can tell.
    fn losses_against(&self, value: &impl Fn(&str, &[(&str, &str)]) -> f64) -> Vec<String> {
        let account = &self.account;
        let excused = |is_it: &dyn Fn(&str) -> bool| {
            account.excused_where(|reason, kind| is_it(reason) && !kind.is_tunnel() && kind.service() != NAMED)
        };
        let named = |is_it: &dyn Fn(&str) -> bool| {
            account.excused_where(|reason, kind| is_it(reason) && kind.service() == NAMED)
        };
        let elsewhere = |reason: &str| matches!(reason, GATEWAY_DIED | NO_GATEWAY | NO_DESCRIPTORS | MEMORY_SHORT);
        let tunnels = account.excused_where(|reason, kind| reason != MEMORY_SHORT && kind.is_tunnel());
        let ended = account.right_where(|kind| kind.is_tunnel());
        let unanswered = excused(&|reason| reason == KILLED_WITH_IT);
        let begun = excused(&|reason| reason != KILLED_WITH_IT && !elsewhere(reason));
        let misnamed = named(&|reason| !elsewhere(reason));
        let shed = account.excused_where(|reason, _| reason == NO_DESCRIPTORS);
        let short = account.excused_where(|reason, _| reason == MEMORY_SHORT);
        let died = account.excused_where(|reason, _| reason == GATEWAY_DIED);
        let lost = |upstream| value("plimsoll_requests_lost_total", &[("upstream", upstream)]);
        let cut = value("plimsoll_requests_lost_total", &[("upstream", UPSTREAM), ("reason", "answer_cut")]);
        let turned_away: f64 =
            [UPSTREAM, NAMED].iter().map(|name| value("plimsoll_requests_shed_total", &[("upstream", name)])).sum();
        let mut wrong = Vec::new();
        let mut check = |what, counted: f64, least: u64, most: u64| {
            let unseen = self.past.unseen_failures;
            if counted + count(unseen) < count(least) || counted > count(most + died) {
                wrong.push(format!(
                    "{what}: the gateway counted {counted} and perhaps {unseen}, clients {least} to {most}"
                ));
            }
        };
        check("cut", cut, begun, begun + tunnels + ended);
        check("lost without an answer", lost(UPSTREAM) - cut, unanswered, unanswered + tunnels);
        check("lost for want of a name", lost(NAMED), misnamed, misnamed);
        check("shed", turned_away, shed, shed);
        let for_memory = value("plimsoll_requests_shed_total", &[("reason", "memory")]);
        check("shed for memory", for_memory, short, UNCOUNTED);
        wrong
    }

    /// What the access log says otherwise than clients, `dropped` lines of it being missing; it has ended.
    pub(crate) fn lines_against(&self, dropped: f64) -> Vec<String> {
        let Written { lines, torn, long } = self.log.written(&ASKED);
        eprintln!("the access log: {} lines, {dropped} dropped, {torn} torn", lines.values().sum::<u64>());
        let mut wrong = Vec::new();
        if long > 0 {
            wrong.push(format!("{long} lines tell of a request that took longer than any did"));
        }
        let (mut missing, mut unlogged) = (0, 0);
        for service in SERVICES {
            let reset = self.reset(service);
            for ((_, status), answers) in self.account.statuses().iter().filter(|((name, _), _)| *name == service) {
                let logged = lines.get(&(service.to_owned(), *status)).copied().unwrap_or_default();
                missing += answers.saturating_sub(logged);
                if logged > answers + reset {
                    wrong.push(format!(
                        "{logged} lines of {service} with {status}, of {answers} answers and {reset} resets"
                    ));
                }
            }
            unlogged += of(&self.past.unlogged, service);
        }
        if count(missing) > dropped + count(unlogged) {
            wrong.push(format!(
                "{missing} lines are missing; {dropped} were dropped, at most {unlogged} died with a process"
            ));
            wrong.push(differences(&lines, &self.account.statuses()));
        }
        if torn > self.torn_max {
            wrong.push(format!(
                "{torn} lines of the access log were torn, at most {} by disks and kills",
                self.torn_max
            ));
        }
        wrong
    }
}

fn differences(lines: &Lines, statuses: &Statuses) -> String {
    let of = |((service, status), answers): (&(&'static str, u16), &u64)| {
        let logged = lines.get(&((*service).to_owned(), *status)).copied().unwrap_or_default();
        format!("    {service} {status}: {answers} answers, {logged} lines")
    };
    statuses.iter().map(of).collect::<Vec<_>>().join("\n")
}

/// Of requests that came to a gateway.
fn failures(account: &Account) -> u64 {
    account.excused_where(|reason, _| reason != NO_GATEWAY)
}

/// How many more there are.
fn since(now: &Statuses, then: &Statuses) -> Statuses {
    now.iter().map(|(place, answers)| (*place, answers - then.get(place).copied().unwrap_or_default())).collect()
}

/// Answers that clients have had of a service.
fn of(statuses: &Statuses, service: &str) -> u64 {
    statuses.iter().filter(|((name, _), _)| *name == service).map(|(_, answers)| answers).sum()
}

/// As a metric has it.
#[expect(clippy::cast_precision_loss, reason = "a run has far fewer requests than 2^52")]
const fn count(things: u64) -> f64 {
    things as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::Outcome;
    use crate::schedule::{Kind, Request};
    use std::sync::Arc;
    use tokio::time::Instant;

    fn answered(account: &Account, times: u32) {
        for number in 0..times {
            let request = Request { number, kind: Kind::Get, ..Request::of(0, 0) };
            account.ended(&request, Instant::now(), Outcome::Right(200));
        }
    }

    #[test]
    fn what_a_process_counted_is_kept_and_what_it_may_have_counted_since_is_unseen() {
        let (account, mut past) = (Arc::new(Account::new()), Past::default());
        let page = |text: &str, account: &Account| Page {
            said: text.to_owned(),
            statuses: account.statuses(),
            failures: failures(account),
        };
        let now = |past: &Past| past.value("requests{code=\"200\"} 4\n", "requests", &[("code", "200")]);
        answered(&account, 3);
        let first = page("requests{code=\"200\"} 3\n", &account);
        answered(&account, 2);
        past.close(first, &account, Fate::Replaced);
        assert_eq!((now(&past), of(&past.unseen, "web"), of(&past.unlogged, "web")), (7.0, 2, 0));
        // Of one that died nothing was ever heard: the other counts on.
        let second = page("requests{code=\"200\"} 4\n", &account);
        answered(&account, 1);
        past.close(second, &account, Fate::HeirKilled);
        assert_eq!((now(&past), of(&past.unseen, "web"), of(&past.unlogged, "web")), (7.0, 3, 1));
        // One that dies is not heard of again, and neither may its last lines be.
        let third = page("requests{code=\"200\"} 4\n", &account);
        answered(&account, 2);
        past.close(third, &account, Fate::Killed);
        assert_eq!((now(&past), of(&past.unseen, "web"), of(&past.unlogged, "web")), (11.0, 5, 3));
    }
}
