//! `target.…`: how one container is reached.

use super::table::Field;
use super::values;
use crate::config::Protocol;

/// What `target` labels say.
pub(super) struct TargetFields {
    pub(super) port: Option<u16>,
    pub(super) scheme: Option<Protocol>,
    pub(super) weight: u16,
}

impl Default for TargetFields {
    fn default() -> Self {
        Self { port: None, scheme: None, weight: DEFAULT_WEIGHT }
    }
}

/// Kong's default of a target's weight.
const DEFAULT_WEIGHT: u16 = 100;

pub(super) const FIELDS: &[Field<TargetFields>] = &[
    Field {
        name: "port",
        doc: "The container's port; else the only exposed one, else the lowest.",
        example: "8080",
        set: |target, _, value| {
            target.port = Some(values::small(value, 1..=u16::MAX)?);
            Ok(())
        },
    },
    Field {
        name: "scheme",
        doc: "How the container is spoken to: http, https, grpc or grpcs.",
        example: "http",
        set: |target, _, value| {
            target.scheme = Some(values::protocol(value)?);
            Ok(())
        },
    },
    Field {
        name: "weight",
        doc: "Its share; 0: never picked.",
        example: "100",
        set: |target, _, value| {
            target.weight = values::small(value, 0..=u16::MAX)?;
            Ok(())
        },
    },
];
