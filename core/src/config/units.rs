//! Durations and sizes as new fields write them: `500ms`, `10s`, `2h`, `64KiB`, `10MiB`. Kong's own fields keep Kong's units.

use std::time::Duration;

const DURATIONS: [(&str, u64); 5] = [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];
const SIZES: [(&str, u64); 4] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

/// What a duration looks like, for messages.
pub(super) const DURATION: &str = "expected a duration such as 500ms, 10s, 5m or 2h";
/// What a size looks like, for messages.
pub(super) const SIZE: &str = "expected a size such as 512B, 64KiB, 10MiB or 1GiB";

/// A duration for the JSON schema.
pub(super) const DURATION_PATTERN: &str = "^([0-9]+(ms|s|m|h|d))+$";
/// A size for the JSON schema.
pub(super) const SIZE_PATTERN: &str = "^[0-9]+(B|KiB|MiB|GiB)$";

/// Reads `10s`; parts may follow each other: `1h30m`.
pub(super) fn parse_duration(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, tail) = rest.split_at_checked(digits)?;
        let letters = tail.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (unit, tail) = tail.split_at_checked(letters)?;
        let (_, ms) = DURATIONS.iter().find(|(name, _)| *name == unit)?;
        total = total.checked_add(number.parse::<u64>().ok()?.checked_mul(*ms)?)?;
        rest = tail;
    }
    (!text.is_empty()).then(|| Duration::from_millis(total))
}

/// Reads `64KiB`.
pub(super) fn parse_size(text: &str) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits)?;
    let (_, bytes) = SIZES.iter().find(|(name, _)| *name == unit)?;
    number.parse::<u64>().ok()?.checked_mul(*bytes)
}

/// Prints the duration in hours, seconds or milliseconds, whichever is the largest that divides it.
pub(super) fn print_duration(duration: Duration) -> String {
    match u64::try_from(duration.as_millis()).unwrap_or(u64::MAX) {
        ms if ms != 0 && ms.is_multiple_of(3_600_000) => format!("{}h", ms / 3_600_000),
        ms if ms.is_multiple_of(1000) => format!("{}s", ms / 1000),
        ms => format!("{ms}ms"),
    }
}

/// A number without a fraction as an integer.
#[expect(clippy::cast_possible_truncation, reason = "a table's bound or default")]
pub(super) const fn whole(value: f64) -> i64 {
    value as i64
}

/// Prints the size in the largest unit that divides it.
pub(super) fn print_size(bytes: u64) -> String {
    let unit = SIZES.iter().find(|(_, size)| bytes != 0 && bytes.is_multiple_of(*size));
    unit.map_or_else(|| "0B".to_owned(), |(name, size)| format!("{}{name}", bytes / size))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_numbers_with_units() {
        let check = |text: &str, expected: Option<u64>| {
            assert_eq!(parse_duration(text), expected.map(Duration::from_millis), "{text}");
        };
        check("500ms", Some(500));
        check("10s", Some(10_000));
        check("1h30m", Some(5_400_000));
        check("2d", Some(172_800_000));
        check("0s", Some(0));
        check("", None);
        check("10", None);
        check("s", None);
        check("10 s", None);
        check("10sec", None);
        check("99999999999999999999s", None);
        check("18446744073709551615h", None);
        check("é", None);
    }

    #[test]
    fn sizes_are_numbers_with_binary_units() {
        let check = |text: &str, expected: Option<u64>| assert_eq!(parse_size(text), expected, "{text}");
        check("64KiB", Some(65_536));
        check("10MiB", Some(10_485_760));
        check("1GiB", Some(1 << 30));
        check("0B", Some(0));
        check("64K", None);
        check("64", None);
        check("KiB", None);
        check("99999999999GiB", None);
    }

    #[test]
    fn what_is_printed_reads_back() {
        for ms in [0, 1, 500, 1000, 1500, 60_000, 90_000, 3_600_000, 86_400_000] {
            let duration = Duration::from_millis(ms);
            assert_eq!(parse_duration(&print_duration(duration)), Some(duration));
        }
        assert_eq!(print_duration(Duration::from_secs(60)), "60s");
        for bytes in [0, 1, 1023, 1024, 65_536, 268_435_456, 1 << 40] {
            assert_eq!(parse_size(&print_size(bytes)), Some(bytes));
        }
        assert_eq!(print_size(256 << 20), "256MiB");
    }
}
