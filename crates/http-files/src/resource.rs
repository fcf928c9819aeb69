//! What a name leads to: a file, its precompressed files, and the names that were tried before it.

use std::ffi::CString;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};

use http_core::negotiate::{self, Choice};
use http_core::{Date, FieldValue, Fields};
use http_server::freshness::ReceivedAt;
use http_server::{Blocking, Later, Request};

use crate::media_types::UNKNOWN;
use crate::representation::{Description, Representation};
use crate::root::{FileStamp, OpenError, Opened, Root, is_settled};
use crate::settings::Settings;

/// Content codings and the suffixes of their files, in the order of preference.
const CODINGS: [(&str, &[u8]); 3] = [("br", b".br"), ("zstd", b".zst"), ("gzip", b".gz")];

#[derive(Debug)]
pub(crate) struct Resource {
    plain: Representation,
    codings: Vec<&'static str>,
    /// In the order of `codings`.
    encoded: Vec<Representation>,
    negative_entries: Vec<NegativeEntry>,
    /// The second in which [`recheck_lookup`](Resource::recheck_lookup) last succeeded.
    checked_at: AtomicI64,
}

/// A path that would have been used instead, and the unsuitable file there, or `None` if there was nothing.
pub(crate) type NegativeEntry = (CString, Option<FileStamp>);

impl Resource {
    /// Reads a file that was opened at this path, and its precompressed files.
    pub(crate) fn read(
        path: &[u8],
        opened: Opened,
        mut negative_entries: Vec<NegativeEntry>,
        settings: &Settings,
        now: Date,
        root: &Root,
        open: impl Fn(&[u8]) -> Result<Opened, OpenError>,
    ) -> Result<Resource, OpenError> {
        let mut sidecars = Vec::new();
        for (coding, suffix) in CODINGS.into_iter().filter(|_| settings.precompressed) {
            let path = [path, suffix].concat();
            let Ok(name) = CString::new(&*path) else { continue }; // its prefix was opened, so it contains no NUL
            // Usually it does not exist, and a stat costs half as much as an open that fails. A file that has not settled
            // may be half written, because most programs compress in place. It counts as absent and is checked again
            // each second.
            let found = root.stamp(&name).and_then(|_| open(&path).ok());
            match found.filter(|sidecar| is_settled(sidecar.stamp.modified, now)) {
                Some(sidecar) if is_valid_sidecar(&sidecar, &opened, &sidecars) => {
                    sidecars.push((coding, path, sidecar));
                }
                other => negative_entries.push((name, other.map(|opened| opened.stamp))),
            }
        }
        let content_type = settings.media_types.of(path);
        let content_type = FieldValue::new(&content_type).unwrap_or(UNKNOWN);
        let description = Description { content_type, coding: None, varies: !sidecars.is_empty() };
        let plain = Representation::read(path, opened, description, settings, now)?;
        let (mut codings, mut encoded) = (Vec::new(), Vec::new());
        for (coding, path, sidecar) in sidecars {
            let description = Description { coding: Some(coding), ..description };
            codings.push(coding);
            encoded.push(Representation::read(&path, sidecar, description, settings, now)?);
        }
        Ok(Resource { plain, codings, encoded, negative_entries, checked_at: AtomicI64::new(now.unix()) })
    }

    /// The file itself, whatever the client accepts.
    pub(crate) fn plain(&self) -> &Representation {
        &self.plain
    }

    pub(crate) fn representations(&self) -> impl Iterator<Item = &Representation> {
        self.encoded.iter().chain([&self.plain])
    }

    /// The representation that a client with these request headers prefers.
    pub(crate) fn choose(&self, fields: &Fields<'_>) -> &Representation {
        if self.codings.is_empty() {
            return &self.plain;
        }
        match negotiate::content_coding(fields, &self.codings) {
            Choice::Coded(n) => &self.encoded[n],
            // A client that accepts neither still gets the plain file instead of an error (RFC 9110 section 12.5.3).
            Choice::Identity | Choice::NotAcceptable => &self.plain,
        }
    }

    pub(crate) fn trace_choice(&self, chosen: &Representation, request: &Request<'_>) {
        request.trace("--type, --charset", || {
            format!("the media type is {}", chosen.content_type().as_bytes().escape_ascii())
        });
        request.trace("R9110-12.5.5, --no-precompressed", || {
            let available = self.codings.join(", ");
            match chosen.coding {
                _ if self.codings.is_empty() => {
                    "no precompressed file is used: none is both smaller and no older".into()
                }
                None => format!("precompressed files exist ({available}), but the client accepts none of them"),
                Some(coding) => format!("precompressed files exist ({available}); the client prefers {coding}"),
            }
        });
    }

    /// Whether no further change to its files can hide in their timestamps.
    pub(crate) fn is_settled(&self, now: Date) -> bool {
        // If the clock was set back, nothing is settled. Otherwise Last-Modified could be later than Date.
        self.representations().all(|file| is_settled(file.stamp.modified.max(file.stamp.changed), now))
    }

    /// Whether the name still leads to this state of `chosen`, for a request received at this time. Other paths that
    /// the name could lead to, and symlinks out of the root on the way, are checked once a second.
    pub(crate) fn is_current(
        &self,
        chosen: &Representation,
        root: &Root,
        now: Date,
        received_at: ReceivedAt,
        blocking: Blocking<'_>,
    ) -> Result<bool, Later> {
        let is_same = |file: &Representation| {
            file.checked.is_valid_for(received_at, || root.stamp(&file.path) == Some(file.stamp))
        };
        // If `chosen` is the plain file, the second check is free: it was just made.
        Ok(is_same(chosen) && is_same(&self.plain) && self.recheck_lookup(root, now, blocking)?)
    }

    /// Whether a complete lookup would find the same files.
    fn recheck_lookup(&self, root: &Root, now: Date, blocking: Blocking<'_>) -> Result<bool, Later> {
        if self.checked_at.load(Relaxed) == now.unix() {
            return Ok(true);
        }
        blocking.will_block()?;
        if !self.negative_entries.iter().all(|(path, stamp)| root.stamp(path) == *stamp) {
            return Ok(false);
        }
        for file in self.representations() {
            match root.open_beneath(file.path.to_bytes(), blocking) {
                Ok(opened) if opened.stamp == file.stamp => {}
                Err(OpenError::Busy) => {} // the cache helps most when nothing can be opened
                Err(OpenError::Later(later)) => return Err(later),
                _ => return Ok(false),
            }
        }
        self.checked_at.store(now.unix(), Relaxed);
        Ok(true)
    }
}

/// Whether a precompressed file can be sent instead of the plain one: it is no older, and it is smaller. Entity tags
/// consist of length and time, so no other sidecar may have the same ones.
fn is_valid_sidecar(sidecar: &Opened, plain: &Opened, others: &[(&str, Vec<u8>, Opened)]) -> bool {
    let (own, plain) = (&sidecar.stamp, &plain.stamp);
    sidecar.is_file()
        && own.modified >= plain.modified
        && own.length < plain.length
        && others.iter().all(|(_, _, other)| (other.stamp.length, other.stamp.modified) != (own.length, own.modified))
}
