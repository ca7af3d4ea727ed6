//! Document + what labels say + facts + resolved names → one whole: routes, services, upstreams and their members.
//!
//! Everything that needs more than one source at once is decided here, and only here: which upstream a service means, who
//! owns a host, whose labels count where replicas disagree, which names are taken. The rules are few:
//! - The document wins. Labelled routes form the router's second tier, and have no host that the document names, nor one
//!   that would overlap with it as a wildcard.
//! - A host belongs to one owner: a project, or a container or service outside of any. Owners are ordered by
//!   `allow.projects`, then by name, never by age: a recreate would hand the host over.
//! - What cannot be is left out alone, and named. A plan always comes out; there is no error.
//!
//! The same input gives the same plan, in the same order. Not here: whether a target may be picked (its phase and health are
//! passed on as facts), compiled things, and anything that waits.

mod claims;
mod document;
mod groups;
mod input;
mod labelled;
mod members;
mod own;
mod pools;
mod whole;

pub use input::{Input, Names, names_wanted};
pub use whole::{Member, Plan, PlannedRoute, PlannedService, PlannedUpstream, plan};

#[cfg(test)]
mod tests;
