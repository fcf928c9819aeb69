//! Finds the programs of others that tests need.

use std::io::{self, Write as _};
use std::path::PathBuf;

/// The path of a program. Without it the caller skips its test.
pub(crate) fn tool(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let directories = std::env::split_paths(&path).chain(["/usr/sbin".into()]);
    let found = directories.map(|directory| directory.join(name)).find(|file| file.is_file());
    if found.is_none() {
        missing(name);
    }
    found
}

/// Reports that a test is skipped because something is missing. In CI that is a failure.
pub(crate) fn missing(what: &str) {
    assert!(std::env::var_os("CI").is_none(), "{what} is missing");
    // Not `eprintln`: the harness hides what a passing test prints.
    let _ = io::stderr().write_all(format!("MISSING: {what}\n").as_bytes());
}
