//! Tests of `-o`, `-O`, `-C` and `--retry`, from the arguments to the files, against a server with a script for each test.
// Clippy then treats the helpers, too, as test code.
#![cfg(test)]

mod files;
mod resume;
mod scripted;
