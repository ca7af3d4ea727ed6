//! The allocator gives back to the kernel what was freed when a thread has allocated thousands of times more. While memory is
//! short and requests are shed, nothing does that, and memory would be short for ever.

#![expect(unsafe_code, reason = "no safe crate asks mimalloc for what it keeps")]

// For its library, which is linked where its crate is used.
use mimalloc as _;

// SAFETY: as mimalloc.h declares it. It takes no pointer and may be called by any thread, at any time.
unsafe extern "C" {
    safe fn mi_collect(force: bool);
}

/// Gives back what this thread has freed. Takes a few milliseconds.
pub(super) fn give_back() {
    mi_collect(true);
}

#[cfg(test)]
mod tests {
    /// Whether it helps is seen in a container only: here another allocator may be in use.
    #[test]
    fn memory_in_use_stays_when_the_rest_is_given_back() {
        let kept: Vec<Vec<usize>> = (0..1000).map(|n| vec![n; 100]).collect();
        let freed: Vec<Vec<usize>> = (0..1000).map(|n| vec![n; 1000]).collect();
        drop(freed);
        super::give_back();
        assert!(kept.iter().enumerate().all(|(n, kept)| kept.iter().all(|have| *have == n)));
    }
}
