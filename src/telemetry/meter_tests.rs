//! Not in the file itself: `tests/loom.rs` compiles that with other atomics.

use super::meter::Meter;
use super::row::Row;

#[test]
fn the_integral_is_the_area_under_the_count() {
    let row = Row::new(Meter::CELLS);
    Meter::enter(&row, 10);
    Meter::enter(&row, 20);
    assert_eq!(Meter::read(&row, 30), (2, 10 + 20));
    Meter::leave(&row, 40);
    Meter::leave(&row, 30); // a caller's older clock never takes area back
    assert_eq!(Meter::read(&row, 100), (0, 10 + 40));
}
