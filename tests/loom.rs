//! Every interleaving of what one thread writes and another reads in between. `core/tests/loom.rs` says how this is done.

#[path = "../src/telemetry/meter.rs"]
mod meter;

/// A row of the meter's cells alone.
mod row {
    use crate::meter::Meter;
    use loom::sync::atomic::{AtomicU64, Ordering};

    #[derive(Default)]
    pub(crate) struct Row([AtomicU64; Meter::CELLS]);

    impl Row {
        pub(crate) fn cell(&self, index: usize) -> &AtomicU64 {
            &self.0[index]
        }

        pub(crate) fn get(&self, index: usize) -> u64 {
            self.cell(index).load(Ordering::Relaxed)
        }

        pub(crate) fn add(&self, index: usize, n: u64) {
            self.cell(index).store(self.get(index) + n, Ordering::Relaxed);
        }
    }
}

mod sync {
    pub(super) use loom::hint::spin_loop;
    pub(super) use loom::sync::atomic::{Ordering, fence};
}

use loom::sync::Arc;
use meter::Meter;
use row::Row;

#[test]
fn a_meter_that_is_read_while_it_changes_shows_what_was_before_or_after() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(|| {
        let row = Arc::new(Row::default());
        Meter::enter(&row, 10);
        let worker = {
            let row = Arc::clone(&row);
            loom::thread::spawn(move || {
                Meter::enter(&row, 20);
                Meter::leave(&row, 50);
            })
        };
        // One in flight from 10 on; two from 20 on; one again from 50 on.
        let read = Meter::read(&row, 100);
        assert!([(1, 90), (2, 10 + 2 * 80), (1, 10 + 2 * 30 + 50)].contains(&read), "torn: {read:?}");
        worker.join().expect("no panic");
        assert_eq!(Meter::read(&row, 100), (1, 120));
    });
}
