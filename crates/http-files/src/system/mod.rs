//! What each system does in a way of its own: how a name is found and opened, what a file says of itself, and how a
//! directory is read. `linux` has what only Linux can do. `portable` does the same with what every system has, in the
//! words of `unix` or `windows`; it is used elsewhere, and on Linux where there is no procfs.

#[cfg(target_os = "linux")]
mod linux;
mod portable;
#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;
#[cfg(any(windows, test))]
mod windows_names;

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests;
#[cfg(test)]
#[cfg(windows)]
mod windows_tests;

use std::fs::File;

use crate::stamp::{FileKind, FileStamp};

#[cfg(target_os = "linux")]
pub(crate) use linux::{BaseDirectory, directory_id, stat_entry};
#[cfg(not(target_os = "linux"))]
pub(crate) use portable::{BaseDirectory, directory_id, stat_entry};
#[cfg(unix)]
pub(crate) use unix::*;
#[cfg(windows)]
pub(crate) use windows::*;

/// A file or directory that was found below the root and may be served.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) status: Status,
    place: Place,
}

/// What is found, as far as it may be served.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Status {
    pub(crate) kind: FileKind,
    pub(crate) stamp: FileStamp,
    /// It has a size, but no content on a disk: it is a hole, or not what it says.
    pub(crate) has_no_blocks: bool,
}

/// Where what was found is opened. A directory that is `None` is the root.
#[derive(Debug)]
enum Place {
    /// The file itself, which was found without being opened (`O_PATH`).
    #[cfg(target_os = "linux")]
    Descriptor(File),
    /// A name in a directory, which is not followed.
    Name { directory: Option<File>, name: Vec<u8> },
    /// A path from the root, which is followed wherever it leads.
    Path(Vec<u8>),
    /// This directory.
    Directory(Option<File>),
}

/// What a name in a directory stands for.
#[derive(Debug)]
pub(crate) enum Node {
    /// To look up names in it.
    Directory(File),
    /// With its text.
    Symlink(Vec<u8>),
    /// With the descriptor that it was found by, if it was.
    File(Status, Option<File>),
    /// It is never opened: to open a FIFO would wake its writer, which then gets a SIGPIPE, and to open a device may do
    /// anything (V25).
    Other,
}

impl Found {
    /// A file with this name in this directory.
    pub(crate) fn file(directory: Option<File>, name: Vec<u8>, status: Status, file: Option<File>) -> Found {
        let place = match file {
            #[cfg(target_os = "linux")]
            Some(file) => Place::Descriptor(file),
            _ => Place::Name { directory, name },
        };
        Found { status, place }
    }
}

/// What a name in a directory stands for, which was looked at and neither opened for reading nor followed.
struct Looked {
    kind: Kind,
    device: u64,
}

enum Kind {
    Served(Status),
    Symlink,
    Other,
}

/// How a file is found and opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    /// The kernel resolves the whole path.
    #[cfg(target_os = "linux")]
    Openat2,
    /// Each component is found without being opened.
    #[cfg(target_os = "linux")]
    Components,
    /// Each component is found, and then opened, if it is a directory or the file. What is opened has to be what was
    /// found.
    Portable,
}

impl Method {
    #[cfg(all(test, unix))]
    pub(crate) const ALL: &[Method] = &[
        #[cfg(target_os = "linux")]
        Method::Openat2,
        #[cfg(target_os = "linux")]
        Method::Components,
        Method::Portable,
    ];
}
