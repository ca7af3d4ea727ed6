//! `did you mean …?`

/// The known word that `word` was probably meant to be: one that differs by case, by `-` for `_`, or by few letters.
pub(super) fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    // A third of the letters, two at the least: `hots` → `hosts`, `upstream_idle` ↛ `upstreams`.
    let allowed = (word.chars().count() / 3).clamp(1, 3);
    let plain = |text: &str| text.to_ascii_lowercase().replace('-', "_");
    let word = plain(word);
    if word.chars().filter(|c| c.is_alphabetic()).count() < 3 {
        return None;
    }
    known
        .map(|candidate| (strsim::damerau_levenshtein(&word, &plain(candidate)), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_misses_find_what_was_meant() {
        let known = ["hosts", "paths", "strip_path", "regex_priority", "id", "tags"];
        let check =
            |word: &str, expected: Option<&str>| assert_eq!(nearest(word, known.into_iter()), expected, "{word}");
        check("hots", Some("hosts"));
        check("host", Some("hosts"));
        check("Paths", Some("paths"));
        check("strip-path", Some("strip_path"));
        check("strippath", Some("strip_path"));
        check("regexpriority", Some("regex_priority"));
        check("colour", None);
        check("", None);
        check("xyz", None);
        check("4.0", None);
        check("ix", None);
    }
}
