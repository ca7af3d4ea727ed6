//! The one place that reads clocks, and how times are printed.

use plimsoll_core::model::Moment;
use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime};

/// The monotonic clock, which tests can pause inside a tokio runtime.
#[must_use]
pub fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// The same moment as a number, without the trouble of [`Instant`]: the data path asks three times a request.
#[cfg(not(test))]
#[expect(unsafe_code, reason = "rustix looks for the vDSO where valgrind hides it, and ends the process")]
#[inline]
#[must_use]
pub fn moment() -> Moment {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `now` is a place for what is written, and nothing else is. It cannot fail: Linux always has this clock.
    let result = unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut now) };
    debug_assert_eq!(result, 0, "the monotonic clock can be read");
    // It begins with the machine: neither part is ever negative.
    let (seconds, nanos) = (now.tv_sec.cast_unsigned(), now.tv_nsec.cast_unsigned());
    Moment::from_micros(seconds * 1_000_000 + nanos / 1000)
}

/// In tests, which can pause the clock, a number for tokio's moment: an hour for the first that was asked for, since another
/// test's clock may be behind that.
#[cfg(test)]
#[must_use]
pub fn moment() -> Moment {
    static BEGAN: OnceLock<Instant> = OnceLock::new();
    let (now, began) = (now(), *BEGAN.get_or_init(now));
    let hour = Moment::default() + Duration::from_secs(3600);
    hour + now.saturating_duration_since(began) - began.saturating_duration_since(now)
}

/// Wall time in milliseconds since 1970.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is the place")]
pub fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    since.as_secs() * 1000 + u64::from(since.subsec_millis())
}

/// Milliseconds to measure spans by: wall time when it was first asked for, and true to [`now`] from then on, however the wall
/// clock is set.
#[must_use]
pub fn steady_ms() -> u64 {
    static BEGAN: OnceLock<(Instant, u64)> = OnceLock::new();
    let (began, began_ms) = BEGAN.get_or_init(|| (now(), now_ms()));
    let since = now().saturating_duration_since(*began);
    began_ms + since.as_secs() * 1000 + u64::from(since.subsec_millis())
}

const DAYS: [&[u8; 3]; 7] = [b"Thu", b"Fri", b"Sat", b"Sun", b"Mon", b"Tue", b"Wed"];
const MONTHS: [&[u8; 3]; 12] =
    [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];

/// A second of UTC, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Civil {
    year: u64,
    month: u64,
    day: u64,
    weekday: usize,
    hour: u64,
    minute: u64,
    second: u64,
}

impl Civil {
    /// Howard Hinnant's `civil_from_days`, for times from 1970 on.
    fn from_seconds(seconds: u64) -> Self {
        let (days, rest) = (seconds / 86_400, seconds % 86_400);
        let shifted = days + 719_468;
        let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
        let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted_month = (5 * day_of_year + 2) / 153;
        let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
        Self {
            year: year_of_era + era * 400 + u64::from(month <= 2),
            month,
            day: day_of_year - (153 * shifted_month + 2) / 5 + 1,
            weekday: usize::try_from(days % 7).unwrap_or(0),
            hour: rest / 3600,
            minute: rest / 60 % 60,
            second: rest % 60,
        }
    }

    fn month_name(&self) -> &'static [u8; 3] {
        usize::try_from(self.month - 1).ok().and_then(|index| MONTHS.get(index)).copied().unwrap_or(MONTHS[0])
    }
}

/// The last `N` decimal digits of `value`.
pub(super) fn digits<const N: usize>(mut value: u64) -> [u8; N] {
    let mut out = [b'0'; N];
    for digit in out.iter_mut().rev() {
        *digit = b'0' + u8::try_from(value % 10).unwrap_or(0);
        value /= 10;
    }
    out
}

/// Appends RFC 3339 in UTC with milliseconds: `2026-11-25T19:20:31.042Z`.
pub fn push_rfc3339(now_ms: u64, out: &mut Vec<u8>) {
    push_seconds(now_ms / 1000, out);
    out.push(b'.');
    out.extend_from_slice(&digits::<3>(now_ms % 1000));
    out.push(b'Z');
}

fn push_seconds(seconds: u64, out: &mut Vec<u8>) {
    let civil = Civil::from_seconds(seconds);
    let parts =
        [(b'-', civil.month), (b'-', civil.day), (b'T', civil.hour), (b':', civil.minute), (b':', civil.second)];
    out.extend_from_slice(&digits::<4>(civil.year));
    for (separator, value) in parts {
        out.push(separator);
        out.extend_from_slice(&digits::<2>(value));
    }
}

/// Appends the time as Apache's logs have it: `25/Nov/2026:19:20:31 +0000`.
pub fn push_combined(now_ms: u64, out: &mut Vec<u8>) {
    let civil = Civil::from_seconds(now_ms / 1000);
    out.extend_from_slice(&digits::<2>(civil.day));
    out.push(b'/');
    out.extend_from_slice(civil.month_name());
    out.push(b'/');
    out.extend_from_slice(&digits::<4>(civil.year));
    for value in [civil.hour, civil.minute, civil.second] {
        out.push(b':');
        out.extend_from_slice(&digits::<2>(value));
    }
    out.extend_from_slice(b" +0000");
}

/// RFC 3339 as a string, for what is not hot.
#[must_use]
pub fn rfc3339(now_ms: u64) -> String {
    let mut out = Vec::with_capacity(24);
    push_rfc3339(now_ms, &mut out);
    String::from_utf8_lossy(&out).into_owned()
}

/// A time's text up to the second, printed again only when the second is another one.
#[derive(Debug)]
pub(super) struct CachedSecond {
    second: u64,
    text: [u8; 19],
}

impl Default for CachedSecond {
    fn default() -> Self {
        Self { second: 0, text: *b"1970-01-01T00:00:00" }
    }
}

impl CachedSecond {
    /// [`push_rfc3339`] without what is less than a second.
    #[inline(always)]
    pub(super) fn rfc3339(&mut self, second: u64) -> &[u8; 19] {
        if self.second != second {
            self.print(second);
        }
        &self.text
    }

    #[cold]
    fn print(&mut self, second: u64) {
        let mut text = Vec::with_capacity(self.text.len());
        push_seconds(second, &mut text);
        if let Ok(text) = text.try_into() {
            *self = Self { second, text };
        }
    }
}

const DATE_LINE: usize = b"Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n".len();

/// The `Date` line of answers (RFC 9110 §6.6.1), printed once a second.
#[derive(Debug)]
pub struct DateLine {
    second: Option<u64>,
    line: [u8; DATE_LINE],
}

impl Default for DateLine {
    fn default() -> Self {
        Self { second: None, line: *b"Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n" }
    }
}

impl DateLine {
    /// `Date: Wed, 25 Nov 2026 19:20:31 GMT\r\n`.
    pub fn line(&mut self, now_ms: u64) -> &[u8] {
        let second = now_ms / 1000;
        if self.second != Some(second) {
            self.second = Some(second);
            let civil = Civil::from_seconds(second);
            let mut put = |at: usize, text: &[u8]| self.line[at..at + text.len()].copy_from_slice(text);
            put(6, DAYS[civil.weekday]);
            put(11, &digits::<2>(civil.day));
            put(14, civil.month_name());
            put(18, &digits::<4>(civil.year));
            put(23, &digits::<2>(civil.hour));
            put(26, &digits::<2>(civil.minute));
            put(29, &digits::<2>(civil.second));
        }
        &self.line
    }

    /// The value alone, as HTTP/2 has it.
    pub fn value(&mut self, now_ms: u64) -> &[u8] {
        &self.line(now_ms)[6..DATE_LINE - 2]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn spans_are_true_to_the_monotonic_clock_whatever_the_wall_clock_says() {
        let (steady, wall) = (steady_ms(), now_ms());
        tokio::time::advance(Duration::from_secs(3600)).await;
        // Here it is the wall clock that has been set back, by an hour.
        assert!(now_ms() - wall < 3_600_000);
        assert_eq!(steady_ms() - steady, 3_600_000);
    }

    #[test]
    fn times_print_in_every_format() {
        let check = |now_ms: u64, log: &str, combined: &str, date: &str| {
            let mut b = Vec::new();
            push_combined(now_ms, &mut b);
            assert_eq!(CachedSecond::default().rfc3339(now_ms / 1000), &log.as_bytes()[..19]);
            assert_eq!(rfc3339(now_ms), log);
            assert_eq!(String::from_utf8(b).unwrap(), combined);
            let mut line = DateLine::default();
            assert_eq!(line.line(now_ms), format!("Date: {date}\r\n").as_bytes());
            assert_eq!(line.value(now_ms), date.as_bytes());
        };
        check(0, "1970-01-01T00:00:00.000Z", "01/Jan/1970:00:00:00 +0000", "Thu, 01 Jan 1970 00:00:00 GMT");
        check(
            951_827_696_789,
            "2000-02-29T12:34:56.789Z",
            "29/Feb/2000:12:34:56 +0000",
            "Tue, 29 Feb 2000 12:34:56 GMT",
        );
        check(
            1_795_634_431_042,
            "2026-11-25T19:20:31.042Z",
            "25/Nov/2026:19:20:31 +0000",
            "Wed, 25 Nov 2026 19:20:31 GMT",
        );
    }

    #[test]
    fn civil_times_agree_with_jiff() {
        for step in 0..4000_u64 {
            let seconds = step * 1_234_567;
            let expected = jiff::Timestamp::from_second(i64::try_from(seconds).unwrap()).unwrap().to_string();
            let mut own = Vec::new();
            push_seconds(seconds, &mut own);
            assert_eq!(format!("{}Z", String::from_utf8(own).unwrap()), expected);
        }
    }
}
