//! What is known of a file: one state of it, the fields that tell of it, and its content.

use std::ffi::CString;
use std::iter::repeat_n;
use std::mem::replace;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use http_core::conditional::{FileTag, Validators};
use http_core::{Date, FieldBlock, FieldValue, header};

use crate::push;
use crate::root::{OpenError, Opened, State, read};
use crate::settings::Settings;
use http_server::Body;
use http_server::freshness::SharedCheck;

/// Files up to here go out from memory, head and body in one call; larger ones by `sendfile`.
pub(crate) const SMALL: u64 = 16 << 10;

/// How often a file that changes while it is read is read anew.
const TRIES: u32 = 3;

const UNKNOWN: FieldValue<'static> = FieldValue::from_static("application/octet-stream");

/// A file, to be answered with.
#[derive(Debug)]
pub(crate) struct Representation {
    /// Relative to the root.
    pub(crate) path: CString,
    pub(crate) state: State,
    /// When its path was last found to lead to this state.
    pub(crate) looked: SharedCheck,
    /// Those of the plain answer, 200.
    pub(crate) fields: Arc<FieldBlock>,
    /// Those of 304: what a cache needs of them (R9110-15.4.5).
    pub(crate) not_modified: Arc<FieldBlock>,
    content_type: Box<[u8]>,
    /// How it is coded.
    pub(crate) coding: Option<&'static str>,
    tag: Option<FileTag>,
    last_modified: Option<Date>,
    content: Content,
}

/// What a file is, beside its content.
#[derive(Clone, Copy)]
pub(crate) struct Description<'a> {
    pub(crate) content_type: &'a [u8],
    pub(crate) coding: Option<&'static str>,
    /// Whether there is a choice of codings.
    pub(crate) varies: bool,
}

#[derive(Debug)]
enum Content {
    Memory(Arc<[u8]>),
    File(Arc<std::fs::File>),
}

impl Representation {
    /// Reads what was opened under this path. State, fields and content are those of one moment.
    pub(crate) fn read(
        path: &[u8],
        opened: Opened,
        kind: Description<'_>,
        settings: &Settings,
        now: Date,
    ) -> Result<Representation, OpenError> {
        let Opened { file, mut state, .. } = opened;
        let content = content(file, &mut state)?;
        // Times 0 and 1 are those of files that have none, and tell nothing of a change.
        let seconds = i64::try_from(state.modified.div_euclid(1_000_000_000)).ok().filter(|seconds| *seconds > 1);
        // R9110-8.8.2: earlier than Date, so that its second is over and a later change shows.
        let last_modified = seconds.and_then(Date::from_unix).filter(|date| *date < now);
        let tag = seconds.map(|_| FileTag::new(state.length, state.modified, now));

        let mut of_both = FieldBlock::new();
        if let Some(tag) = &tag {
            push(&mut of_both, header::ETAG, tag.value());
        }
        if let Some(date) = last_modified {
            push(&mut of_both, header::LAST_MODIFIED, date.text().value());
        }
        if let Some(value) = settings.cache_control() {
            push(&mut of_both, header::CACHE_CONTROL, value);
        }
        if kind.varies {
            push(&mut of_both, header::VARY, FieldValue::from_static("Accept-Encoding")); // R9110-12.5.5
        }
        let mut fields = FieldBlock::new();
        push(&mut fields, header::CONTENT_TYPE, FieldValue::new(kind.content_type).unwrap_or(UNKNOWN));
        if let Some(coding) = kind.coding {
            push(&mut fields, header::CONTENT_ENCODING, FieldValue::from_static(coding));
        }
        push(&mut fields, header::ACCEPT_RANGES, FieldValue::from_static("bytes"));
        fields.append(&of_both);
        settings.add_common_headers(&mut fields);
        settings.add_common_headers(&mut of_both);

        let path = CString::new(path).map_err(|_| OpenError::NotFound)?; // there is no NUL in it: it has been opened
        let (fields, not_modified) = (Arc::new(fields), Arc::new(of_both));
        let content_type = kind.content_type.into();
        let coding = kind.coding;
        let looked = SharedCheck::default();
        Ok(Representation {
            path,
            state,
            looked,
            fields,
            not_modified,
            content_type,
            coding,
            tag,
            last_modified,
            content,
        })
    }

    pub(crate) fn validators(&self) -> Validators<'_> {
        Validators { etag: self.tag.as_ref().map(FileTag::as_tag), last_modified: self.last_modified }
    }

    pub(crate) fn content_type(&self) -> FieldValue<'_> {
        FieldValue::new(&self.content_type).unwrap_or(UNKNOWN)
    }

    /// Bytes of its content.
    pub(crate) fn length(&self) -> u64 {
        self.state.length
    }

    /// Whether it costs a descriptor.
    pub(crate) fn is_open(&self) -> bool {
        matches!(self.content, Content::File(_))
    }

    /// All of its content.
    pub(crate) fn whole(&self) -> Body {
        match &self.content {
            Content::Memory(bytes) => Body::Shared(bytes.clone()),
            Content::File(file) => self.file(file, 0, self.length()),
        }
    }

    /// The bytes from offset `start` to before offset `end`, which there are.
    pub(crate) fn part(&self, start: u64, end: u64) -> Body {
        match &self.content {
            Content::Memory(bytes) => Body::Bytes(bytes[start as usize..end as usize].to_vec().into()),
            Content::File(file) => self.file(file, start, end - start),
        }
    }

    fn file(&self, file: &Arc<std::fs::File>, offset: u64, length: u64) -> Body {
        Body::File { file: file.clone(), offset, length, modified: self.state.modified() }
    }
}

/// The content of a file in this state, or in the later one that is put in its place: never half of each, but in the midst
/// of a single `write`, where the kernel has dated the file and not yet filled it. What is kept has long been at rest.
fn content(file: OwnedFd, state: &mut State) -> Result<Content, OpenError> {
    for _ in 0..TRIES {
        if state.length > SMALL {
            return Ok(Content::File(Arc::new(file.into())));
        }
        let mut bytes: Arc<[u8]> = repeat_n(0, state.length as usize).collect();
        let filled = read(&file, Arc::make_mut(&mut bytes))?;
        let before = replace(state, State::of(&file)?);
        if *state == before && filled == bytes.len() {
            return Ok(Content::Memory(bytes));
        }
    }
    Err(OpenError::Changing)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::root::Root;
    use std::fs;

    // What was opened may have changed before it is read.
    #[test]
    fn state_and_content_are_of_one_moment() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        let root = Root::open(directory.path()).unwrap();
        let now = Date::from_unix(1_000_000_000).unwrap();
        let settings = Settings::new();
        let kind = Description { content_type: b"a/b", coding: None, varies: false };
        for (before, after) in [(0, 7), (7, 0), (7, 12), (12, 7), (7, 20_000), (20_000, 7)] {
            fs::write(&path, vec![b'a'; before]).unwrap();
            let opened = root.open_below(b"file").unwrap();
            fs::write(&path, vec![b'b'; after]).unwrap();
            let entry = Representation::read(b"file", opened, kind, &settings, now).unwrap();
            match &entry.content {
                Content::Memory(bytes) => {
                    assert_eq!(**bytes, vec![b'b'; after], "from {before}");
                    assert_eq!(Some(entry.state), root.state(c"file"), "from {before} to {after}");
                }
                // A descriptor's content is that of the moment when it is sent; if it is shorter, the connection closes.
                Content::File(_) => assert!(before.max(after) == 20_000),
            }
        }
    }
}
