//! The document: what the user wrote, in Kong's declarative format, with the place of every key and value.
//!
//! Text is parsed to a tree in which everything knows its place ([`read`] → `tree`), references are expanded in it
//! (`reference`), and the tree is checked against *field tables* (`tables`: one row a key). The same tables make the JSON
//! schema, the reference page and the list of what `POST /config` may say. Only then entities are built (`build`), and what
//! concerns several fields or entities is checked. Nothing stops at the first mistake.
//!
//! Not here: reading files or the environment ([`References`] does), and what of a document depends on the world, such as
//! whether a certificate fits its key.

mod build;
mod check;
mod docs;
mod document;
mod gateway;
mod json;
mod overlap;
mod problem;
mod read;
mod record;
mod reference;
mod rule;
mod schema;
mod secret;
mod suggest;
mod table;
mod tables;
mod tree;
mod units;
mod uuid;

pub use docs::reference_markdown;
pub use document::*;
pub use gateway::*;
pub use json::*;
pub use overlap::{covers, overlap};
pub use problem::{DocumentProblem, Problems};
pub use read::{Read, ReadOptions, Source, read};
pub use reference::{NoReferences, References};
pub use schema::schema;
pub use secret::without_secrets;

#[cfg(test)]
mod tests;
