//! Local processes as replicas: Plimsoll starts N copies of a command with a port each, watches them, starts them again
//! with back-off, drains and stops them, and leaves none behind.
//!
//! ```text
//! provider ── wanted copies (a watch channel) ──▶ reconcile ──▶ replica tasks ──▶ guard process ──▶ the command
//!     ▲                                                             │               own group        own group
//!     └──────────────── what each replica is doing ◀────────────────┘
//! ```
//!
//! Between us and each command stands a *guard*: this binary, executed again. It holds a socket to us; when that closes,
//! for whatever reason, it kills the command's process group and every descendant that left the group. The kernel's
//! parent-death signal alone would not do: it reaches the command but not the workers that gunicorn or npm start, and it
//! fires when the *thread* that started the child ends. The command has that signal nevertheless, for the case that
//! someone kills gateway and guard together.
//!
//! Deliberately not here: health (the control plane decides when a replica may be picked, as for every other runtime) and
//! load (how many copies there should be).

mod backoff;
mod child;
mod facts;
mod guard;
mod messages;
mod output;
mod port;
mod proc_stat;
mod provider;
mod reconcile;
mod replica;

pub use guard::{GUARD_COMMAND, guard_main};
pub use provider::{Drained, ProcessOptions, ProcessProvider, ProcessSpec, specs_of};
