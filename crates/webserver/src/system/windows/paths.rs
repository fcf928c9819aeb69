//! Paths as messages show them.

use std::io;
use std::path::{Path, PathBuf, absolute};

/// The path from its drive on. Its canonical form would begin with `\\?\`, which few programs understand.
pub(crate) fn full_path(path: &Path) -> io::Result<PathBuf> {
    absolute(path)
}

/// The path in quotes. No name has a quote, and escaped backslashes could not be typed.
pub(crate) fn quoted(path: &Path) -> String {
    format!("\"{}\"", path.display())
}
