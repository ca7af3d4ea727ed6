//! The replicas: local processes that the gateway starts, or containers of an engine.

mod containers;
mod processes;

pub(crate) use containers::Containers;
pub(crate) use processes::Processes;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Either.
pub(crate) enum Fleet {
    Processes(Processes),
    Containers(Containers),
}

impl Fleet {
    /// The names of those that live.
    pub(crate) fn living(&self) -> Vec<String> {
        match self {
            Self::Processes(processes) => processes.living(),
            Self::Containers(containers) => containers.names(),
        }
    }

    /// Those of its local processes that live, by name and id. Of one name there are two, where a gateway has just died.
    pub(crate) fn started_by_gateway(&self) -> BTreeSet<(String, i32)> {
        match self {
            Self::Processes(processes) => processes.lives(),
            Self::Containers(_) => BTreeSet::new(),
        }
    }

    /// Where replicas note the POSTs that they carry out.
    pub(crate) fn record(&self) -> &Path {
        match self {
            Self::Processes(processes) => &processes.record,
            Self::Containers(containers) => &containers.record,
        }
    }

    /// How often each POST was carried out, by its number, over all lives of all replicas.
    pub(crate) fn carried_out(&self) -> BTreeMap<u32, u32> {
        let mut times = BTreeMap::new();
        for entry in std::fs::read_dir(self.record()).expect("the record's folder").flatten() {
            let record = std::fs::read_to_string(entry.path()).expect("a record");
            for number in record.lines().filter_map(|line| line.parse().ok()) {
                *times.entry(number).or_default() += 1;
            }
        }
        times
    }
}
