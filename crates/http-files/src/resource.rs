//! What a name leads to: a file, its precompressed files, and the names that were tried before it.

use std::ffi::{CStr, CString};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};

use http_core::negotiate::{self, Choice};
use http_core::{Date, FieldValue, Fields, header};
use http_server::freshness::ReceivedAt;
use http_server::{Blocking, Later, Request};

use crate::footprint::{heap, heap_in_arc};
use crate::media_types::{ContentType, UNKNOWN, may_compress};
use crate::open_error::OpenError;
use crate::precompressed::{CODINGS, Precompressed};
use crate::representation::{Description, Representation, read_file};
use crate::root::{Opened, Root};
use crate::settings::Settings;
use crate::stamp::{FileStamp, is_settled};

/// For how many seconds a file is kept open without being used.
const KEPT_OPEN: u64 = 10;

#[derive(Debug)]
pub(crate) struct Resource {
    /// What its paths are beneath.
    pub(crate) root: Arc<Root>,
    plain: Representation,
    encoded: Encoded,
    negative_entries: Box<[NegativeEntry]>,
    /// The second in which [`recheck_lookup`](Resource::recheck_lookup) last succeeded, so that in which it was last used.
    checked_at: AtomicI64,
    /// Bytes of memory that it takes in an `Arc`.
    pub(crate) footprint: usize,
}

/// The precompressed files of a file.
#[derive(Debug)]
enum Encoded {
    /// None is used: the type does not compress, or the owner has turned them off.
    Never,
    /// They were not looked for, because no client has accepted a coding yet. A lookup of three names that usually do
    /// not exist takes as long as the whole response to a cached file.
    Unknown,
    /// They were looked for.
    Known(Precompressed),
}

/// A path beneath a root.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) root: &'a Arc<Root>,
    pub(crate) path: &'a [u8],
}

/// A path that would have been used instead, and the unsuitable file there, or `None` if there was nothing.
pub(crate) type NegativeEntry = (CString, Option<FileStamp>);

/// Whether this client can get a precompressed file, if there is one.
pub(crate) fn accepts_coding(fields: &Fields<'_>) -> bool {
    // If none of all codings is chosen, none of some is.
    fields.get(header::ACCEPT_ENCODING).is_some()
        && matches!(negotiate::content_coding(fields, &CODINGS), Choice::Coded(_))
}

impl Resource {
    /// Reads a file that was opened at this path. If the client `accepts_coding`, and one can be used, its precompressed
    /// files are opened by `open` and read, too.
    pub(crate) fn read(
        Place { root, path }: Place<'_>,
        opened: Opened,
        mut negative_entries: Vec<NegativeEntry>,
        accepts_coding: bool,
        settings: &Settings,
        now: Date,
        open: impl Fn(&CStr) -> Result<Opened, OpenError>,
    ) -> Result<Resource, OpenError> {
        let file = read_file(opened)?;
        let ContentType { media_type, coding } = settings.media_types.of(root.name_of(path), || file.start())?;
        let content_type = FieldValue::new(&media_type).unwrap_or(UNKNOWN);
        // R9110-12.5.5: Accept-Encoding decides about every file of such a type, whether a precompressed file was found,
        // looked for or neither. So a response depends on neither the cache nor the clients that came before, and a
        // precompressed file that is added later reaches the clients of shared caches.
        let varies = settings.precompressed && coding.is_none() && may_compress(content_type);
        let description = Description { content_type, coding, varies };
        let plain = Representation::new(path, file, description, settings, now)?;
        let encoded = match (varies, accepts_coding) {
            (false, _) => Encoded::Never,
            (true, false) => Encoded::Unknown,
            (true, true) => Encoded::Known(Precompressed::read(
                path,
                &plain,
                description,
                &mut negative_entries,
                settings,
                now,
                open,
            )?),
        };
        let negative_entries = negative_entries.into();
        let checked_at = AtomicI64::new(now.unix());
        let root = root.clone();
        let mut resource = Resource { root, plain, encoded, negative_entries, checked_at, footprint: 0 };
        resource.footprint = resource.measure();
        Ok(resource)
    }

    /// The file itself, whatever the client accepts.
    pub(crate) fn plain(&self) -> &Representation {
        &self.plain
    }

    pub(crate) fn representations(&self) -> impl Iterator<Item = &Representation> {
        self.encoded.files().iter().chain([&self.plain])
    }

    /// Whether its precompressed files must be looked for first, because this is the first client that accepts a coding.
    pub(crate) fn needs_lookup(&self, fields: &Fields<'_>) -> bool {
        matches!(self.encoded, Encoded::Unknown) && accepts_coding(fields)
    }

    /// The representation that a client with these request headers prefers.
    pub(crate) fn choose(&self, fields: &Fields<'_>) -> &Representation {
        match &self.encoded {
            Encoded::Known(Precompressed { codings, files, .. }) if !codings.is_empty() => {
                match negotiate::content_coding(fields, codings) {
                    Choice::Coded(n) => &files[n],
                    // A client that accepts neither still gets the plain file instead of an error (RFC 9110 section
                    // 12.5.3).
                    Choice::Identity | Choice::NotAcceptable => &self.plain,
                }
            }
            _ => &self.plain,
        }
    }

    pub(crate) fn trace_choice(&self, chosen: &Representation, request: &Request<'_>) {
        request.trace("--type, --charset", || {
            format!("the media type is {}", chosen.content_type().as_bytes().escape_ascii())
        });
        const RULE: &str = "R9110-12.5.5, --no-precompressed";
        if let Encoded::Known(Precompressed { unusable, .. }) = &self.encoded {
            for (coding, why) in unusable {
                request.trace(RULE, || format!("the precompressed file for {coding} is not used: it {why}"));
            }
        }
        request.trace(RULE, || match (&self.encoded, chosen.coding) {
            (Encoded::Never, _) => "no precompressed file is used for this media type, or for any".into(),
            (Encoded::Unknown, _) => "no precompressed file is looked for: the client accepts none".into(),
            (Encoded::Known(Precompressed { codings, .. }), _) if codings.is_empty() => {
                "no precompressed file can be used".into()
            }
            (Encoded::Known(Precompressed { codings, .. }), None) => {
                let available = codings.join(", ");
                format!("precompressed files exist ({available}), but the client accepts none of them")
            }
            (Encoded::Known(Precompressed { codings, .. }), Some(coding)) => {
                format!("precompressed files exist ({}); the client prefers {coding}", codings.join(", "))
            }
        });
    }

    /// Whether any of its files, or a file that would have been used instead, is on another file system than the root.
    pub(crate) fn is_elsewhere(&self) -> bool {
        let others = self.negative_entries.iter().filter_map(|(_, stamp)| stamp.as_ref());
        self.representations().map(|file| &file.stamp).chain(others).any(|stamp| self.root.is_elsewhere(stamp))
    }

    /// Whether it has not been used for so long that it should not keep descriptors.
    pub(crate) fn is_unused(&self, now: Date) -> bool {
        // Nor after the clock was set back.
        now.unix().abs_diff(self.checked_at.load(Relaxed)) >= KEPT_OPEN
    }

    /// How many descriptors it holds.
    pub(crate) fn descriptors(&self) -> usize {
        self.representations().filter(|file| file.is_open()).count()
    }

    /// Whether no further change to its files can hide in their timestamps.
    pub(crate) fn is_settled(&self, now: Date) -> bool {
        // If the clock was set back, nothing is settled. Otherwise Last-Modified could be later than Date.
        let is_settled = |stamp: FileStamp| is_settled(stamp.modified.max(stamp.changed), now);
        self.representations().all(|file| file.has_reliable_stamp() && is_settled(file.stamp))
    }

    /// Whether the name still leads to this state of `chosen`, for a request received at this time. Other paths that
    /// the name could lead to, and symlinks out of the root on the way, are checked once a second.
    pub(crate) fn is_current(
        &self,
        chosen: &Representation,
        now: Date,
        received_at: ReceivedAt,
        blocking: Blocking<'_>,
    ) -> Result<bool, Later> {
        let is_same = |file: &Representation| {
            file.checked.is_valid_for(received_at, || self.root.stamp(&file.path) == Some(file.stamp))
        };
        // The complete lookup comes first, because it asks before it enters another file system.
        // If `chosen` is the plain file, its second check is free: it was just made.
        Ok(self.recheck_lookup(now, blocking)? && is_same(chosen) && is_same(&self.plain))
    }

    /// Whether a complete lookup would find the same files.
    fn recheck_lookup(&self, now: Date, blocking: Blocking<'_>) -> Result<bool, Later> {
        if self.checked_at.load(Relaxed) == now.unix() {
            return Ok(true);
        }
        blocking.will_block()?;
        for file in self.representations() {
            match self.root.stat_beneath(file.path.to_bytes(), blocking) {
                Ok((_, stamp)) if stamp == file.stamp => {}
                Err(OpenError::Busy) => {} // the cache helps most when nothing can be opened
                Err(OpenError::Later(later)) => return Err(later),
                _ => return Ok(false),
            }
        }
        // They are in the directories of the files.
        let is_same = |(path, stamp): &NegativeEntry| match stamp {
            Some(stamp) => self.root.stamp(path) == Some(*stamp),
            None => !self.root.exists(path), // a new symlink could lead to another file system
        };
        if !self.negative_entries.iter().all(is_same) {
            return Ok(false);
        }
        self.checked_at.store(now.unix(), Relaxed);
        Ok(true)
    }

    fn measure(&self) -> usize {
        let encoded = match &self.encoded {
            Encoded::Known(Precompressed { codings, files, unusable }) => {
                heap(size_of_val(&**codings)) + heap(size_of_val(&**files)) + heap(size_of_val(&**unusable))
            }
            Encoded::Never | Encoded::Unknown => 0,
        };
        let negative_paths = self.negative_entries.iter().map(|(path, _)| heap(path.count_bytes() + 1));
        heap_in_arc(size_of::<Resource>())
            + encoded
            + self.representations().map(Representation::footprint).sum::<usize>()
            + heap(size_of_val(&*self.negative_entries))
            + negative_paths.sum::<usize>()
    }
}

impl Encoded {
    fn files(&self) -> &[Representation] {
        match self {
            Encoded::Known(precompressed) => &precompressed.files,
            Encoded::Never | Encoded::Unknown => &[],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;
    use std::fs;

    // R9110-12.5.5
    #[test]
    fn precompressed_files_are_looked_for_only_if_one_can_be_sent() {
        let directory = tempfile::tempdir().unwrap();
        let root = Arc::new(Root::open(directory.path(), 0).unwrap());
        let now = Date::from_unix(1_000_000_000).unwrap();
        let all = ["a.txt.br", "a.txt.zst", "a.txt.gz"];
        for (name, accepts_coding, precompressed, expected) in [
            ("a.txt", true, true, &all[..]),
            ("a.txt", false, true, &[]),
            ("a.txt", true, false, &[]),
            ("a.png", true, true, &[]),
            ("a.zip", true, true, &[]),
        ] {
            fs::write(directory.path().join(name), "content").unwrap();
            let mut settings = Settings::new();
            settings.precompressed = precompressed;
            let opened = root.open_beneath(name.as_bytes(), Blocking::default()).unwrap();
            let looked_for = RefCell::new(Vec::new());
            let open = |path: &CStr| {
                looked_for.borrow_mut().push(path.to_str().unwrap().to_owned());
                Err(OpenError::NotFound)
            };
            let place = Place { root: &root, path: name.as_bytes() };
            let read = Resource::read(place, opened, Vec::new(), accepts_coding, &settings, now, open).unwrap();
            assert_eq!(*looked_for.borrow(), expected, "{name}");
            assert_eq!(read.negative_entries.len(), expected.len(), "{name}");
            let vary = read.plain.fields.contains(header::VARY);
            assert_eq!(vary, name == "a.txt" && precompressed, "{name}");
            assert_eq!(read.plain.not_modified(&settings).contains(header::VARY), vary, "{name}");
        }
    }
}
