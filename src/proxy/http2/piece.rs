//! A piece of an answer in `h2`'s queue.

use crate::proxy::buffer::Buffer;
use crate::proxy::worker::Worker;
use bytes::{Buf, Bytes};
use std::rc::Rc;

/// Bytes on their way out.
pub(super) enum Piece {
    /// Copied ones, or a frame's.
    Bytes(Bytes),
    /// A pooled buffer, and the pool.
    Buffer(Option<Buffer>, Rc<Worker>),
}

impl Piece {
    /// All of a buffer. It goes out from there, unless it would hold much more memory than it has bytes.
    #[must_use]
    pub(super) fn of_buffer(buffer: Buffer, worker: &Rc<Worker>) -> Self {
        if buffer.is_sparse() {
            let bytes = Bytes::copy_from_slice(buffer.data());
            worker.buffers.put(buffer);
            return Self::Bytes(bytes);
        }
        Self::Buffer(Some(buffer), Rc::clone(worker))
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        if let Self::Buffer(buffer, worker) = self
            && let Some(buffer) = buffer.take()
        {
            worker.buffers.put(buffer);
        }
    }
}

impl Buf for Piece {
    fn remaining(&self) -> usize {
        self.chunk().len()
    }

    fn chunk(&self) -> &[u8] {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Buffer(buffer, _) => buffer.as_ref().map_or(&[], Buffer::data),
        }
    }

    fn advance(&mut self, count: usize) {
        match self {
            Self::Bytes(bytes) => bytes.advance(count),
            Self::Buffer(buffer, _) => {
                if let Some(buffer) = buffer {
                    buffer.advance(count);
                }
            }
        }
    }
}
