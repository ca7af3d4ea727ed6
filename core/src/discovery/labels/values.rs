//! Values of labels, read strictly: what is not exactly right is refused, with what would be.

use crate::config::Protocol;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

pub(super) fn boolean(value: &str) -> Result<bool, String> {
    match value {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(format!("wants true or false, not {}", shown(value))),
    }
}

pub(super) fn integer(value: &str, range: RangeInclusive<i64>) -> Result<i64, String> {
    let digits = value.strip_prefix('-').unwrap_or(value);
    let number = if digits.bytes().all(|byte| byte.is_ascii_digit()) { value.parse().ok() } else { None };
    number
        .filter(|number| range.contains(number))
        .ok_or_else(|| format!("wants a whole number from {} to {}, not {}", range.start(), range.end(), shown(value)))
}

pub(super) fn small(value: &str, range: RangeInclusive<u16>) -> Result<u16, String> {
    let number = integer(value, i64::from(*range.start())..=i64::from(*range.end()))?;
    u16::try_from(number).map_err(|error| error.to_string())
}

/// Kong's timeouts of services.
pub(super) fn milliseconds(value: &str) -> Result<Duration, String> {
    let number = integer(value, 1..=MILLISECONDS_MAX).map_err(|error| format!("{error} (milliseconds)"))?;
    Ok(Duration::from_millis(number.unsigned_abs()))
}

/// Kong's intervals and timeouts of health checks: seconds, with a fraction.
pub(super) fn seconds(value: &str) -> Result<Duration, String> {
    number(value)
        .filter(|number| (0.0..=65535.0).contains(number))
        .map(Duration::from_secs_f64)
        .ok_or_else(|| format!("wants seconds from 0 to 65535, not {}", shown(value)))
}

pub(super) fn percent(value: &str) -> Result<f64, String> {
    number(value)
        .filter(|number| (0.0..=100.0).contains(number))
        .ok_or_else(|| format!("wants a number from 0 to 100, not {}", shown(value)))
}

pub(super) fn ratio(value: &str) -> Result<f64, String> {
    number(value)
        .filter(|number| (0.0..=1.0).contains(number))
        .ok_or_else(|| format!("wants a number from 0 to 1, not {}", shown(value)))
}

fn number(value: &str) -> Option<f64> {
    let plain = value.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') && value.len() <= 20;
    if plain { value.parse().ok() } else { None }
}

/// `500ms`, `10s`, `5m`, `2h`.
pub(super) fn duration(value: &str) -> Result<Duration, String> {
    let units = [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000)];
    scaled(value, &units)
        .map(Duration::from_millis)
        .ok_or_else(|| format!("wants a time like 500ms, 10s or 2h, not {}", shown(value)))
}

/// `512`, `64KiB`, `10MiB`, `1GiB`.
pub(super) fn size(value: &str) -> Result<u64, String> {
    let units = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("", 1)];
    scaled(value, &units).ok_or_else(|| format!("wants a size like 64KiB or 10MiB, not {}", shown(value)))
}

fn scaled(value: &str, units: &[(&str, u64)]) -> Option<u64> {
    units.iter().find_map(|(unit, factor)| {
        let digits = value.strip_suffix(unit)?;
        let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        if plain { digits.parse::<u64>().ok()?.checked_mul(*factor) } else { None }
    })
}

/// Items between commas, or a JSON list where the value begins with `[`. At least one, without repetition.
pub(super) fn list(value: &str) -> Result<Vec<Arc<str>>, String> {
    let mut items: Vec<Arc<str>> = Vec::new();
    for item in raw_items(value)? {
        if item.is_empty() {
            return Err("has an empty item in its list".to_owned());
        }
        let item = text(&item)?;
        if !items.contains(&item) {
            items.push(item);
        }
    }
    if items.is_empty() { Err("wants at least one item".to_owned()) } else { Ok(items) }
}

fn raw_items(value: &str) -> Result<Vec<String>, String> {
    if !value.trim_start().starts_with('[') {
        return Ok(value.split(',').map(|item| item.trim().to_owned()).collect());
    }
    let items: Vec<serde_json::Value> =
        serde_json::from_str(value).map_err(|error| format!("begins as a JSON list, but is none: {error}"))?;
    let text_of = |item: serde_json::Value| match item {
        serde_json::Value::String(text) => Ok(text),
        serde_json::Value::Number(number) => Ok(number.to_string()),
        _ => Err("wants a JSON list of texts".to_owned()),
    };
    items.into_iter().map(text_of).collect()
}

pub(super) fn statuses(value: &str) -> Result<Vec<u16>, String> {
    list(value)?.iter().map(|item| small(item, 100..=999)).collect()
}

/// Not empty, and nothing that could break a line of a log or of a head.
pub(super) fn text(value: &str) -> Result<Arc<str>, String> {
    if value.is_empty() {
        Err("must not be empty".to_owned())
    } else if value.chars().any(char::is_control) {
        Err(format!("has a control character: {}", shown(value)))
    } else {
        Ok(value.into())
    }
}

pub(super) fn protocol(value: &str) -> Result<Protocol, String> {
    [Protocol::Http, Protocol::Https, Protocol::Grpc, Protocol::Grpcs]
        .into_iter()
        .find(|protocol| protocol.name() == value)
        .ok_or_else(|| format!("wants http, https, grpc or grpcs, not {}", shown(value)))
}

/// A path that the gateway itself puts in front of requests, or asks for.
pub(super) fn plain_path(value: &str) -> Result<Arc<str>, String> {
    let visible = value.bytes().all(|byte| byte.is_ascii_graphic());
    if value.starts_with('/') && visible {
        Ok(value.into())
    } else {
        Err(format!("wants a path that begins with / and has no blanks, not {}", shown(value)))
    }
}

/// Letters, digits and the few marks of a field name, RFC 9110 §5.6.2.
pub(super) fn is_token(text: &str) -> bool {
    let mark = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(mark)
}

/// The value for a message: escaped, and cut, since it may be anything.
pub(super) fn shown(value: &str) -> String {
    let mut short: String = value.chars().take(SHOWN_CHARACTERS).collect();
    if short.len() < value.len() {
        short.push('…');
    }
    format!("{short:?}")
}

/// Characters of a value that a message shows.
const SHOWN_CHARACTERS: usize = 100;
/// Kong's bound of timeouts, 2³¹ − 2.
const MILLISECONDS_MAX: i64 = 2_147_483_646;
