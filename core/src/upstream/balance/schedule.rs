//! In which order round robin goes through its targets: position → target, without state, so that any number of workers
//! can share one counter.
//!
//! Exact: over each cycle of W positions (the weights' sum, their common factor taken out) each target comes up as often as
//! its weight says. Smooth: after every number of positions each target is less than one turn away from its share, by
//! Tijdeman's algorithm ("The chairman assignment problem", 1980): of the targets that may have another turn without
//! getting ahead of their share, the one that would be late first gets it.
//!
//! Its order is computed once a pool and kept as a table. Where that would cost too much (weights such as 65535 and 65534,
//! which a label can ask for) a tree stands in: each node deals its turns out to two halves as evenly as a line is drawn on
//! a grid (Bresenham), in O(n) memory and O(log n) a pick; exact over a cycle too, and in between at most three turns off
//! (0.8 on average), where k·s mod W with s near the golden section, tried first, was up to twelve off.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// 8 Ki positions: 16 KiB, the most that a table may take.
const TABLE_POSITIONS: u64 = 8 << 10;

/// 1 Mi steps: the most that a table may take to compute, about a millisecond.
const TABLE_STEPS: u64 = 1 << 20;

/// An order over targets 0, 1, ….
#[derive(Debug)]
pub(super) struct Schedule {
    cycle: u64,
    order: Order,
}

#[derive(Debug)]
enum Order {
    /// Equal weights: in turn.
    InTurn,
    Table(Box<[u16]>),
    Tree(Box<[Node]>),
}

/// A node of the tree, with the sums of the weights below it. The root is the last one.
#[derive(Clone, Copy, Debug)]
enum Node {
    Leaf { place: u32 },
    Split { left: u32, right: u32, left_weight: u64, weight: u64 },
}

impl Schedule {
    /// The order for these weights, all above 0.
    pub(super) fn new(weights: &[u32]) -> Self {
        let divisor = weights.iter().fold(0, |divisor, weight| gcd(divisor, *weight)).max(1);
        let weights: Vec<u64> = weights.iter().map(|weight| u64::from(weight / divisor)).collect();
        let cycle: u64 = weights.iter().sum();
        let order = if weights.iter().all(|weight| *weight == 1) {
            Order::InTurn
        } else if cycle <= TABLE_POSITIONS && cycle * weights.len() as u64 <= TABLE_STEPS {
            Order::Table(chairmen(&weights, cycle))
        } else {
            Order::Tree(tree(&weights))
        };
        Self { cycle, order }
    }

    /// Positions after which it begins again; 0 without targets.
    pub(super) const fn cycle(&self) -> u64 {
        self.cycle
    }

    /// Whose turn it is at `position`.
    #[expect(clippy::cast_possible_truncation, reason = "below the number of targets, or of positions")]
    pub(super) fn at(&self, position: u64) -> usize {
        let position = position % self.cycle.max(1);
        match &self.order {
            Order::InTurn => position as usize,
            Order::Table(table) => table.get(position as usize).map_or(0, |place| usize::from(*place)),
            Order::Tree(nodes) => descend(nodes, position),
        }
    }
}

/// Tijdeman's order, whole: every share is kept to within 1 − 1 / (2n − 2) turns, which is the best there is.
fn chairmen(weights: &[u64], cycle: u64) -> Box<[u16]> {
    let mut turns = vec![0; weights.len()];
    let parts = 2 * (weights.len() as u64).max(2) - 2;
    let next = |position: u64| {
        // The key is (parts · turns + parts − 1) / weight: when it would be late without another turn.
        let mut best: Option<(u64, u64, usize)> = None;
        for (place, (weight, had)) in weights.iter().zip(&turns).enumerate() {
            let due = parts * weight * (position + 1);
            let late = parts * had + parts - 1;
            // Another turn would put it too far ahead of its share.
            if due < (parts * had + 1) * cycle {
                continue;
            }
            if best.is_none_or(|(best_late, best_weight, _)| late * best_weight < best_late * weight) {
                best = Some((late, *weight, place));
            }
        }
        let place = best.map_or(0, |(.., place)| place);
        if let Some(had) = turns.get_mut(place) {
            *had += 1;
        }
        u16::try_from(place).unwrap_or(u16::MAX)
    };
    (0..cycle).map(next).collect()
}

/// Joins the two lightest until one is left, as Huffman did: heavy targets are few steps from the root.
fn tree(weights: &[u64]) -> Box<[Node]> {
    let mut nodes: Vec<Node> = (0..).zip(weights).map(|(place, _)| Node::Leaf { place }).collect();
    let mut heap: BinaryHeap<Reverse<(u64, u32)>> =
        (0..).zip(weights).map(|(node, weight)| Reverse((*weight, node))).collect();
    while let (Some(Reverse((left_weight, left))), Some(Reverse((right_weight, right)))) = (heap.pop(), heap.pop()) {
        let weight = left_weight + right_weight;
        heap.push(Reverse((weight, u32::try_from(nodes.len()).unwrap_or(u32::MAX))));
        nodes.push(Node::Split { left, right, left_weight, weight });
    }
    nodes.into_boxed_slice()
}

fn descend(nodes: &[Node], mut position: u64) -> usize {
    let mut node = nodes.last();
    while let Some(Node::Split { left, right, left_weight, weight }) = node {
        let before = position * left_weight / weight;
        let left_turn = (position + 1) * left_weight / weight > before;
        position = if left_turn { before } else { position - before };
        node = nodes.get(if left_turn { *left } else { *right } as usize);
    }
    match node {
        Some(Node::Leaf { place }) => *place as usize,
        _ => 0,
    }
}

const fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}
