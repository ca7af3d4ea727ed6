//! The wall clock is set, forth and back.

use super::Scene;
use crate::noise;
use jiff::Timestamp;
use jiff::fmt::rfc2822;
use plimsoll_test_support::tls;
use plimsoll_test_support::wait::until;
use plimsoll_test_support::wire::exchange;
use rustls::HandshakeKind;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::sleep;

const DAY_S: i64 = 24 * 3600;
/// Seconds that it leaps by: minutes; past the day; past the life of a session's keys; past a certificate's; ten years, as of a
/// machine whose battery is empty.
const FAR_S: [i64; 6] = [90, 50 * 60, 7 * 3600, 3 * DAY_S, 100 * DAY_S, 3652 * DAY_S];
/// Of a date that is right, on a busy machine.
const NEAR_S: u64 = 3;
/// 15 s: for a leap to be seen.
const SEEN_MAX: Duration = Duration::from_secs(15);

impl Scene {
    /// There, as far to the other side, and back to what is right. Whatever happens meanwhile happens as ever: the document is
    /// read, a replica dies, another process of the gateway takes over or is started.
    pub(super) async fn leap(&mut self, how: u8, who: u8, pause_ms: u64) {
        self.settle_to_the_last().await;
        let (far, how) = (FAR_S[usize::from(how) % FAR_S.len()], usize::from(how) / FAR_S.len());
        let far = if how.is_multiple_of(2) { far } else { -far };
        for ahead_s in [far, -far, 0] {
            self.clock.set(ahead_s);
            self.until_dates_are(ahead_s).await;
            if ahead_s == -far {
                self.happen_out_of_time(how / 2, who, pause_ms).await;
            }
            sleep(Duration::from_millis(pause_ms)).await;
            self.settle().await;
            self.resume_sessions().await;
        }
    }

    async fn happen_out_of_time(&mut self, what: usize, who: u8, pause_ms: u64) {
        match what % 5 {
            0 => self.reread().await,
            1 => self.kill(&self.one(who)).await,
            2 => self.hand_over(self.document.workers, false).await,
            3 => self.die(pause_ms).await,
            _ => {}
        }
    }

    /// Waits until the gateway dates its answers so far from what is right.
    async fn until_dates_are(&self, ahead_s: i64) {
        let ask = "GET / HTTP/1.1\r\nHost: nobody.test\r\nConnection: close\r\n\r\n";
        until(SEEN_MAX, &format!("dates {ahead_s} s ahead"), async || {
            let answer = exchange(self.gateway.http, ask).await.unwrap_or_default();
            let date = answer.lines().find_map(|line| line.strip_prefix("Date: ")).unwrap_or_default();
            let expected = Timestamp::now().as_second() + ahead_s;
            let date = rfc2822::parse(date.trim()).map(|date| date.timestamp().as_second());
            date.is_ok_and(|date| date.abs_diff(expected) <= NEAR_S)
        })
        .await;
    }

    /// Two clients of TLS, one after the other: both are served, and the second has a session of the first.
    async fn resume_sessions(&self) {
        self.shake_hands().await;
        assert_eq!(self.shake_hands().await, Some(HandshakeKind::Resumed), "a session was forgotten");
    }

    async fn shake_hands(&self) -> Option<HandshakeKind> {
        let https = self.gateway.listener("https").await.expect("it listens");
        let mut stream = tls::connect(https, noise::HOST, Arc::clone(&self.trust)).await.expect("a handshake");
        let ask = format!("GET / HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", noise::HOST);
        stream.write_all(ask.as_bytes()).await.expect("it is open");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        stream.get_ref().1.handshake_kind()
    }
}
