//! What a name leads to: a file, its codings in files beside it, and the names that were passed over on the way.

use std::ffi::CString;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};

use http_core::negotiate::{self, Choice};
use http_core::{Date, Fields};

use crate::representation::{Description, Representation};
use crate::root::{OpenError, Opened, Root, State, is_settled};
use crate::settings::Settings;
use http_server::Request;
use http_server::freshness::ReceivedAt;

/// Codings and the names of their files, the best first.
const CODINGS: [(&str, &[u8]); 3] = [("br", b".br"), ("zstd", b".zst"), ("gzip", b".gz")];

#[derive(Debug)]
pub(crate) struct Resource {
    plain: Representation,
    codings: Vec<&'static str>,
    /// In the order of `codings`.
    coded: Vec<Representation>,
    negative_entries: Vec<NegativeEntry>,
    /// The second in which `negative_entries` was looked at last.
    looked: AtomicI64,
}

/// A name that would have come first, had it been there or been right, and what was there; `None`: nothing.
pub(crate) type NegativeEntry = (CString, Option<State>);

impl Resource {
    /// Reads a file that was opened under this path, and what stands beside it.
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
        for (coding, suffix) in CODINGS.into_iter().filter(|_| settings.sidecars) {
            let path = [path, suffix].concat();
            let Ok(name) = CString::new(&*path) else { continue }; // there is no NUL in it: its beginning has been opened
            // Mostly there is none, which a look tells for half of what an open costs. What is young may be half written: most
            // programs write a coding in its place. It counts as absent, so that it is looked at again in the next second,
            // changed or not.
            let found = root.state(&name).and_then(|_| open(&path).ok());
            let found = found.filter(|sidecar| is_settled(sidecar.state.modified, now));
            match found {
                Some(sidecar) if is_valid_sidecar(&sidecar, &opened, &sidecars) => {
                    sidecars.push((coding, path, sidecar));
                }
                other => negative_entries.push((name, other.map(|opened| opened.state))),
            }
        }
        let content_type = settings.types.of(path);
        let kind = Description { content_type: &content_type, coding: None, varies: !sidecars.is_empty() };
        let plain = Representation::read(path, opened, kind, settings, now)?;
        let (mut codings, mut coded) = (Vec::new(), Vec::new());
        for (coding, path, sidecar) in sidecars {
            codings.push(coding);
            coded.push(Representation::read(
                &path,
                sidecar,
                Description { coding: Some(coding), ..kind },
                settings,
                now,
            )?);
        }
        Ok(Resource { plain, codings, coded, negative_entries, looked: AtomicI64::new(now.unix()) })
    }

    /// Which of its forms a client with these fields would like best.
    pub(crate) fn choose(&self, fields: &Fields<'_>) -> &Representation {
        if self.codings.is_empty() {
            return &self.plain;
        }
        match negotiate::content_coding(fields, &self.codings) {
            Choice::Coded(n) => &self.coded[n],
            // RFC 9110 §12.5.3: to who takes neither, better this than nothing.
            Choice::Identity | Choice::NotAcceptable => &self.plain,
        }
    }

    /// DecisionTrace what was chosen, and from what.
    pub(crate) fn trace_choice(&self, chosen: &Representation, request: &Request<'_>) {
        request
            .trace("--type, --charset", || format!("the type is {}", chosen.content_type().as_bytes().escape_ascii()));
        request.trace("R9110-12.5.5, --no-precompressed", || match (chosen.coding, self.codings.is_empty()) {
            (_, true) => "no coding of it is used: none stands beside it, or not a newer and shorter one".into(),
            (None, false) => format!("of its codings {} the client takes none", self.codings.join(", ")),
            (Some(coding), false) => {
                format!("of its codings {} the client likes {coding} best", self.codings.join(", "))
            }
        });
    }

    /// As it is, whatever the client can decode.
    pub(crate) fn plain(&self) -> &Representation {
        &self.plain
    }

    pub(crate) fn entries(&self) -> impl Iterator<Item = &Representation> {
        self.coded.iter().chain([&self.plain])
    }

    /// Whether, for a request that was whole at this moment, the name leads to this very state of this form of it. What it
    /// would lead to otherwise, and whether directories on the way have become links out of the root, is looked at once a
    /// second.
    pub(crate) fn is_current(&self, chosen: &Representation, root: &Root, now: Date, received_at: ReceivedAt) -> bool {
        let is_coded = !std::ptr::eq(chosen, &self.plain);
        let is_same = |entry: &Representation| {
            entry.looked.is_valid_for(received_at, || root.state(&entry.path) == Some(entry.state))
        };
        (!is_coded || is_same(chosen)) && is_same(&self.plain) && self.recheck_lookup(root, now)
    }

    fn recheck_lookup(&self, root: &Root, now: Date) -> bool {
        if self.looked.load(Relaxed) == now.unix() {
            return true;
        }
        let holds = self.negative_entries.iter().all(|(path, state)| root.state(path) == *state)
            && self.entries().all(|entry| match root.open_below(entry.path.to_bytes()) {
                Ok(opened) => opened.state == entry.state,
                Err(denied) => denied == OpenError::Busy, // what is kept helps most when nothing can be opened
            });
        if holds {
            self.looked.store(now.unix(), Relaxed);
        }
        holds
    }
}

/// Whether a file is a coding of this state of another: it is not older, saves something, and could not be taken for one
/// of the others by its entity tag, which is made of length and time.
fn is_valid_sidecar(sidecar: &Opened, plain: &Opened, others: &[(&str, Vec<u8>, Opened)]) -> bool {
    let (its, own) = (&sidecar.state, &plain.state);
    let is_told_apart = |other: &State| (other.length, other.modified) != (its.length, its.modified);
    sidecar.is_file()
        && its.modified >= own.modified
        && its.length < own.length
        && others.iter().all(|(_, _, other)| is_told_apart(&other.state))
}
