//! Numbers of signals, as events and a container's `StopSignal` write them.

/// The number of `15`, `TERM` or `SIGTERM`, of `SIGRTMIN+3` or `RTMAX-1`. Linux's numbers, whatever runs here: they are
/// the engine's.
#[must_use]
pub(super) fn number(text: &str) -> Option<u8> {
    if let Ok(number) = text.parse() {
        return (1..=64).contains(&number).then_some(number);
    }
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    if let Some((_, number)) = NAMES.iter().find(|(known, _)| *known == name) {
        return Some(*number);
    }
    let offset = |digits: &str| digits.parse::<u8>().ok().filter(|offset| *offset <= 30);
    let realtime = match name.strip_prefix("RTMIN") {
        Some("") => Some(RTMIN),
        Some(rest) => rest.strip_prefix('+').and_then(offset).map(|offset| RTMIN + offset),
        None => None,
    };
    realtime.or_else(|| match name.strip_prefix("RTMAX") {
        Some("") => Some(RTMAX),
        Some(rest) => rest.strip_prefix('-').and_then(offset).map(|offset| RTMAX - offset),
        None => None,
    })
}

/// Asks to end, unless the container names another.
pub(super) const TERM: u8 = 15;
/// Ends, whatever the container wants.
pub(super) const KILL: u8 = 9;
const RTMIN: u8 = 34;
const RTMAX: u8 = 64;

const NAMES: &[(&str, u8)] = &[
    ("HUP", 1),
    ("INT", 2),
    ("QUIT", 3),
    ("ILL", 4),
    ("TRAP", 5),
    ("ABRT", 6),
    ("IOT", 6),
    ("BUS", 7),
    ("FPE", 8),
    ("KILL", 9),
    ("USR1", 10),
    ("SEGV", 11),
    ("USR2", 12),
    ("PIPE", 13),
    ("ALRM", 14),
    ("TERM", 15),
    ("STKFLT", 16),
    ("CHLD", 17),
    ("CONT", 18),
    ("STOP", 19),
    ("TSTP", 20),
    ("TTIN", 21),
    ("TTOU", 22),
    ("URG", 23),
    ("XCPU", 24),
    ("XFSZ", 25),
    ("VTALRM", 26),
    ("PROF", 27),
    ("WINCH", 28),
    ("IO", 29),
    ("PWR", 30),
    ("SYS", 31),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_are_known_by_name_and_by_number() {
        let check = |text: &str, expected: Option<u8>| assert_eq!(number(text), expected, "{text:?}");
        check("15", Some(15));
        check("SIGTERM", Some(TERM));
        check("sigquit", Some(3));
        check("WINCH", Some(28));
        check("RTMIN", Some(34));
        check("SIGRTMIN+3", Some(37));
        check("SIGRTMAX-1", Some(63));
        check("RTMAX-200", None);
        check("RTMIN3", None);
        check("0", None);
        check("65", None);
        check("-9", None);
        check("", None);
        check("SIG", None);
    }
}
