//! From a replica's labels to what they say.

use super::Labelled;
use super::route::{self, RouteDraft};
use super::service::{self, ServiceFields};
use super::table::{nearest, set};
use super::target::{self, TargetFields};
use super::upstream;
use super::values::{self, shown};
use crate::config::{DockerProvider, LabelAllow, LabelLimits, Route, UpstreamSettings};
use crate::model::{Problem, Replica};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What labels are read by.
#[derive(Clone, Copy, Debug)]
pub struct LabelSettings<'a> {
    /// Labels below `prefix.` are ours.
    pub prefix: &'a str,
    /// Whether containers without `enable` are exposed.
    pub exposed_by_default: bool,
    /// Labels that a container must have.
    pub constraints: &'a [(Arc<str>, Arc<str>)],
    /// What labels may say.
    pub allow: &'a LabelAllow,
    /// Bounds of one container's labels.
    pub limits: LabelLimits,
}

impl<'a> LabelSettings<'a> {
    /// As the document says for Docker.
    #[must_use]
    pub fn of(provider: &'a DockerProvider) -> Self {
        Self {
            prefix: &provider.label_prefix,
            exposed_by_default: provider.exposed_by_default,
            constraints: &provider.constraints,
            allow: &provider.allow,
            limits: provider.limits,
        }
    }
}

/// What the labels of `replica` say; `None` if it is not exposed.
///
/// # Errors
/// Everything that is wrong with its labels, in one problem about it: it is to be left out whole.
pub fn read_labels(replica: &Replica, settings: &LabelSettings<'_>) -> Result<Option<Labelled>, Problem> {
    let mut reader = Reader::new(replica, settings);
    if !reader.is_exposed() {
        return reader.problem().map_or(Ok(None), Err);
    }
    reader.check_bounds();
    if reader.errors.is_empty() {
        reader.read_all();
    }
    let routes = reader.finish_routes();
    if let Some(problem) = reader.problem() {
        return Err(problem);
    }
    let TargetFields { port, scheme, weight } = reader.target;
    let Reader { service, upstream, upstream_set, network, .. } = reader;
    Ok(Some(Labelled { routes, service, upstream, upstream_set, port, scheme, weight, network }))
}

/// The network that a container's labels name, before anything else of them is read: an address is chosen first.
#[must_use]
pub fn network_label<'a>(labels: &'a BTreeMap<String, String>, prefix: &str) -> Option<&'a str> {
    labels.get(&format!("{prefix}.network")).map(String::as_str)
}

struct Reader<'a> {
    replica: &'a Replica,
    settings: &'a LabelSettings<'a>,
    group: String,
    routes: BTreeMap<&'a str, RouteDraft>,
    service: ServiceFields,
    upstream: UpstreamSettings,
    upstream_set: Vec<Arc<str>>,
    target: TargetFields,
    network: Option<Arc<str>>,
    errors: Vec<String>,
}

impl<'a> Reader<'a> {
    fn new(replica: &'a Replica, settings: &'a LabelSettings<'a>) -> Self {
        Self {
            replica,
            settings,
            group: replica.group.display_name(),
            routes: BTreeMap::new(),
            service: ServiceFields::default(),
            upstream: UpstreamSettings::default(),
            upstream_set: Vec::new(),
            target: TargetFields::default(),
            network: None,
            errors: Vec::new(),
        }
    }

    /// Labels below our prefix: path below it, and value.
    fn own_labels(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        let prefix = self.settings.prefix;
        self.replica.labels.iter().filter_map(move |(key, value)| {
            key.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('.')).map(|path| (path, value.as_str()))
        })
    }

    fn is_exposed(&mut self) -> bool {
        let labels = &self.replica.labels;
        let meets = |(key, value): &(Arc<str>, Arc<str>)| labels.get(&**key).is_some_and(|own| **own == **value);
        if !self.settings.constraints.iter().all(meets) {
            return false;
        }
        match self.own_labels().find(|(path, _)| *path == "enable") {
            Some((_, value)) => values::boolean(value).unwrap_or_else(|error| {
                self.fail("enable", &error);
                false
            }),
            None => {
                // `enabled` alone would otherwise leave its owner looking for the reason.
                let near = |path: &&str| path.len() < 12 && nearest(path, ["enable"].into_iter()).is_some();
                if let Some(path) = self.own_labels().map(|(path, _)| path).find(near) {
                    self.unknown(path);
                }
                self.settings.exposed_by_default
            }
        }
    }

    fn check_bounds(&mut self) {
        let prefix = self.settings.prefix.len() + 1;
        let bytes: usize = self.own_labels().map(|(path, value)| prefix + path.len() + value.len()).sum();
        let bytes_max = self.settings.limits.labels as usize;
        if bytes > bytes_max {
            self.errors.push(format!("its labels take {bytes} bytes; `limits.labels` allows {bytes_max}"));
        }
        let project = &*self.replica.group.project;
        if !self.settings.allow.projects.iter().any(|pattern| glob(pattern, project)) {
            let what = if project.is_empty() { "a container of no project".into() } else { shown(project) };
            self.errors.push(format!("{what} is not in `allow.projects`"));
        }
    }

    fn read_all(&mut self) {
        for (path, value) in self.own_labels() {
            let (section, rest) = path.split_once('.').unwrap_or((path, ""));
            let outcome = match section {
                "enable" if rest.is_empty() => Some(Ok(())),
                "network" if rest.is_empty() => Some(values::text(value).map(|name| self.network = Some(name))),
                "target" => set(target::FIELDS, rest, value, &mut self.target),
                "service" => set(service::FIELDS, rest, value, &mut self.service),
                "route" => self.route_field("", rest, value),
                "routes" => match rest.split_once('.') {
                    Some((name, field)) => self.route_field(name, field, value),
                    None => None,
                },
                "upstream" => self.upstream_field(rest, value),
                "plugins" => Some(Err("no plugins are available in this version".to_owned())),
                _ => None,
            };
            match outcome {
                Some(Ok(())) => {}
                Some(Err(error)) => self.fail(path, &error),
                None => self.unknown(path),
            }
        }
    }

    fn route_field(&mut self, name: &'a str, field: &str, value: &str) -> Option<Result<(), String>> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if name.len() > ROUTE_NAME_MAX || !name.bytes().all(plain) {
            return Some(Err("names its route with other than letters, digits, - and _".to_owned()));
        }
        if !self.routes.contains_key(name) && self.routes.len() >= usize::from(self.settings.limits.routes) {
            return Some(Err(format!("is a route more than `limits.routes` allows ({})", self.settings.limits.routes)));
        }
        let group = &self.group;
        set(route::FIELDS, field, value, self.routes.entry(name).or_insert_with(|| RouteDraft::new(name, group)))
    }

    fn upstream_field(&mut self, path: &str, value: &str) -> Option<Result<(), String>> {
        let head = path.split('.').next().unwrap_or(path);
        let allowed = self.settings.allow.fields.iter().any(|name| **name == *head);
        if upstream::BY_ALLOWANCE.contains(&head) && !allowed {
            return Some(Err(format!("needs {head:?} in `providers.docker.allow.fields`")));
        }
        if upstream::NOT_YET.contains(&head) {
            return Some(Err("is not available in this version".to_owned()));
        }
        let outcome = set(upstream::FIELDS, path, value, &mut self.upstream);
        if matches!(outcome, Some(Ok(()))) {
            self.upstream_set.push(path.into());
        }
        outcome
    }

    fn finish_routes(&mut self) -> Vec<(Arc<str>, Route)> {
        let mut finished = Vec::new();
        for (name, draft) in std::mem::take(&mut self.routes) {
            let path = if name.is_empty() { "route".to_owned() } else { format!("routes.{name}") };
            match draft.finish().and_then(|route| self.check_hosts(&route).map(|()| route)) {
                Ok(route) => finished.push((Arc::from(name), route)),
                Err(error) => self.fail(&path, &error),
            }
        }
        // The bound is a container's, and a regex tells its size only by failing: so each gets an equal share.
        let count = finished.iter().flat_map(|(_, route)| route::regexes(route)).count();
        let share = self.settings.limits.regex as usize / count.max(1);
        for regex in finished.iter().flat_map(|(_, route)| route::regexes(route)) {
            if let Err(error) = route::check_regex(regex, share) {
                self.errors.push(error);
            }
        }
        finished
    }

    fn check_hosts(&self, route: &Route) -> Result<(), String> {
        for host in &route.hosts {
            let name = host.rsplit_once(':').map_or(&**host, |(name, _)| name);
            if !self.settings.allow.hosts.iter().any(|pattern| glob(pattern, name)) {
                return Err(format!("the host {} is not in `allow.hosts`", shown(host)));
            }
        }
        Ok(())
    }

    fn fail(&mut self, path: &str, error: &str) {
        let label = shown(&format!("{}.{path}", self.settings.prefix)).replace('"', "`");
        self.errors.push(format!("label {label} {error}"));
    }

    fn unknown(&mut self, path: &str) {
        match nearest_label(path) {
            Some(near) => {
                let error = format!("is not one that there is; did you mean `{}.{near}`?", self.settings.prefix);
                self.fail(path, &error);
            }
            None => self.fail(path, "is not one that labels can say"),
        }
    }

    fn problem(&mut self) -> Option<Problem> {
        if self.errors.is_empty() {
            return None;
        }
        let more = self.errors.len().saturating_sub(ERRORS_SHOWN);
        self.errors.truncate(ERRORS_SHOWN);
        let mut message = self.errors.join("; ");
        if more > 0 {
            message.push_str(&format!("; and {more} more"));
        }
        Some(Problem { subject: self.replica.name.clone(), message })
    }
}

/// The label that was most likely meant by `path`.
fn nearest_label(path: &str) -> Option<String> {
    let (section, rest) = path.split_once('.').unwrap_or((path, ""));
    let sections = ["enable", "network", "target", "route", "routes", "service", "upstream"];
    let meant = nearest(section, sections.into_iter())?;
    let (stem, field) = match (meant, rest.split_once('.')) {
        ("enable" | "network", _) => return rest.is_empty().then(|| meant.to_owned()),
        ("routes", Some((name, field))) if name.len() <= ROUTE_NAME_MAX => (format!("routes.{name}"), field),
        _ => (meant.to_owned(), rest),
    };
    let names: Vec<&'static str> = match meant {
        "target" => target::FIELDS.iter().map(|row| row.name).collect(),
        "service" => service::FIELDS.iter().map(|row| row.name).collect(),
        "upstream" => upstream::FIELDS.iter().map(|row| row.name).collect(),
        _ => route::FIELDS.iter().map(|row| row.name).collect(),
    };
    nearest(field, names.into_iter()).map(|name| format!("{stem}.{name}"))
}

/// Whether `text` fits `pattern`, in which `*` stands for any text. A `*` in `text` is a character: what it stands for is
/// covered by the pattern's own `*`.
#[must_use]
pub fn glob(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else { return false };
    let Some(last) = pattern.rfind('*').and_then(|at| pattern.get(at + 1..)) else { return rest.is_empty() };
    let middle = pattern.matches('*').count() - 1;
    for part in parts.take(middle) {
        let Some((_, after)) = rest.split_once(part) else { return false };
        rest = after;
    }
    rest.ends_with(last)
}

/// Bytes of a route's name in a label.
const ROUTE_NAME_MAX: usize = 64;
/// Errors of one container that its problem tells; the others are counted.
const ERRORS_SHOWN: usize = 5;
