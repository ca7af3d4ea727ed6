//! Compiled rules → the route that a request takes; and why not another one.
//!
//! The order is that of Kong's `traditional_compatible` flavor (Kong 3.10 `kong/router/transform.lua`, `get_priority`): every
//! route falls into *candidates*, one for all of its regexes and one for each length of its prefixes, and all candidates
//! have one total order (`rank.rs`). What is asked for is the first candidate in that order that matches. Two things are
//! ours: the document's routes form a tier before those of labels, and of two candidates that rank equal the older one wins.
//!
//! Trying candidates one after the other would cost as many tests as there are routes. So they are found by hash: the host
//! leads to the few groups that can match it (exact, with its port, by each suffix and prefix of labels, and the group of
//! routes without hosts), and in a group the longest prefix of the path leads to a chain of all its shorter ones. What is
//! found that way is compared by rank, an integer. Regexes are tried only in groups that have some, and only while they
//! could still win. `route` allocates nothing; [`Router::explain`] is slow, simple and written apart.
//!
//! Not here: schemes. A plain request to an https-only route matches, and the caller redirects it, as Kong does.

mod ask;
mod candidate;
mod conditions;
mod explain;
mod hosts;
mod paths;
mod rank;
mod rules;
mod search;

pub use ask::{Ask, Fields, Match, NoFields, RouteIndex};
pub use explain::{Outcome, Verdict};
pub use rules::{RouterProblem, Rules};
pub use search::Router;

#[cfg(test)]
mod tests;
