//! `service.…`: what the container's routes lead to. Never a host: it is always the container's own upstream.

use super::table::Field;
use super::values;
use crate::config::Protocol;
use std::sync::Arc;
use std::time::Duration;

/// What `service` labels say; `None` where none does. Names and units of Kong's service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServiceFields {
    /// How targets are spoken to.
    pub protocol: Option<Protocol>,
    /// Put before the request's path.
    pub path: Option<Arc<str>>,
    /// Tries after the first one.
    pub retries: Option<u16>,
    /// To establish a connection.
    pub connect_timeout: Option<Duration>,
    /// Between two reads from the target.
    pub read_timeout: Option<Duration>,
    /// Between two writes to the target.
    pub write_timeout: Option<Duration>,
}

pub(super) const FIELDS: &[Field<ServiceFields>] = &[
    Field {
        name: "protocol",
        doc: "How targets are spoken to: http, https, grpc or grpcs.",
        example: "http",
        set: |service, _, value| {
            service.protocol = Some(values::protocol(value)?);
            Ok(())
        },
    },
    Field {
        name: "path",
        doc: "Put before the request's path.",
        example: "/app",
        set: |service, _, value| {
            service.path = Some(values::plain_path(value)?);
            Ok(())
        },
    },
    Field {
        name: "retries",
        doc: "Tries after the first one.",
        example: "5",
        set: |service, _, value| {
            service.retries = Some(values::small(value, 0..=32767)?);
            Ok(())
        },
    },
    Field {
        name: "connect_timeout",
        doc: "To establish a connection, in milliseconds.",
        example: "60000",
        set: |service, _, value| {
            service.connect_timeout = Some(values::milliseconds(value)?);
            Ok(())
        },
    },
    Field {
        name: "read_timeout",
        doc: "Between two reads from the target, in milliseconds.",
        example: "60000",
        set: |service, _, value| {
            service.read_timeout = Some(values::milliseconds(value)?);
            Ok(())
        },
    },
    Field {
        name: "write_timeout",
        doc: "Between two writes to the target, in milliseconds.",
        example: "60000",
        set: |service, _, value| {
            service.write_timeout = Some(values::milliseconds(value)?);
            Ok(())
        },
    },
];
