//! What to start and what to stop, so that the copies that run become the copies that are wanted. Pure.

/// One copy, as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Copy {
    /// Its number, from 1, unique within the upstream.
    pub(super) number: u32,
    /// Whether it runs the command that is wanted now (environment and folder included).
    pub(super) current: bool,
    /// Whether its port accepts.
    pub(super) ready: bool,
    /// Whether it was told to stop.
    pub(super) stopping: bool,
}

/// What to do, by number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Actions {
    pub(super) start: Vec<u32>,
    pub(super) stop: Vec<u32>,
}

/// The next step towards `wanted` copies of the current command.
///
/// Another number of copies starts or stops the highest ones and leaves the others alone. Another command rolls: one copy
/// more than wanted at the most, and an old one is stopped only for a new one that is ready, so that a command that
/// cannot start changes nothing. Old copies that are not ready go first.
pub(super) fn reconcile(copies: &[Copy], wanted: usize) -> Actions {
    let alive = || copies.iter().filter(|copy| !copy.stopping);
    let mut actions = Actions::default();
    let numbers = |of: &dyn Fn(&Copy) -> bool| {
        let mut numbers: Vec<u32> = alive().filter(|copy| of(copy)).map(|copy| copy.number).collect();
        numbers.sort_unstable();
        numbers
    };
    let mut current = numbers(&|copy| copy.current);
    let mut old = numbers(&|copy| !copy.current && copy.ready);
    old.extend(numbers(&|copy| !copy.current && !copy.ready));

    if current.len() > wanted {
        actions.stop.extend(current.drain(wanted..));
    }
    let ready = alive().filter(|copy| copy.current && copy.ready && current.contains(&copy.number)).count();
    let surplus = (ready + old.len()).saturating_sub(wanted).min(old.len());
    actions.stop.extend(old.drain(old.len() - surplus..));

    let missing = wanted.saturating_sub(current.len());
    let room = if old.is_empty() { missing } else { (wanted + 1).saturating_sub(current.len() + old.len()) };
    let mut used: Vec<u32> = copies.iter().map(|copy| copy.number).collect();
    for _ in 0..missing.min(room) {
        let free = (1..).find(|number| !used.contains(number)).unwrap_or(u32::MAX);
        used.push(free);
        actions.start.push(free);
    }
    actions.stop.sort_unstable();
    actions
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Copies as words: number, then `c`urrent or `o`ld, then `r`eady, `n`ot ready or `s`topping.
    fn copies(text: &str) -> Vec<Copy> {
        let copy = |word: &str| {
            let [number, command, state] = word.as_bytes() else { panic!("{word}") };
            let number = u32::from(number - b'0');
            Copy { number, current: *command == b'c', ready: *state == b'r', stopping: *state == b's' }
        };
        text.split_whitespace().map(copy).collect()
    }

    #[test]
    fn copies_become_what_is_wanted_step_by_step() {
        let cases: &[(&str, usize, &[u32], &[u32])] = &[
            ("", 3, &[1, 2, 3], &[]),
            ("1cr 2cn 3cr", 3, &[], &[]),
            ("1cr 2cr 3cr", 5, &[4, 5], &[]),
            ("1cr 2cr 3cr", 1, &[], &[2, 3]),
            ("1cr 2cr 3cr", 0, &[], &[1, 2, 3]),
            ("1cr 2cs 3cr", 3, &[4], &[]),
            // Another command: one more than wanted, then one old for each new that is ready.
            ("1or 2or 3or", 3, &[4], &[]),
            ("1or 2or 3or 4cn", 3, &[], &[]),
            ("1or 2or 3or 4cr", 3, &[5], &[3]),
            ("1or 2or 3os 4cr", 3, &[5], &[]),
            ("1or 2or 4cr", 3, &[3], &[]),
            ("1os 2cr 3cr 4cr", 3, &[], &[]),
            // An old one that never came up makes way first.
            ("1on 2or", 2, &[3], &[]),
            ("1on 2or 3cr", 2, &[4], &[1]),
            ("1or", 0, &[], &[1]),
            // Fewer copies of another command.
            ("1or 2or 3or", 2, &[4], &[3]),
        ];
        for (text, wanted, start, stop) in cases {
            let expected = Actions { start: start.to_vec(), stop: stop.to_vec() };
            assert_eq!(reconcile(&copies(text), *wanted), expected, "{text} → {wanted}");
        }
    }
}
