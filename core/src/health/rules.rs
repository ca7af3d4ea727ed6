//! What counts as success and failure, and how many of them decide.

use std::fmt;

/// How one attempt, or one probe, ended. Answers that the gateway made itself are never reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// An answer came, with this status.
    Status(u16),
    /// A TCP probe connected.
    Connected,
    /// Something came that is no HTTP: counts as a bad status, as in Kong.
    NotHttp,
    /// It could not connect, or the connection broke.
    TcpFailure,
    /// It took too long.
    Timeout,
}

/// A set of HTTP statuses, 0 to 1023.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct StatusSet([u64; 16]);

impl StatusSet {
    /// Whether `status` is in the set.
    #[must_use]
    pub fn has(&self, status: u16) -> bool {
        self.0.get(usize::from(status >> 6)).is_some_and(|word| word >> (status & 63) & 1 == 1)
    }
}

impl FromIterator<u16> for StatusSet {
    /// Statuses past 1023 do not exist and are left out.
    fn from_iter<T: IntoIterator<Item = u16>>(statuses: T) -> Self {
        let mut set = Self::default();
        for status in statuses {
            if let Some(word) = set.0.get_mut(usize::from(status >> 6)) {
                *word |= 1 << (status & 63);
            }
        }
        set
    }
}

impl fmt::Debug for StatusSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries((0..1024).filter(|status| self.has(*status))).finish()
    }
}

/// One block of Kong's `healthchecks` (`active` or `passive`): statuses and limits. A limit of 0 switches its kind of
/// report off.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckRules {
    /// Statuses that count as success.
    pub healthy_statuses: StatusSet,
    /// Successes that make an unhealthy target healthy.
    pub successes: u8,
    /// Statuses that count as failure. One that is in both sets is a success.
    pub unhealthy_statuses: StatusSet,
    /// Answers with a status of `unhealthy_statuses` that make a target unhealthy.
    pub http_failures: u8,
    /// Failures to connect and broken connections that make a target unhealthy.
    pub tcp_failures: u8,
    /// Timeouts that make a target unhealthy.
    pub timeouts: u8,
}

impl CheckRules {
    /// Whether these rules can make a target unhealthy at all.
    #[must_use]
    pub const fn can_fail(&self) -> bool {
        self.http_failures != 0 || self.tcp_failures != 0 || self.timeouts != 0
    }
}
