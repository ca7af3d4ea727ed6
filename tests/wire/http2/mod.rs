//! HTTP/2 before a target that speaks HTTP/1.1: frames by hand, so that they may be wrong.

mod floods;
mod frames;
mod h2spec;
mod heads;
mod late;
mod rules;
