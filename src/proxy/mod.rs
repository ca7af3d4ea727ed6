//! The life of one request: read, routed, tried on targets, answered, told of.
//!
//! One small state machine a file. A request runs in one task on one worker from its first byte to its last; both bodies
//! move in that task, and nothing here waits for the control plane, takes a lock that it holds, or is seen by another
//! thread, apart from `worker::Shared`.

pub(crate) mod worker;

pub(crate) mod client;
mod clients;
pub(crate) mod refusal;
pub(crate) mod slots;

mod buffer;
mod failure;
mod record;
mod request;

mod route;

mod attempt;
mod attempts;
mod connecting;
mod hedge;
mod hold;
mod queue;
mod retry;
mod wait;

mod body;
mod exchange;
mod forward;
mod passing;
mod pipe;
mod trailers;

mod allocator;
mod answer;

pub(crate) mod http1;
pub(crate) mod http2;
