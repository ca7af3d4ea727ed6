//! A target's state is derived from a set of causes. Each cause is set and cleared by its owner alone, so that none wipes
//! out another's: a probe that succeeds does not undo a drain mark.

use std::fmt;

/// Why a target may not be picked. The bits of [`Causes`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum Cause {
    /// Told to stop, or set so by an operator. Requests in flight finish. Owner: the provider.
    Draining = 1,
    /// A connect was refused. Only on targets that a runtime feeds. Owner: the data path sets, prober or provider clears.
    Refused = 1 << 1,
    /// The runtime's own health check failed. Owner: the provider.
    Runtime = 1 << 2,
    /// Active probes failed. Owner: the prober.
    Active = 1 << 3,
    /// Real requests failed. Owner: passive health.
    Passive = 1 << 4,
    /// Set unhealthy by hand, through the admin API. Owner: the operator; checks that find it well clear it, as in Kong.
    Manual = 1 << 5,
    /// Ejected as an outlier. Owner: outlier detection.
    Ejected = 1 << 6,
    /// Not yet known to be ready. Owner: the provider and the prober.
    Starting = 1 << 7,
    /// Paused by the runtime: it accepts connections and never answers. Owner: the provider.
    Paused = 1 << 8,
    /// Cut off from the network that we reach it by. Owner: the provider.
    Disconnected = 1 << 9,
    /// Dead or removed. Never cleared. Owner: the provider.
    Gone = 1 << 10,
}

impl Cause {
    /// Every cause, in the order of their bits.
    pub const ALL: [Self; 11] = [
        Self::Draining,
        Self::Refused,
        Self::Runtime,
        Self::Active,
        Self::Passive,
        Self::Manual,
        Self::Ejected,
        Self::Starting,
        Self::Paused,
        Self::Disconnected,
        Self::Gone,
    ];

    /// The name in `explain`, `/upstreams/U/health` and logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Draining => "draining",
            Self::Refused => "refused",
            Self::Runtime => "runtime health check",
            Self::Active => "active check",
            Self::Passive => "passive check",
            Self::Manual => "set by hand",
            Self::Ejected => "ejected",
            Self::Starting => "starting",
            Self::Paused => "paused",
            Self::Disconnected => "disconnected",
            Self::Gone => "gone",
        }
    }
}

/// A set of [`Cause`]s. Empty means that the target may be picked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Causes(pub u32);

impl Causes {
    /// No cause: the target may be picked.
    pub const NONE: Self = Self(0);
    /// Causes that are verdicts on health alone: with only these, the target is there but not well.
    pub const HEALTH: Self = Self(
        Cause::Runtime as u32
            | Cause::Active as u32
            | Cause::Passive as u32
            | Cause::Manual as u32
            | Cause::Ejected as u32,
    );
    /// Causes for which an attempt in flight is given up at once: nothing will answer any more.
    pub const CUT_OFF: Self = Self(Cause::Paused as u32 | Cause::Disconnected as u32 | Cause::Gone as u32);

    /// Whether `cause` is in the set.
    #[must_use]
    pub const fn has(self, cause: Cause) -> bool {
        self.0 & cause as u32 != 0
    }

    /// The set with `cause` added.
    #[must_use]
    pub const fn with(self, cause: Cause) -> Self {
        Self(self.0 | cause as u32)
    }

    /// The set without those of `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether the two sets share a cause.
    #[must_use]
    pub const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether the set is empty.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether there is a cause, and every cause is a verdict on health.
    #[must_use]
    pub const fn only_health(self) -> bool {
        self.0 != 0 && self.0 & !Self::HEALTH.0 == 0
    }

    /// The causes in the set.
    pub fn iter(self) -> impl Iterator<Item = Cause> {
        Cause::ALL.into_iter().filter(move |cause| self.has(*cause))
    }

    /// The state that people see. The gravest cause names it.
    #[must_use]
    pub const fn state(self) -> TargetState {
        if self.has(Cause::Gone) {
            TargetState::Gone
        } else if self.has(Cause::Draining) {
            TargetState::Draining
        } else if self.has(Cause::Starting) {
            TargetState::Starting
        } else if self.0 != 0 {
            TargetState::Unhealthy
        } else {
            TargetState::Healthy
        }
    }
}

impl fmt::Display for Causes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, cause) in self.iter().enumerate() {
            if index > 0 {
                f.write_str(", ")?;
            }
            f.write_str(cause.name())?;
        }
        Ok(())
    }
}

/// A target's state, as metrics, the admin API and logs name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TargetState {
    /// Not yet known to be ready.
    Starting,
    /// May be picked.
    Healthy,
    /// There, but not well or not reachable.
    Unhealthy,
    /// Told to stop; what is in flight finishes.
    Draining,
    /// Dead or removed.
    Gone,
}

impl TargetState {
    /// The name in metrics and the admin API.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
            Self::Draining => "draining",
            Self::Gone => "gone",
        }
    }
}
