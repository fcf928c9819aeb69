//! The headers of an archive's entries, in GNU's format of tar: names of any bytes and length, and files of any size. A
//! name beyond ASCII is also given as in POSIX's format, which says that it is UTF-8. Owners and modes are not told.

use std::io::{self, Read};

use tar::{EntryType, Header};

use crate::stamp::FileStamp;

/// Content is padded to blocks of this size.
const BLOCK: usize = 512;

/// Headers that wait until they are read.
#[derive(Default)]
pub(super) struct Entries {
    bytes: Vec<u8>,
    /// Bytes that were read.
    read: usize,
}

impl Entries {
    /// Begins a file, whose content follows.
    pub(super) fn file(&mut self, name: &[u8], stamp: &FileStamp) {
        self.push(EntryType::Regular, name, b"", stamp.length, stamp.modified_second());
    }

    /// `name` ends with a slash.
    pub(super) fn directory(&mut self, name: &[u8], stamp: &FileStamp) {
        self.push(EntryType::Directory, name, b"", 0, stamp.modified_second());
    }

    pub(super) fn symlink(&mut self, name: &[u8], target: &[u8], stamp: &FileStamp) {
        self.push(EntryType::Symlink, name, target, 0, stamp.modified_second());
    }

    /// Begins a file whose content does not follow, so that the archive ends within an entry: where it ends between two,
    /// programs take it for complete.
    pub(super) fn break_off(&mut self, name: &[u8]) {
        self.push(EntryType::Regular, name, b"", 1, None);
    }

    /// Ends content of this length.
    pub(super) fn pad(&mut self, length: u64) {
        let beyond = (length % BLOCK as u64) as usize;
        self.push_zeros((BLOCK - beyond) % BLOCK);
    }

    /// Ends the archive.
    pub(super) fn finish(&mut self) {
        self.push_zeros(2 * BLOCK);
    }

    fn push(&mut self, kind: EntryType, name: &[u8], target: &[u8], length: u64, modified: Option<i64>) {
        if !name.is_ascii() && str::from_utf8(name).is_ok() {
            self.push_extension(EntryType::XHeader, &pax_record(name));
        }
        let mut header = Header::new_gnu();
        let fields = header.as_old_mut();
        for (field, value, extension) in
            [(&mut fields.name, name, EntryType::GNULongName), (&mut fields.linkname, target, EntryType::GNULongLink)]
        {
            let shown = value.len().min(field.len());
            field[..shown].copy_from_slice(&value[..shown]);
            if shown < value.len() {
                self.push_extension(extension, &[value, b"\0"].concat());
            }
        }
        header.set_mode(if kind == EntryType::Directory { 0o755 } else { 0o644 });
        // The format has no times before 1970.
        header.set_mtime(modified.and_then(|second| second.try_into().ok()).unwrap_or(0));
        self.push_header(header, kind, length);
    }

    /// What the next header has no room for.
    fn push_extension(&mut self, kind: EntryType, value: &[u8]) {
        let mut header = Header::new_gnu();
        let name = b"././@LongLink"; // as GNU tar writes it; for BusyBox, a header without a name ends the archive
        header.as_old_mut().name[..name.len()].copy_from_slice(name);
        header.set_mode(0o644);
        self.push_header(header, kind, value.len() as u64);
        self.bytes.extend_from_slice(value);
        self.pad(value.len() as u64);
    }

    fn push_header(&mut self, mut header: Header, kind: EntryType, length: u64) {
        header.set_entry_type(kind);
        header.set_uid(0);
        header.set_gid(0);
        header.set_size(length);
        header.set_cksum();
        self.bytes.extend_from_slice(header.as_bytes());
    }

    fn push_zeros(&mut self, count: usize) {
        self.bytes.resize(self.bytes.len() + count, 0);
    }
}

/// A record of POSIX's format: its length, which counts itself, and the path.
fn pax_record(path: &[u8]) -> Vec<u8> {
    let rest = b" path=\n".len() + path.len();
    let mut length = rest;
    while length != rest + length.to_string().len() {
        length += 1;
    }
    [length.to_string().as_bytes(), b" path=", path, b"\n"].concat()
}

impl Read for Entries {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = (&self.bytes[self.read..]).read(buffer)?;
        self.read += n;
        if self.read == self.bytes.len() {
            self.bytes.clear();
            self.read = 0;
        }
        Ok(n)
    }
}
