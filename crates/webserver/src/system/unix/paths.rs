//! Paths as messages show them.

use std::io;
use std::path::{Path, PathBuf};

/// The path from the root of the file system, without symlinks.
pub(crate) fn full_path(path: &Path) -> io::Result<PathBuf> {
    path.canonicalize()
}

/// The path in quotes. Its control characters and quotes are escaped.
pub(crate) fn quoted(path: &Path) -> String {
    format!("{path:?}")
}
