//! The answer, as data: what `--output json` and `GET /explain` show, and what the text is made of.

use serde::{Deserialize, Serialize};

/// What would become of a request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Explanation {
    /// What was asked, as the router sees it.
    pub request: Asked,
    /// What would happen, in one sentence.
    pub outcome: String,
    /// The status that the gateway itself would answer; none where a target would.
    pub status: Option<u16>,
    /// The route that wins.
    pub route: Option<String>,
    /// Its service.
    pub service: Option<String>,
    /// Routes in the order in which they are tried: the winner, and those that come nearest.
    pub routes: Vec<Considered>,
    /// Routes that are not told of.
    pub more_routes: usize,
    /// Plugins, in the order in which they run.
    pub plugins: Vec<String>,
    /// The pool of the service.
    pub upstream: Option<PoolView>,
    /// What a target would be sent.
    pub forward: Option<Forwarded>,
}

/// A request as the router sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// As sent.
    pub method: String,
    /// `http` or `https`.
    pub scheme: String,
    /// As sent.
    pub host: String,
    /// The listener's port, which counts where `host` names none.
    pub port: u16,
    /// Normalised.
    pub path: String,
    /// What is after `?`.
    pub query: Option<String>,
}

/// A route that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Considered {
    /// Its name.
    pub route: String,
    /// Whether it came from labels instead of the document.
    pub from_labels: bool,
    /// Whether it wins.
    pub wins: bool,
    /// Why, in words.
    pub why: String,
}

/// An upstream and its targets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolView {
    /// Its name.
    pub name: String,
    /// How it is balanced.
    pub algorithm: String,
    /// Its targets.
    pub targets: Vec<Candidate>,
    /// Names without an address, and why.
    pub unresolved: Vec<String>,
}

/// A target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    /// `host:port` as written, or as the runtime has it.
    pub target: String,
    /// Its container's or process's name; as `target` where it has none.
    pub replica: String,
    /// Where it is reached.
    pub address: String,
    /// Its share.
    pub weight: u16,
    /// `starting`, `healthy`, `unhealthy`, `draining`, `gone`; `unknown` where no gateway runs that could know.
    pub state: String,
    /// Why it may not be picked.
    pub causes: Vec<String>,
    /// Requests in flight.
    pub in_flight: u32,
}

/// What a target would be sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forwarded {
    /// `http`, `https`, `grpc` or `grpcs`.
    pub protocol: String,
    /// Path and query.
    pub path: String,
    /// Host; none where it is each target's own.
    pub host: Option<String>,
}
