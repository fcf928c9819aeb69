//! Visits what is beneath a directory, and is read as an archive of it. It opens one file at a time, by its path beneath
//! the root, and keeps no directory open. It ends only if nothing was left out or changed; otherwise it fails.

use std::fmt::Display;
use std::fs::File;
use std::io::{self, Read};
use std::sync::Arc;

use http_server::{Blocking, FileChanged};

use super::entry::Entries;
use super::names::Names;
use super::{MAX_DEPTH, MAX_ENTRIES, MAX_NAME_BYTES, Slot};
use crate::open_error::OpenError;
use crate::root::{Opened, Root};
use crate::stamp::{FileKind, FileStamp};
use crate::system::read_at;

/// What is visited.
pub(super) struct Tree {
    pub(super) root: Arc<Root>,
    /// Whether names that begin with a dot are.
    pub(super) hidden: bool,
    pub(super) bounds: Bounds,
    /// Taken as long as the stream takes memory.
    pub(super) _slot: Slot,
}

/// How far it goes.
#[derive(Clone, Copy)]
pub(super) struct Bounds {
    pub(super) entries: u64,
    pub(super) depth: usize,
    /// Bytes of names that wait to be visited.
    pub(super) name_bytes: usize,
}

impl Default for Bounds {
    fn default() -> Bounds {
        Bounds { entries: MAX_ENTRIES, depth: MAX_DEPTH, name_bytes: MAX_NAME_BYTES }
    }
}

pub(super) struct TarStream {
    tree: Tree,
    /// Of the entry that was visited last, beneath the root.
    path: Vec<u8>,
    /// The name of the first directory in the archive, with a slash, in place of its path of this length.
    top: (Vec<u8>, usize),
    /// The directories on the way to the entry.
    levels: Vec<Level>,
    /// Entries that were visited.
    visited: u64,
    entries: Entries,
    /// The file whose content is read.
    content: Option<Content>,
    has_ended: bool,
    /// Why it ended early.
    failure: Option<io::Error>,
}

struct Level {
    names: Names,
    /// The length of its path, with a slash at the end.
    path: usize,
    stamp: FileStamp,
}

struct Content {
    file: File,
    stamp: FileStamp,
    read: u64,
}

impl TarStream {
    /// Begins with an open directory. `path` is its path with a slash at the end, or empty; `name` is what it is called in
    /// the archive.
    pub(super) fn new(tree: Tree, path: &[u8], name: &[u8], directory: Opened) -> Result<TarStream, OpenError> {
        let Opened { file, stamp, .. } = directory;
        let names = Names::read(file, path, tree.hidden, tree.bounds.name_bytes)?;
        let levels = vec![Level { names, path: path.len(), stamp }];
        let top = ([name, b"/"].concat(), path.len());
        let mut entries = Entries::default();
        entries.directory(&top.0, &stamp);
        Ok(TarStream {
            tree,
            path: path.to_vec(),
            top,
            levels,
            visited: 1,
            entries,
            content: None,
            has_ended: false,
            failure: None,
        })
    }

    /// Goes on to the next entry.
    fn advance(&mut self) -> io::Result<()> {
        let Some(level) = self.levels.last_mut() else {
            self.entries.finish();
            self.has_ended = true;
            return Ok(());
        };
        self.path.truncate(level.path);
        let Some(name) = level.names.next() else {
            self.levels.pop();
            return Ok(());
        };
        self.path.extend_from_slice(name.bytes);
        let Tree { root, bounds, .. } = &self.tree;
        if name.is_symlink && !is_served(root, &self.path).map_err(|error| self.failed(error))? {
            return Ok(());
        }
        self.visited += 1;
        if self.visited > bounds.entries {
            return Err(self.failed(format_args!("is one of more than {} entries", bounds.entries)));
        }
        // A read of this body has a permit for what may never end.
        match root.open_beneath(&self.path, Blocking::default()) {
            Ok(Opened { file, kind: FileKind::File, stamp, .. }) => {
                self.entries.file(&self.name(), &stamp);
                self.content = Some(Content { file, stamp, read: 0 });
                Ok(())
            }
            Ok(Opened { file, stamp, .. }) => self.enter(file, stamp),
            Err(OpenError::NotFound) => Err(io::Error::other(FileChanged)),
            Err(error) => Err(self.failed(error)),
        }
    }

    /// Enters the directory that the path leads to. A symlink may lead back to one on the way: that one is in the archive
    /// already, and the symlink leads to it there, too.
    fn enter(&mut self, directory: File, stamp: FileStamp) -> io::Result<()> {
        let above = self.levels.iter().rev().position(|level| level.stamp.is_same_file(&stamp));
        if let Some(above) = above {
            let target = if above == 0 { b".".to_vec() } else { vec![&b".."[..]; above].join(&b'/') };
            self.entries.symlink(&self.name(), &target, &stamp);
            return Ok(());
        }
        let Bounds { depth, name_bytes, .. } = self.tree.bounds;
        if self.levels.len() == depth {
            return Err(self.failed(format_args!("is more than {depth} directories deep")));
        }
        self.path.push(b'/');
        self.entries.directory(&self.name(), &stamp);
        let waiting: usize = self.levels.iter().map(|level| level.names.size()).sum();
        let names = match Names::read(directory, &self.path, self.tree.hidden, name_bytes - waiting) {
            Ok(names) => names,
            Err(OpenError::NotFound) => return Err(io::Error::other(FileChanged)),
            Err(error) => return Err(self.failed(error)),
        };
        self.levels.push(Level { names, path: self.path.len(), stamp });
        Ok(())
    }

    /// Reads on in a file. It must keep its length and modification time, as a download.
    fn read_content(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(Content { file, stamp, read }) = &mut self.content else { return Ok(0) };
        let left = stamp.length - *read;
        let piece = left.min(buffer.len() as u64);
        let result = read_at(file, *read, &mut buffer[..piece as usize]).and_then(|n| {
            let now = FileStamp::of(file)?;
            let is_same = n as u64 == piece && (now.length, now.modified) == (stamp.length, stamp.modified);
            // Some file systems do not say the length.
            let ends_there = piece < left || read_at(file, stamp.length, &mut [0])? == 0;
            Ok(if is_same && ends_there { Some(n) } else { None })
        });
        match result {
            Ok(Some(n)) => {
                *read += piece;
                if piece == left {
                    self.entries.pad(stamp.length);
                    self.content = None;
                }
                Ok(n)
            }
            Ok(None) => Err(io::Error::other(FileChanged)),
            Err(error) => Err(self.failed(error)),
        }
    }

    /// What the entry is called in the archive.
    fn name(&self) -> Vec<u8> {
        let (name, path) = &self.top;
        [name, &self.path[*path..]].concat()
    }

    fn failed(&self, why: impl Display) -> io::Error {
        io::Error::other(format!("\"/{}\" {why}", self.path.escape_ascii()))
    }
}

/// Whether a symlink leads to something that is served. Others are in no listing either.
fn is_served(root: &Root, path: &[u8]) -> Result<bool, OpenError> {
    match root.stat_beneath(path, Blocking::default()) {
        Ok(_) => Ok(true),
        Err(OpenError::Busy) => Err(OpenError::Busy),
        Err(_) => Ok(false),
    }
}

impl Read for TarStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            let rest = &mut buffer[filled..];
            match self.entries.read(rest)? {
                0 if self.content.is_some() => filled += self.read_content(rest)?,
                0 if self.has_ended => match self.failure.take_if(|_| filled == 0) {
                    Some(error) => return Err(error),
                    None => break,
                },
                0 => {
                    if let Err(error) = self.advance() {
                        self.entries.break_off(&self.name());
                        (self.has_ended, self.failure) = (true, Some(error));
                    }
                }
                n => filled += n,
            }
        }
        Ok(filled)
    }
}
