//! The limits and the rights of this process, and whether its standard streams take a line now.

use std::io::IsTerminal;

/// How a user raises the limit of open files.
pub(crate) const RAISE_MAX_FDS: &str = "close other programs";

/// Windows has no limit of open files, but a process has at most so many handles.
pub(crate) fn max_fds() -> u64 {
    1 << 24
}

/// Whether it may do everything. std does not tell.
pub(crate) fn is_root() -> bool {
    false
}

/// Whether a stream shows colours. A console has to be asked for that, and an old one has none.
pub(crate) fn takes_colours(stream: &impl IsTerminal) -> bool {
    stream.is_terminal() && anstyle_query::windows::enable_ansi_colors() == Some(true)
}

/// Nothing: Windows does not tell whether a stream takes a line.
pub(crate) fn wait_until_writable<S>(_: &S) {}

/// Windows does not tell, so a message is written, which waits for a reader that stopped.
pub(crate) fn is_writable<S>(_: &S) -> bool {
    true
}
