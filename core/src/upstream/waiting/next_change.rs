//! A request that waits for a pool's next change.

use crate::upstream::Upstream;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// Ready at the next change of a pool or of a target's causes. Whoever awaits it sets a limit: 50 ms.
#[derive(Debug)]
pub struct NextChange {
    upstream: Arc<Upstream>,
    seen: u64,
    number: Option<u64>,
}

impl NextChange {
    pub(in crate::upstream) const fn new(upstream: Arc<Upstream>, seen: u64) -> Self {
        Self { upstream, seen, number: None }
    }
}

impl Future for NextChange {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        if this.upstream.changes().poll(this.seen, &mut this.number, cx.waker()) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }
}

impl Drop for NextChange {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            self.upstream.changes().leave(number);
        }
    }
}
