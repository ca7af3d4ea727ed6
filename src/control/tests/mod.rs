//! The control plane over real sockets.
