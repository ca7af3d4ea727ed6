//! The control plane over real sockets: what is said is what is served.

mod documents;
mod fixture;
mod listeners;
mod outliers;
mod removed;
mod replicas;
mod slow_start;
