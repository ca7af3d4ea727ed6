//! Tables of heads and bodies, and properties over random ones.

mod chunked;
mod properties;
mod reference;
mod request;
mod response;

use crate::protocol::HeadLimits;

/// Limits that no ordinary test meets.
const LIMITS: HeadLimits = HeadLimits { request_line: 8192, headers: 32 * 1024, count: 100 };
