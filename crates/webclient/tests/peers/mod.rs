//! Other programs to test beside, and a server that misbehaves.

#[allow(dead_code, unreachable_pub, reason = "it is a program as well, and each test uses a part of it")]
pub(crate) mod test_double;

use std::io::{self, Write as _};
use std::path::PathBuf;

/// Where a program is. If it is not installed, that is said loudly, and in CI it is a failure.
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
