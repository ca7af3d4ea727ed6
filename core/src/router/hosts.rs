//! Host → the groups of candidates that can match it.

use rustc_hash::FxHashMap;
use smallvec::SmallVec;

/// The longest host name: RFC 1035 §2.3.4. A longer one is matched by no rule on hosts.
pub(super) const NAME_BYTES_MAX: usize = 255;

/// A host as a rule says it, in lower case.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Pattern {
    Exact(Box<[u8]>),
    /// `*.b`: what begins with its dot.
    Suffix(Box<[u8]>),
    /// `a.*`: what ends with its dot.
    Prefix(Box<[u8]>),
}

impl Pattern {
    /// Reads a host and its port.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub(super) fn parse(written: &str) -> Result<(Self, Option<u16>), String> {
        let (name, port) = split_port(written.as_bytes());
        let name = name.to_ascii_lowercase();
        if name.is_empty() || name.len() > NAME_BYTES_MAX {
            return Err(format!("a host name has 1 to {NAME_BYTES_MAX} bytes"));
        }
        let stars = name.iter().filter(|byte| **byte == b'*').count();
        let pattern = match (stars, name.as_slice()) {
            (0, _) => Self::Exact(name.into()),
            (1, [b'*', rest @ ..]) if rest.first() == Some(&b'.') && rest.len() > 1 => Self::Suffix(rest.into()),
            (1, [rest @ .., b'*']) if rest.last() == Some(&b'.') && rest.len() > 1 => Self::Prefix(rest.into()),
            _ => return Err("a wildcard is the first or the last label: *.b or a.*".to_owned()),
        };
        Ok((pattern, port))
    }

    /// Whether `name` (of any case, without a port) matches.
    pub(super) fn matches(&self, name: &[u8]) -> bool {
        match self {
            Self::Exact(exact) => exact.eq_ignore_ascii_case(name),
            Self::Suffix(suffix) => {
                name.len() >= suffix.len() && name[name.len() - suffix.len()..].eq_ignore_ascii_case(suffix)
            }
            Self::Prefix(prefix) => name.len() >= prefix.len() && name[..prefix.len()].eq_ignore_ascii_case(prefix),
        }
    }
}

/// Takes the port off a host. `[::1]:80` is an address with a port; what follows a colon and is no port belongs to the name.
pub(super) fn split_port(host: &[u8]) -> (&[u8], Option<u16>) {
    // A port has five digits at the most: most hosts have none, and need not be searched to their beginning.
    let tail = host.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let Some(colon) = host.len().checked_sub(tail + 1).filter(|at| tail > 0 && host[*at] == b':') else {
        return (host, None);
    };
    let (name, digits) = (&host[..colon], &host[colon + 1..]);
    let bare_ipv6 = name.contains(&b':') && name.last() != Some(&b']');
    let number = digits.iter().try_fold(0_u16, |number, digit| {
        number.checked_mul(10).and_then(|tens| tens.checked_add(u16::from(digit - b'0')))
    });
    match number {
        Some(port) if !bare_ipv6 => (name, Some(port)),
        _ => (host, None),
    }
}

/// All hosts of all rules. Groups are numbered by who builds this.
#[derive(Debug, Default)]
pub(super) struct Hosts {
    exact: Names,
    suffixes: Names,
    prefixes: Names,
}

#[derive(Debug, Default)]
struct Names {
    by_name: FxHashMap<Box<[u8]>, Ports>,
    /// The lengths that occur, as bits: others need no lookup.
    lengths: [u64; 4],
}

/// The groups of one name: for any port, and for single ones.
#[derive(Debug, Default)]
struct Ports {
    any: Option<u32>,
    single: SmallVec<[(u16, u32); 1]>,
}

impl Hosts {
    /// The group of a host, which `new_group` numbers if it is new.
    pub(super) fn group(&mut self, pattern: Pattern, port: Option<u16>, new_group: impl FnOnce() -> u32) -> u32 {
        match pattern {
            Pattern::Exact(name) => self.exact.group(name, port, new_group),
            Pattern::Suffix(name) => self.suffixes.group(name, port, new_group),
            Pattern::Prefix(name) => self.prefixes.group(name, port, new_group),
        }
    }

    /// Visits every group whose host matches `host`; where that names no port, `port` counts.
    pub(super) fn each_group(&self, host: &[u8], port: u16, mut visit: impl FnMut(u32)) {
        let (sent, own_port) = split_port(host);
        if sent.is_empty() || sent.len() > NAME_BYTES_MAX {
            return;
        }
        let port = own_port.unwrap_or(port);
        let mut buffer = [0; NAME_BYTES_MAX];
        let name = &mut buffer[..sent.len()];
        name.copy_from_slice(sent);
        name.make_ascii_lowercase();
        self.exact.visit(name, port, &mut visit);
        if self.suffixes.by_name.is_empty() && self.prefixes.by_name.is_empty() {
            return;
        }
        for dot in memchr::memchr_iter(b'.', name) {
            self.suffixes.visit(&name[dot..], port, &mut visit);
            self.prefixes.visit(&name[..=dot], port, &mut visit);
        }
    }
}

impl Names {
    fn group(&mut self, name: Box<[u8]>, port: Option<u16>, new_group: impl FnOnce() -> u32) -> u32 {
        self.lengths[name.len() / 64] |= 1 << (name.len() % 64);
        let ports = self.by_name.entry(name).or_default();
        let Some(port) = port else { return *ports.any.get_or_insert_with(new_group) };
        if let Some((_, group)) = ports.single.iter().find(|(single, _)| *single == port) {
            return *group;
        }
        let group = new_group();
        ports.single.push((port, group));
        group
    }

    fn visit(&self, name: &[u8], port: u16, visit: &mut impl FnMut(u32)) {
        if self.lengths[name.len() / 64] >> (name.len() % 64) & 1 == 0 {
            return;
        }
        let Some(ports) = self.by_name.get(name) else { return };
        for (_, group) in ports.single.iter().filter(|(single, _)| *single == port) {
            visit(*group);
        }
        if let Some(group) = ports.any {
            visit(group);
        }
    }
}
