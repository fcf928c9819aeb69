//! Small worlds, exhaustively: every sequence of a few tokens goes through each machine in any pieces, and every small
//! value through each reader beside a naive one.
//!
//! Before a release, `WORLDS=all` makes the sequences longer: see `fuzz/README.md`.
// Makes Clippy treat the helpers as test code, too.
#![cfg(test)]

mod dates;
mod drive;
mod machines;
mod naive;
mod reencode;
mod sequences;
mod values;
