//! Keeps the house tidy: the room table of ARCHITECTURE.md against what the code uses, and bounds on files.

#![expect(clippy::expect_used, clippy::panic, reason = "a test may stop")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Lines of a file before its tests.
const FILE_LINES_MAX: usize = 600;

/// A file of a crate's `src` folder, without its tests.
struct Source {
    path: PathBuf,
    /// `None`: `lib.rs` and `main.rs`, which put rooms together.
    room: Option<String>,
    /// How deep its module lies: 1 for a room's `mod.rs`.
    depth: usize,
    code: String,
}

#[test]
fn rooms_use_only_what_the_table_allows() {
    let table = table();
    let mut faults = Vec::new();
    for (crate_name, sources) in crates() {
        for source in &sources {
            let Some(room) = &source.room else { continue };
            let Some(allowed) = table.get(&(crate_name.to_owned(), room.clone())) else { continue };
            for used in uses(source) {
                if used != *room && !allowed.contains(&used) {
                    faults.push(format!("{}: {room} may not use {used}", source.path.display()));
                }
            }
        }
    }
    assert!(faults.is_empty(), "ARCHITECTURE.md's table does not allow:\n{}", faults.join("\n"));
}

#[test]
fn every_room_has_a_row_and_every_row_a_room() {
    let table: BTreeSet<_> = table().into_keys().collect();
    let mut rooms = BTreeSet::new();
    for (crate_name, sources) in crates() {
        rooms.extend(sources.into_iter().filter_map(|source| Some((crate_name.to_owned(), source.room?))));
    }
    assert_eq!(rooms, table, "left: the rooms that there are, right: the rows of ARCHITECTURE.md");
}

#[test]
fn no_room_reaches_itself() {
    let table = table();
    for (crate_name, room) in table.keys() {
        let mut seen = BTreeSet::new();
        let mut next = vec![room.clone()];
        while let Some(at) = next.pop() {
            for used in table.get(&(crate_name.clone(), at.clone())).into_iter().flatten() {
                assert!(used != room, "{crate_name}: {room} reaches itself by way of {at}");
                if seen.insert(used.clone()) {
                    next.push(used.clone());
                }
            }
        }
    }
}

#[test]
fn files_stay_short() {
    let exceptions = section("Long files");
    let mut long = Vec::new();
    for source in crates().into_values().flatten() {
        let lines = source.code.lines().count();
        let path = source.path.display().to_string();
        if lines > FILE_LINES_MAX && !exceptions.contains(&format!("`{path}`")) {
            long.push(format!("{path}: {lines} lines before its tests"));
        }
    }
    assert!(
        long.is_empty(),
        "cut these, or give a reason under ARCHITECTURE.md's \"Long files\":\n{}",
        long.join("\n")
    );
}

#[test]
fn nothing_is_left_undone() {
    // Put together here, so that this file does not find itself.
    let words =
        [["TO", "DO"], ["FIX", "ME"], ["to", "do!("], ["unimple", "mented!("], ["#[ig", "nore"], ["#[al", "low("]];
    let mut found = Vec::new();
    for folder in ["src", "core", "tests", "benches", "fuzz"] {
        for path in files(Path::new(folder), "rs") {
            let text = fs::read_to_string(&path).expect("a text file");
            for (number, line) in text.lines().enumerate() {
                if words.iter().any(|word| line.contains(&word.concat())) {
                    found.push(format!("{}:{}: {}", path.display(), number + 1, line.trim()));
                }
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// (crate, room) → the rooms of that crate that it may use.
fn table() -> BTreeMap<(String, String), BTreeSet<String>> {
    let mut table = BTreeMap::new();
    for line in section("Rooms").lines().filter(|line| line.starts_with('|')).skip(2) {
        let mut cells = line.trim_matches('|').split('|').map(str::trim);
        let (Some(crate_name), Some(room), Some(may_use)) = (cells.next(), cells.next(), cells.next()) else {
            panic!("a row without three cells: {line}");
        };
        let names = may_use.split(',').map(|name| name.trim().trim_matches('`').to_owned());
        let allowed = names.filter(|name| name != "–").collect();
        let fresh = table.insert((crate_name.to_owned(), room.trim_matches('`').to_owned()), allowed).is_none();
        assert!(fresh, "two rows for {room}");
    }
    assert!(!table.is_empty(), "ARCHITECTURE.md has no table under \"Rooms\"");
    table
}

/// The text of ARCHITECTURE.md under a heading of the second level.
fn section(heading: &str) -> String {
    let text = fs::read_to_string("ARCHITECTURE.md").expect("ARCHITECTURE.md");
    let start = format!("\n## {heading}\n");
    let (_, after) = text.split_once(&start).unwrap_or_else(|| panic!("ARCHITECTURE.md has no heading \"{heading}\""));
    after.split("\n## ").next().unwrap_or_default().to_owned()
}

fn crates() -> BTreeMap<&'static str, Vec<Source>> {
    BTreeMap::from([("core", sources(Path::new("core/src"))), ("plimsoll", sources(Path::new("src")))])
}

fn sources(root: &Path) -> Vec<Source> {
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).expect("a text file");
        let inside = path.strip_prefix(root).expect("inside").with_extension("");
        let mut parts: Vec<_> = inside.iter().map(|part| part.to_string_lossy().into_owned()).collect();
        if parts.last().is_some_and(|last| last == "mod") {
            parts.pop();
        }
        let is_root = parts.len() == 1 && matches!(parts[0].as_str(), "lib" | "main");
        let is_test = parts.iter().any(|part| part == "tests");
        let code = text.split("#[cfg(test)]").next().unwrap_or_default().to_owned();
        (!is_test).then(|| Source { path, room: (!is_root).then(|| parts[0].clone()), depth: parts.len(), code })
    };
    files(root, "rs").into_iter().filter_map(read).collect()
}

fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.expect("an entry").path();
        if path.is_dir() && !path.ends_with("target") {
            found.extend(files(&path, extension));
        } else if path.extension().is_some_and(|have| have == extension) {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// The rooms of its own crate that a file names, by `crate::` or by as many `super::` as lead there.
fn uses(source: &Source) -> BTreeSet<String> {
    let mut used = BTreeSet::new();
    let up = "super::".repeat(source.depth);
    for line in without_comments(&source.code) {
        for prefix in ["crate::", &up] {
            for (at, _) in line.match_indices(prefix) {
                let (before, from) = line.split_at(at);
                let inside = before.chars().next_back().is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':');
                if !inside {
                    used.extend(first_names(from.trim_start_matches(prefix)));
                }
            }
        }
    }
    used
}

/// The code as one text a statement, so that a grouped `use` over several lines is seen whole.
fn without_comments(code: &str) -> Vec<String> {
    let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
    let joined = lines.collect::<Vec<_>>().join(" ");
    joined.split(';').map(str::to_owned).collect()
}

/// `a::b` → a; `{a::b, c::{d, e}}` → a, c.
fn first_names(path: &str) -> Vec<String> {
    let name = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let Some(group) = path.strip_prefix('{') else { return vec![name(path)] };
    let (mut names, mut depth, mut fresh) = (Vec::new(), 0, true);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => fresh = true,
            c if fresh && !c.is_whitespace() => {
                names.push(name(group.split_at(at).1));
                fresh = false;
            }
            _ => {}
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

#[test]
fn names_are_read_out_of_paths_and_groups() {
    let check = |path: &str, expected: &[&str]| assert_eq!(first_names(path), expected, "{path}");
    check("model::TargetId", &["model"]);
    check("{model::{Cause, Causes}, config}", &["model", "config"]);
    check("{   router::Ask,    plan, }", &["router", "plan"]);
}

#[test]
fn a_way_out_of_the_room_is_seen_however_it_is_written() {
    let check = |depth, code: &str, expected: &[&str]| {
        let source = Source { path: PathBuf::new(), room: None, depth, code: code.to_owned() };
        assert_eq!(uses(&source).into_iter().collect::<Vec<_>>(), expected, "{code}");
    };
    check(2, "use crate::model::TargetId;\nuse super::pool;", &["model"]);
    check(2, "fn f() -> super::super::config::Document {}", &["config"]);
    check(1, "use super::plan;", &["plan"]);
    check(2, "// crate::admin is not used here\nuse plimsoll_core::router;", &[]);
    check(1, "use crate::{\n    model,\n    router::Ask,\n};", &["model", "router"]);
}
