//! A file ready to be sent: one state of it, the headers that describe it, and its content.

use std::borrow::Cow;
use std::cell::Cell;
use std::ffi::CString;
use std::io::{Cursor, Read};
use std::iter::repeat_n;
use std::mem::replace;
use std::sync::{Arc, OnceLock};

use http_core::conditional::{FileTag, Validators};
use http_core::{Date, FieldBlock, FieldValue, header};
use http_server::Body;
use http_server::freshness::SharedCheck;
use xxhash_rust::xxh3::xxh3_128;

use crate::fields::push;
use crate::footprint::{heap, heap_in_arc};
use crate::media_types::{START, UNKNOWN};
use crate::open_error::OpenError;
use crate::root::Opened;
use crate::settings::Settings;
use crate::stamp::{FileStamp, NANOS_PER_SEC};
use crate::system::{ends_at, read, read_at, read_on};

/// Files of up to 16 KiB are kept in memory and sent together with their headers in one call. Larger ones are sent by
/// `sendfile`.
pub(crate) const SMALL: u64 = 16 << 10;

/// How often a file is read before it counts as changing all the time.
const TRIES: u32 = 3;

#[derive(Debug)]
pub(crate) struct Representation {
    /// Relative to the root.
    pub(crate) path: CString,
    pub(crate) stamp: FileStamp,
    /// When `path` was last found to lead to this stamp.
    pub(crate) checked: SharedCheck,
    /// The headers of a 200.
    pub(crate) fields: Arc<FieldBlock>,
    /// The headers of a 304, made for the first one.
    not_modified: OnceLock<Arc<FieldBlock>>,
    /// Whether the client's Accept-Encoding decides which file is sent.
    varies: bool,
    pub(crate) coding: Option<&'static str>,
    tag: Option<FileTag>,
    last_modified: Option<Date>,
    content: Content,
    /// The size of the file is that of its content. Otherwise its times say nothing about its content, either.
    is_sized: bool,
}

/// A file that was read, before it is known what its headers say.
#[derive(Debug)]
pub(crate) struct ReadFile {
    content: Content,
    stamp: FileStamp,
    is_sized: bool,
}

/// What the headers say about a file beside its state.
#[derive(Clone, Copy)]
pub(crate) struct Description<'a> {
    pub(crate) content_type: FieldValue<'a>,
    pub(crate) coding: Option<&'static str>,
    /// Whether the client's Accept-Encoding decides which file is sent.
    pub(crate) varies: bool,
}

#[derive(Debug)]
enum Content {
    Memory(Arc<[u8]>),
    File(Arc<std::fs::File>),
    /// Of unknown length: its start, and the file, whose position is behind that. It can be sent once.
    Stream(Vec<u8>, Arc<std::fs::File>),
}

impl Representation {
    /// A file that was read at this path. Stamp, headers and content describe the same state.
    pub(crate) fn new(
        path: &[u8],
        ReadFile { content, stamp, is_sized }: ReadFile,
        description: Description<'_>,
        settings: &Settings,
        now: Date,
    ) -> Result<Representation, OpenError> {
        // Earlier than Date: that second is over, so any later change gets another one (R9110-8.8.2).
        let last_modified = meaningful_second(stamp.modified).filter(|_| is_sized).and_then(Date::from_unix);
        let last_modified = last_modified.filter(|date| *date < now);
        let tag = match &content {
            Content::Stream(..) => None,
            _ if settings.mirror_etags => meaningful_second(stamp.modified)
                .filter(|_| is_sized)
                .map(|_| FileTag::weak(stamp.length, stamp.modified, now)),
            // Different contents do not share a hash of 128 bits by accident. Whoever writes both of them on purpose
            // could do as much harm with one.
            Content::Memory(bytes) => Some(FileTag::from_hash(xxh3_128(bytes))),
            Content::File(_) => meaningful_second(stamp.changed)
                .map(|_| FileTag::from_times(stamp.length, stamp.modified, stamp.changed, now)),
        };

        let path = CString::new(path).map_err(|_| OpenError::NotFound)?; // it was opened, so it contains no NUL
        let mut file = Representation {
            path,
            stamp,
            checked: SharedCheck::default(),
            fields: Arc::default(),
            not_modified: OnceLock::new(),
            varies: description.varies,
            coding: description.coding,
            tag,
            last_modified,
            content,
            is_sized,
        };
        file.fields = made(|fields| {
            push(fields, header::CONTENT_TYPE, description.content_type);
            if let Some(coding) = description.coding {
                push(fields, header::CONTENT_ENCODING, FieldValue::from_static(coding));
            }
            if file.length().is_some() {
                push(fields, header::ACCEPT_RANGES, FieldValue::from_static("bytes"));
            }
            file.push_fields_for_caches(fields, settings);
        });
        Ok(file)
    }

    /// The headers of a 304: those that a cache needs (R9110-15.4.5).
    pub(crate) fn not_modified(&self, settings: &Settings) -> Arc<FieldBlock> {
        self.not_modified.get_or_init(|| made(|fields| self.push_fields_for_caches(fields, settings))).clone()
    }

    fn push_fields_for_caches(&self, fields: &mut FieldBlock, settings: &Settings) {
        if let Some(tag) = &self.tag {
            push(fields, header::ETAG, tag.value());
        }
        if let Some(date) = self.last_modified {
            push(fields, header::LAST_MODIFIED, date.text().value());
        }
        fields.append(settings.file_headers(self.plain_path()));
        if self.varies {
            push(fields, header::VARY, FieldValue::from_static("Accept-Encoding")); // R9110-12.5.5
        }
        settings.add_common_headers(fields);
    }

    /// The path of the file, or of the one that this is a precompressed file of.
    fn plain_path(&self) -> &[u8] {
        let path = self.path.to_bytes();
        // A coding that belongs to the file's own format does not vary.
        let coding = self.coding.filter(|_| self.varies);
        let length = coding.and_then(|_| path.iter().rposition(|&c| c == b'.'));
        &path[..length.unwrap_or(path.len())]
    }

    pub(crate) fn validators(&self) -> Validators<'_> {
        Validators { etag: self.tag.as_ref().map(FileTag::as_tag), last_modified: self.last_modified }
    }

    /// Whether a cache could take one for the other.
    pub(crate) fn shares_tag(&self, other: &Representation) -> bool {
        let [own, other] = [self, other].map(|file| file.validators().etag);
        own.zip(other).is_some_and(|(own, other)| own.matches_weakly(other))
    }

    pub(crate) fn content_type(&self) -> FieldValue<'_> {
        self.fields.iter().find(|(name, _)| *name == header::CONTENT_TYPE).map_or(UNKNOWN, |(_, value)| value)
    }

    /// Bytes of its content, unless only reading it can tell.
    pub(crate) fn length(&self) -> Option<u64> {
        match &self.content {
            Content::Memory(bytes) => Some(bytes.len() as u64),
            Content::File(_) => Some(self.stamp.length),
            Content::Stream(..) => None,
        }
    }

    /// The length of its file, if that is a file whose size is that of its content.
    pub(crate) fn file_size(&self) -> Option<u64> {
        Some(self.stamp.length).filter(|_| self.is_sized)
    }

    /// Whether its stamp changes with its content. A file that is empty may get a content and still say that it is empty.
    pub(crate) fn has_reliable_stamp(&self) -> bool {
        self.is_sized && self.stamp.length > 0
    }

    /// Whether it holds a file descriptor.
    pub(crate) fn is_open(&self) -> bool {
        !matches!(self.content, Content::Memory(_))
    }

    /// Reads these bytes of its content, or fewer if it ends before.
    pub(crate) fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, OpenError> {
        match &self.content {
            Content::Memory(bytes) => {
                let rest = bytes.get(offset as usize..).unwrap_or_default();
                let n = rest.len().min(buffer.len());
                buffer[..n].copy_from_slice(&rest[..n]);
                Ok(n)
            }
            Content::File(file) | Content::Stream(_, file) => read_at(file, offset, buffer),
        }
    }

    /// Bytes on the heap, once the headers of a 304 have been made.
    pub(crate) fn footprint(&self) -> usize {
        let block = |fields: &FieldBlock| heap_in_arc(size_of::<FieldBlock>()) + heap(fields.as_bytes().len());
        let content = match &self.content {
            Content::Memory(bytes) => heap_in_arc(bytes.len()),
            Content::File(file) => heap_in_arc(size_of_val(&**file)),
            Content::Stream(start, file) => heap(start.capacity()) + heap_in_arc(size_of_val(&**file)),
        };
        // The headers of a 304 are some of those of a 200.
        heap(self.path.count_bytes() + 1) + 2 * block(&self.fields) + content
    }

    pub(crate) fn full(&self) -> Body {
        match &self.content {
            Content::Memory(bytes) => Body::Shared(bytes.clone()),
            Content::File(file) => self.file(file, 0, self.stamp.length),
            Content::Stream(start, file) => {
                Body::Reader { reader: Box::new(Cursor::new(start.clone()).chain(file.clone())), length: None }
            }
        }
    }

    /// The bytes `start..end`, which must lie inside the content.
    pub(crate) fn part(&self, start: u64, end: u64) -> Body {
        match &self.content {
            Content::Memory(bytes) => Body::Bytes(bytes[start as usize..end as usize].to_vec().into()),
            Content::File(file) => self.file(file, start, end - start),
            Content::Stream(..) => self.full(),
        }
    }

    fn file(&self, file: &Arc<std::fs::File>, offset: u64, length: u64) -> Body {
        Body::File { file: file.clone(), offset, length, modified: self.stamp.modified_time() }
    }
}

impl ReadFile {
    /// Its first [`START`] bytes, or all of them.
    pub(crate) fn start(&self) -> Result<Cow<'_, [u8]>, OpenError> {
        Ok(match &self.content {
            Content::Memory(bytes) => bytes[..bytes.len().min(START)].into(),
            Content::Stream(start, _) => start[..start.len().min(START)].into(),
            Content::File(file) => {
                let mut start = vec![0; START];
                let n = read_at(file, 0, &mut start)?;
                start.truncate(n);
                start.into()
            }
        })
    }
}

thread_local! {
    /// Headers are written into this block, which has grown, and then copied, without space to grow.
    static BLOCK: Cell<FieldBlock> = const { Cell::new(FieldBlock::new()) };
}

fn made(write: impl FnOnce(&mut FieldBlock)) -> Arc<FieldBlock> {
    let mut block = BLOCK.take();
    block.clear();
    write(&mut block);
    let copy = Arc::new(block.clone());
    BLOCK.set(block);
    copy
}

/// Whole seconds since 1970. Tools that strip timestamps write 0 or 1, and some file systems have no times. Then they
/// say nothing about changes.
fn meaningful_second(nanoseconds: i128) -> Option<i64> {
    i64::try_from(nanoseconds.div_euclid(NANOS_PER_SEC)).ok().filter(|second| !matches!(second, 0 | 1))
}

/// Reads the content in its current state, and returns it with the stamp of that. Two states are never mixed, except
/// inside one `write`: the kernel dates the file before it copies the bytes. Only settled files are cached.
///
/// The files of some file systems do not say their size, but 0 (procfs, FUSE) or more than there is (sysfs). Such a file
/// is read to its end.
pub(crate) fn read_file(Opened { file, mut stamp, has_no_blocks, .. }: Opened) -> Result<ReadFile, OpenError> {
    let mut last = None;
    for _ in 0..TRIES {
        let length = stamp.length;
        if length > SMALL && (!has_no_blocks || ends_at(&file, length)?) {
            return Ok(ReadFile { content: Content::File(Arc::new(file)), stamp, is_sized: true });
        }
        let (mut bytes, mut start): (Arc<[u8]>, _) = (Arc::default(), None);
        let is_right = match length {
            // Some of these cannot be read again.
            0 => start.insert(read_start(&file)?).is_empty(),
            1..=SMALL => {
                bytes = repeat_n(0, length as usize).collect();
                read(&file, Arc::make_mut(&mut bytes))? == bytes.len()
            }
            _ => false,
        };
        let before = replace(&mut stamp, FileStamp::of(&file)?);
        if stamp.length != length {
            continue;
        }
        if !is_right {
            let start = start.map_or_else(|| read_start(&file), Ok)?;
            let is_complete = start.len() < SMALL as usize;
            let content =
                if is_complete { Content::Memory(start.into()) } else { Content::Stream(start, Arc::new(file)) };
            return Ok(ReadFile { content, stamp, is_sized: false });
        }
        // Some file systems always say that a file was modified just now.
        if stamp == before || last.as_ref() == Some(&bytes) {
            return Ok(ReadFile { content: Content::Memory(bytes), stamp, is_sized: true });
        }
        last = Some(bytes);
    }
    Err(OpenError::Changing)
}

/// The next 16 KiB of a file, or less if it ends before.
fn read_start(file: &std::fs::File) -> Result<Vec<u8>, OpenError> {
    let mut start = vec![0; SMALL as usize];
    let n = read_on(file, &mut start)?;
    start.truncate(n);
    Ok(start)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::root::Root;
    use http_server::Blocking;
    use std::fs;

    // The file changes between open and read.
    #[test]
    fn stamp_and_content_are_of_one_state() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        let root = Root::open(directory.path(), 0).unwrap();
        let now = Date::from_unix(1_000_000_000).unwrap();
        let settings = Settings::new();
        let description = Description { content_type: FieldValue::from_static("a/b"), coding: None, varies: false };
        for (before, after) in [(0, 7), (7, 0), (7, 12), (12, 7), (7, 20_000), (20_000, 7)] {
            fs::write(&path, vec![b'a'; before]).unwrap();
            let opened = root.open_beneath(b"file", Blocking::default()).unwrap();
            fs::write(&path, vec![b'b'; after]).unwrap();
            let read = Representation::new(b"file", read_file(opened).unwrap(), description, &settings, now).unwrap();
            match &read.content {
                Content::Memory(bytes) => {
                    assert_eq!(**bytes, vec![b'b'; after], "from {before}");
                    assert_eq!(Some(read.stamp), root.stamp(c"file"), "from {before} to {after}");
                }
                // An open file is read when it is sent. If it is shorter by then, the connection closes.
                Content::File(_) => assert!(before.max(after) == 20_000),
                Content::Stream(..) => panic!("from {before} to {after}"),
            }
        }
    }
}
