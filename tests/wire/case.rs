//! Files of cases. A case is a paragraph of `key: value` lines; a key without a value is followed by lines that are
//! indented by two spaces, which are put together without their line ends. Bytes that matter are written as `\r`, `\n`,
//! `\t`, `\\`, `\xHH`; `\(x*100)` is a hundred times `x`. `each:` has a line for each variant of the case, which takes the
//! place of `\(each)`.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// What becomes of the client's connection after the answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Then {
    /// It carries another request, and gets the right answer.
    Open,
    /// It is closed, with nothing more on it.
    Closed,
    /// It ends in the middle of the last answer, so that the client can tell; where the gateway saw that coming, that
    /// answer is a 502.
    Cut,
}

/// What the target gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reached {
    /// So many whole requests, and nothing else.
    Whole(usize),
    /// At most a request that is begun and given up: how far it gets is a matter of time.
    Cut,
}

/// One case.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    /// Where it stands and what it is called.
    pub(crate) name: String,
    /// The client's bytes, or the target's in the themes of answers.
    pub(crate) send: Vec<u8>,
    /// The request, in the themes of answers.
    pub(crate) request: Option<Vec<u8>>,
    /// The sender ends its side after its bytes.
    pub(crate) finish: bool,
    /// Sent at once only: bytes that come late cannot be told from the next answer.
    pub(crate) at_once: bool,
    /// The final answers that the client gets; true: to a HEAD.
    pub(crate) answers: Vec<(u16, bool)>,
    pub(crate) then: Then,
    pub(crate) reached: Reached,
    /// Lines that the receiver's last head has, to the letter.
    pub(crate) has: Vec<Vec<u8>>,
    /// What no line of the receiver's heads begins with, whatever its case.
    pub(crate) lacks: Vec<Vec<u8>>,
    /// What the bytes that the target gets end with.
    pub(crate) ends: Option<Vec<u8>>,
    /// The last body as its receiver has it.
    pub(crate) body: Option<Vec<u8>>,
}

/// The folder of a kind of themes.
fn folder(kind: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/wire/cases").join(kind)
}

/// The names of a kind's files, sorted.
pub(crate) fn themes(kind: &str) -> Vec<String> {
    let entries = std::fs::read_dir(folder(kind)).expect("the folder is there");
    let path = |entry: std::io::Result<std::fs::DirEntry>| entry.expect("readable").path();
    let mut names: Vec<_> =
        entries.map(path).map(|path| path.file_stem().expect("a name").to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// All cases of a theme.
pub(crate) fn theme(kind: &str, name: &str) -> Vec<Case> {
    let path = folder(kind).join(name).with_extension("txt");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    parse(&text).unwrap_or_else(|problem| panic!("{kind}/{name}.txt:{problem}"))
}

/// Reads a file of cases; the problem begins with its line.
fn parse(text: &str) -> Result<Vec<Case>, String> {
    let mut cases = Vec::new();
    let mut block: Vec<(usize, &str)> = Vec::new();
    let numbered = text.lines().enumerate().map(|(number, line)| (number + 1, line));
    for (number, line) in numbered.chain([(text.lines().count() + 1, "")]) {
        if line.ends_with([' ', '\t']) {
            return Err(format!("{number}: white space at the end; write \\x20 or \\t where it is meant"));
        }
        match line {
            "" if block.is_empty() => {}
            "" => cases.extend(read_block(&std::mem::take(&mut block))?),
            _ if line.starts_with('#') => {}
            _ => block.push((number, line)),
        }
    }
    if cases.is_empty() { Err("1: no cases".to_owned()) } else { Ok(cases) }
}

/// The value of a key: on its line, or the lines under it.
struct Entry<'a> {
    line: usize,
    key: &'a str,
    value: Vec<&'a str>,
}

fn read_block(block: &[(usize, &str)]) -> Result<Vec<Case>, String> {
    let mut entries: Vec<Entry<'_>> = Vec::new();
    for &(line, text) in block {
        if let Some(more) = text.strip_prefix("  ") {
            let entry = entries.last_mut().ok_or_else(|| format!("{line}: an indented line under no key"))?;
            entry.value.push(more);
            continue;
        }
        let (key, value) = text.split_once(':').ok_or_else(|| format!("{line}: neither `key: value` nor indented"))?;
        if entries.iter().any(|entry| entry.key == key) {
            return Err(format!("{line}: a second `{key}` in one case"));
        }
        entries.push(Entry {
            line,
            key,
            value: Some(value.trim()).filter(|value| !value.is_empty()).into_iter().collect(),
        });
    }
    let each = entries.iter().find(|entry| entry.key == "each").map_or_else(Vec::new, |entry| entry.value.clone());
    if each.is_empty() {
        return Ok(vec![read_case(&entries, None)?]);
    }
    each.into_iter().map(|variant| read_case(&entries, Some(variant))).collect()
}

fn read_case(entries: &[Entry<'_>], variant: Option<&str>) -> Result<Case, String> {
    let first = entries.first().map_or(0, |entry| entry.line);
    let mut case = Case {
        name: String::new(),
        send: Vec::new(),
        request: None,
        finish: false,
        at_once: false,
        answers: Vec::new(),
        then: Then::Closed,
        reached: Reached::Whole(0),
        has: Vec::new(),
        lacks: Vec::new(),
        ends: None,
        body: None,
    };
    let mut seen = Vec::new();
    for entry in entries {
        let fail = |problem: &str| format!("{}: {}: {problem}", entry.line, entry.key);
        let bytes = || unescape(&entry.value.concat(), variant).map_err(|problem| fail(&problem));
        let lines = || {
            entry
                .value
                .iter()
                .map(|line| unescape(line, variant).map_err(|problem| fail(&problem)))
                .collect::<Result<_, _>>()
        };
        let word = entry.value.concat();
        match entry.key {
            "name" => {
                case.name = format!("line {}: {word}", entry.line);
                if let Some(variant) = variant {
                    write!(case.name, " [{variant}]").map_err(|error| fail(&error.to_string()))?;
                }
            }
            "why" | "each" if !word.is_empty() => {}
            "send" => case.send = bytes()?,
            "request" => case.request = Some(bytes()?),
            "finish" => case.finish = word == "yes",
            "at once" => case.at_once = word == "yes",
            "answer" => case.answers = statuses(&word).map_err(|problem| fail(&problem))?,
            "then" => {
                case.then = match word.as_str() {
                    "open" => Then::Open,
                    "closed" => Then::Closed,
                    "cut" => Then::Cut,
                    _ => return Err(fail("open, closed or cut")),
                };
            }
            "target" => {
                case.reached = match word.as_str() {
                    "nothing" => Reached::Whole(0),
                    "cut" => Reached::Cut,
                    count => Reached::Whole(count.parse().map_err(|_| fail("nothing, cut, or how many requests"))?),
                };
            }
            "has" => case.has = lines()?,
            "lacks" => case.lacks = lines()?,
            "ends" => case.ends = Some(bytes()?),
            "body" => case.body = Some(bytes()?),
            _ => return Err(fail("not known, or empty")),
        }
        seen.push(entry.key);
    }
    for needed in ["name", "why", "send", "answer", "then"] {
        if !seen.contains(&needed) {
            return Err(format!("{first}: a case without `{needed}`"));
        }
    }
    Ok(case)
}

/// `200 200/head`, or `none`.
fn statuses(word: &str) -> Result<Vec<(u16, bool)>, String> {
    let words = word.split(' ').filter(|word| *word != "none");
    words
        .map(|word| {
            let (status, to_head) = word.strip_suffix("/head").map_or((word, false), |status| (status, true));
            let status = status.parse().map_err(|_| format!("no status: {word}"))?;
            Ok((status, to_head))
        })
        .collect()
}

fn unescape(text: &str, variant: Option<&str>) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some((before, escape)) = rest.split_once('\\') {
        out.extend_from_slice(before.as_bytes());
        let mut characters = escape.chars();
        match characters.next() {
            Some('r') => out.push(b'\r'),
            Some('n') => out.push(b'\n'),
            Some('t') => out.push(b'\t'),
            Some('\\') => out.push(b'\\'),
            Some('x') => {
                let digits: String = characters.by_ref().take(2).collect();
                out.push(u8::from_str_radix(&digits, 16).map_err(|_| format!("no byte: \\x{digits}"))?);
            }
            Some('(') => {
                let inner: String = characters.by_ref().take_while(|&character| character != ')').collect();
                match (inner.as_str(), variant) {
                    ("each", Some(variant)) => out.extend(unescape(variant, None)?),
                    _ => out.extend(repeated(&inner)?),
                }
            }
            other => return Err(format!("no escape: \\{}", other.map_or_else(String::new, String::from))),
        }
        rest = characters.as_str();
    }
    out.extend_from_slice(rest.as_bytes());
    Ok(out)
}

/// `x*100`, where `x` may be escaped itself.
fn repeated(inner: &str) -> Result<Vec<u8>, String> {
    let wrong = || format!("neither `each` nor `text*count`: \\({inner})");
    let (text, count) = inner.rsplit_once('*').ok_or_else(wrong)?;
    let count: usize = count.parse().map_err(|_| wrong())?;
    Ok(unescape(text, None)?.repeat(count))
}

#[test]
fn a_case_is_read_with_its_variants() {
    let text = "# A theme.\n\nname: a\nwhy: b\nsend:\n  X\\r\\n\\(ab*2)\n  \\x00\\(each)\neach:\n  +5\n  \\t5\nanswer: 400 200/head\nthen: open\ntarget: 2\n";
    let cases = parse(text).expect("a good file");
    assert_eq!(cases.len(), 2);
    assert_eq!((cases[0].send.as_slice(), cases[1].send.as_slice()), (&b"X\r\nabab\0+5"[..], &b"X\r\nabab\0\t5"[..]));
    assert_eq!((cases[1].name.as_str(), cases[1].then), ("line 3: a [\\t5]", Then::Open));
    assert_eq!((cases[0].answers.as_slice(), cases[0].reached), (&[(400, false), (200, true)][..], Reached::Whole(2)));
}

#[test]
fn a_mistake_in_a_file_of_cases_is_told_with_its_line() {
    for (text, problem) in [
        ("name: a\nwhy: b\n", "1: a case without `send`"),
        ("\nname: a\nwhat: b\n", "3: what: not known, or empty"),
        ("name: a\nname: b\n", "2: a second `name` in one case"),
        ("name: a \n", "1: white space at the end; write \\x20 or \\t where it is meant"),
        ("name: a\nsend: \\q\n", "2: send: no escape: \\q"),
        ("name: a\nsend: \\(x)\n", "2: send: neither `each` nor `text*count`: \\(x)"),
        ("name: a\nanswer: x\n", "2: answer: no status: x"),
        ("name: a\nthen: x\n", "2: then: open, closed or cut"),
        ("name\n", "1: neither `key: value` nor indented"),
        ("  a\n", "1: an indented line under no key"),
        ("# nothing\n", "1: no cases"),
    ] {
        assert_eq!(parse(text).expect_err(text), problem);
    }
}
