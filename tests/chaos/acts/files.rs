//! The gateway may open no more files.

use super::Scene;
use crate::excuse::Trouble;
use crate::noise;
use plimsoll_test_support::wire::exchange;
use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::sleep;

/// All of these are taken, from the start to the end, so that nothing that is closed meanwhile makes room.
const FILES: u64 = 8;
/// Clients that come then.
const COME: usize = 50;

impl Scene {
    /// It has what it has, and gets nothing more: no client, no connection to a target, no answer
    /// about a name. The limit is taken away from outside.
    /// Who connects waits until it is back.
    pub(super) async fn take_descriptors(&self, pause_ms: u64) {
        self.settle_to_the_last().await;
        let none = self.account.trouble(Trouble::NoDescriptors);
        let pid = Pid::from_raw(self.gateway.pid().cast_signed());
        let few = Rlimit { current: Some(FILES), ..getrlimit(Resource::Nofile) };
        let before = prlimit(pid, Resource::Nofile, few).expect("ours");
        let (mut clients, http) = (JoinSet::new(), self.gateway.http);
        let request = format!("GET / HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", noise::HOST);
        for _ in 0..COME {
            clients.spawn(exchange(http, request.clone()));
        }
        sleep(Duration::from_millis(pause_ms)).await;
        let (mut answers, mut served) = (Vec::new(), 0);
        while let Some(answer) = clients.try_join_next() {
            served += 1;
            answers.push(answer);
        }
        prlimit(pid, Resource::Nofile, before).expect("ours");
        answers.extend(clients.join_all().await.into_iter().map(Ok));
        self.settle_to_the_last().await;
        drop(none);
        assert_eq!(served, 0, "files could be opened all the same");
        for answer in answers {
            let answer = answer.expect("it does not panic").expect("an answer");
            let is_expected = answer.starts_with("HTTP/1.1 200") || answer.starts_with("HTTP/1.1 503");
            assert!(is_expected, "{answer:?}");
        }
    }
}
