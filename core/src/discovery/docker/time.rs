//! Times as engines write them.

/// Nanoseconds since the Unix epoch of RFC 3339's `2026-11-25T19:29:18.152966126Z`, also with an offset of hours and
/// minutes. `None` before 1970 (the engine's zero is in the year 1), after 2262, and for anything else.
#[must_use]
pub(super) fn rfc3339_ns(text: &str) -> Option<u64> {
    let (date, rest) = text.split_once(['T', 't'])?;
    let (clock, offset_s) = split_offset(rest)?;
    let mut date = date.splitn(3, '-').map(digits);
    let (year, month, day) = (date.next()??, date.next()??, date.next()??);
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, ""));
    let mut clock = clock.splitn(3, ':').map(digits);
    let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next()??);
    let valid = (1970..=2262).contains(&year)
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && hour < 24
        && minute < 60
        && second <= 60;
    if !valid {
        return None;
    }
    let seconds = days_from_civil(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second - offset_s;
    u64::try_from(seconds).ok()?.checked_mul(1_000_000_000)?.checked_add(fraction_ns(fraction)?)
}

/// The clock without its zone, and the zone's seconds east of Greenwich.
fn split_offset(text: &str) -> Option<(&str, i64)> {
    if let Some(clock) = text.strip_suffix(['Z', 'z']) {
        return Some((clock, 0));
    }
    let at = text.rfind(['+', '-'])?;
    let (clock, offset) = text.split_at_checked(at)?;
    let sign = if offset.starts_with('-') { -1 } else { 1 };
    let (hours, minutes) = offset.get(1..)?.split_once(':')?;
    Some((clock, sign * (digits(hours)? * 3600 + digits(minutes)? * 60)))
}

fn digits(text: &str) -> Option<i64> {
    let plain = (1..=4).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    if plain { text.parse().ok() } else { None }
}

fn fraction_ns(digits: &str) -> Option<u64> {
    if digits.len() > 9 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    format!("{digits:0<9}").parse().ok()
}

/// Days since the Unix epoch in the Gregorian calendar (Hinnant, "chrono-Compatible Low-Level Date Algorithms").
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year / 400;
    let year_of_era = year - era * 400;
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// Seconds that a container is up at the most, by a list's `Up 4 seconds (healthy)`: the only trace of a restart that a
/// list shows. moby's units/duration.go rounds down up to hours, and to the nearest above.
#[must_use]
pub(super) fn uptime_at_most_s(status: &str) -> Option<u64> {
    let text = status.strip_prefix("Up ")?;
    let text = text.split(" (").next()?.trim();
    match text {
        "Less than a second" => return Some(1),
        "About a minute" => return Some(120),
        "About an hour" => return Some(5400),
        _ => {}
    }
    let (count, unit) = text.split_once(' ')?;
    let unit_s = match unit {
        "second" | "seconds" => 1,
        "minute" | "minutes" => 60,
        "hour" | "hours" => 3600,
        "day" | "days" => 86_400,
        "week" | "weeks" => 604_800,
        _ => return None,
    };
    let count: u64 = count.parse().ok()?;
    count.checked_add(1)?.checked_mul(unit_s)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_nanoseconds_since_the_epoch() {
        let check = |text: &str, expected: Option<u64>| assert_eq!(rfc3339_ns(text), expected, "{text:?}");
        check("1970-01-01T00:00:00Z", Some(0));
        check("2026-11-25T19:29:18.152966126Z", Some(1_795_634_958_152_966_126));
        check("2026-11-25T20:29:18.5+01:00", Some(1_795_634_958_500_000_000));
        check("2026-11-25T15:59:18-03:30", Some(1_795_634_958_000_000_000));
        check("2024-02-29T00:00:00Z", Some(1_709_164_800_000_000_000));
        check("0001-01-01T00:00:00Z", None);
        check("2026-13-01T00:00:00Z", None);
        check("2026-11-25", None);
        check("2026-11-25T19:29:18", None);
        check("2026-11-25T19:29:18.1234567890Z", None);
        check("9999-11-25T19:29:18Z", None);
        check("ä-ö-üTé:ß:ñZ", None);
        check("", None);
    }

    #[test]
    fn a_status_bounds_how_long_a_container_is_up() {
        let check = |text: &str, expected: Option<u64>| assert_eq!(uptime_at_most_s(text), expected, "{text:?}");
        check("Up Less than a second", Some(1));
        check("Up 1 second", Some(2));
        check("Up 4 seconds (healthy)", Some(5));
        check("Up About a minute (Paused)", Some(120));
        check("Up 2 hours", Some(10_800));
        check("Up 18446744073709551615 hours", None);
        check("Exited (0) 2 seconds ago", None);
        check("", None);
    }
}
