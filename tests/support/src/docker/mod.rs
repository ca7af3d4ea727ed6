//! Container engines: the machine's own, or a private one that a test may stop. Everything a test starts carries the
//! test's own label and is removed when the test ends, also when it fails.

mod compose;
mod engine;
mod events;
mod image;
mod private;
mod socket_proxy;

pub use compose::Compose;
pub use engine::{Engine, Lab, Replica, available};
pub use events::{Event, Events};
pub use image::{build_static, sample_image};
pub use private::PrivateEngine;
pub use socket_proxy::{Mode, SocketProxy};
