//! Shedding before memory runs out. Where the gateway's cgroup has a limit (a container's, a unit's), the kernel kills who
//! reaches it, and with the gateway go all requests under way. So new ones are answered 503 a little before that, until
//! there is room again.
//!
//! Looked at ten times a second, beside everything: a worker loads one flag. Not here: `limits.buffered_bytes`, to which each
//! worker holds its own buffers. This is about everything else in the cgroup, too.

mod cgroup;

use crate::server::Server;
use crate::telemetry::{Telemetry, metric};
use cgroup::{Groups, Memory};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval};

/// Between two looks: a hundred clients that do not read can take tens of MiB within a second.
const LOOK: Duration = Duration::from_millis(100);
/// Looks between two times that workers give back what they keep.
const GIVE_BACK: u32 = 10;
/// Per cent of the limit past which new requests are shed: what is left is for those under way.
const BEGIN_PERCENT: u64 = 90;
/// Per cent of the limit below which they are taken again: apart from the other, so that it does not end with the first
/// request that does, and begin anew with the next.
const END_PERCENT: u64 = 85;

/// Has the workers shed while memory is short. Never ends.
pub(super) async fn watch(server: Arc<Server>, telemetry: Arc<Telemetry>) {
    let mut looks = interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut groups, mut shedding, mut since) = (Groups::default(), Shedding::default(), 0);
    loop {
        looks.tick().await;
        // The kernel sums counts up over CPUs for the one who reads them, and may take its time.
        let looking = tokio::task::spawn_blocking(move || {
            let memory = groups.look();
            (groups, memory)
        });
        let Ok((back, memory)) = looking.await else { return };
        groups = back;
        show(memory, &telemetry);
        telemetry.set(&metric::BUFFERED, &[], shown(server.buffered_bytes()));
        let Memory { used, limit } = memory.unwrap_or_default();
        match shedding.look(memory) {
            Some(true) => {
                since = 0;
                tracing::error!(
                    used,
                    limit,
                    "memory is nearly used up: new requests are answered 503 until less than {END_PERCENT} % of the \
                     cgroup's limit is in use; raise the limit, or lower limits.buffered_bytes and limits.connections"
                );
            }
            Some(false) => {
                server.shed_for_memory(false);
                tracing::info!(used, limit, "there is memory again: requests are served");
            }
            None => {}
        }
        if shedding.0 {
            if since % GIVE_BACK == 0 {
                // Again and again: what ends meanwhile can be given back, too.
                server.shed_for_memory(true);
            }
            since += 1;
        }
    }
}

fn show(memory: Option<Memory>, telemetry: &Telemetry) {
    let values = [
        (&metric::MEMORY_LIMIT, memory.map(|memory| memory.limit)),
        (&metric::MEMORY_USED, memory.map(|memory| memory.used)),
    ];
    for (family, value) in values {
        match value {
            Some(value) => telemetry.set(family, &[], shown(value)),
            None => telemetry.remove(family, &[]),
        }
    }
}

/// Whole up to 2^53, which is 8 PiB.
#[expect(clippy::cast_precision_loss, reason = "Prometheus' values are floats")]
const fn shown(bytes: u64) -> f64 {
    bytes as f64
}

/// Whether new requests are shed.
#[derive(Debug, Default)]
struct Shedding(bool);

impl Shedding {
    /// Takes in what was seen; says what begins (`true`) or ends with it. Where there is no limit, or none can be read any
    /// more, nothing is shed: what serves goes on serving.
    fn look(&mut self, memory: Option<Memory>) -> Option<bool> {
        let percent = if self.0 { END_PERCENT } else { BEGIN_PERCENT };
        let short = memory.is_some_and(|memory| {
            let (used, bound) = (u128::from(memory.used) * 100, u128::from(memory.limit) * u128::from(percent));
            used > bound || (self.0 && used == bound)
        });
        (std::mem::replace(&mut self.0, short) != short).then_some(short)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shedding_begins_past_nine_tenths_and_ends_below_85_per_cent() {
        let mut shedding = Shedding::default();
        let mut check = |used: u64, expected| {
            assert_eq!(shedding.look(Some(Memory { used, limit: 1000 })), expected, "{used}");
        };
        check(0, None);
        check(900, None);
        check(901, Some(true));
        check(2000, None);
        check(899, None);
        check(850, None);
        check(849, Some(false));
        check(900, None);
        check(1000, Some(true));
        check(0, Some(false));
    }

    #[test]
    fn nothing_is_shed_without_a_limit_or_where_it_is_taken_away() {
        let mut shedding = Shedding::default();
        assert_eq!(shedding.look(None), None);
        assert_eq!(shedding.look(Some(Memory { used: u64::MAX, limit: u64::MAX })), Some(true));
        assert_eq!(shedding.look(None), Some(false));
        assert_eq!(shedding.look(None), None);
    }

    #[test]
    fn a_limit_and_what_is_used_of_it_are_shown_while_there_is_one() {
        let telemetry = Telemetry::new(crate::telemetry::TelemetryOptions::default());
        let shown = || {
            let text = telemetry.render(crate::telemetry::clock::moment());
            text.lines().filter(|line| line.starts_with("plimsoll_memory_")).map(str::to_owned).collect::<Vec<_>>()
        };
        show(Some(Memory { used: 5, limit: 10 }), &telemetry);
        assert_eq!(shown(), ["plimsoll_memory_limit_bytes 10", "plimsoll_memory_used_bytes 5"]);
        show(None, &telemetry);
        assert!(shown().is_empty());
    }
}
