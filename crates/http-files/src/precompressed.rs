//! Which precompressed files can be sent instead of a file. Anyone may name a file `README.html.br`, so its content has to
//! agree. In doubt the plain file is sent, which every client can read.

use std::ffi::{CStr, CString};

use http_core::Date;
use thiserror::Error;

use crate::open_error::OpenError;
use crate::representation::{Description, Representation, read_file};
use crate::resource::NegativeEntry;
use crate::root::Opened;
use crate::settings::Settings;
use crate::stamp::is_settled;

/// Content codings, in the order of preference.
pub(crate) const CODINGS: [&str; 3] = ["br", "zstd", "gzip"];

/// The suffixes of their files.
const SUFFIXES: [&[u8]; 3] = [b".br", b".zst", b".gz"];

/// The precompressed files of a file.
#[derive(Debug)]
pub(crate) struct Precompressed {
    /// Those that can be sent.
    pub(crate) codings: Box<[&'static str]>,
    /// In the order of `codings`.
    pub(crate) files: Box<[Representation]>,
    /// Those that exist and cannot be sent.
    pub(crate) unusable: Box<[(&'static str, Unusable)]>,
}

/// Why a precompressed file is not used. The texts follow its name.
#[derive(Debug, Error)]
pub(crate) enum Unusable {
    #[error("{0}")]
    Failed(OpenError),
    #[error("is a directory")]
    Directory,
    #[error("has a size that is not that of its content")]
    NotSized,
    #[error("is older than the file")]
    Older,
    #[error("is not smaller than the file")]
    NotSmaller,
    #[error("was modified in the last 2 seconds")]
    Unsettled,
    #[error("does not begin as its format does")]
    OtherFormat,
    #[error("was made from a file of another length")]
    OtherLength,
    #[error("is text")]
    Text,
    #[error("has the entity tag of another form of the file")]
    SameTag,
}

impl Unusable {
    /// Whether this can change while the file keeps its stamp.
    fn is_temporary(&self) -> bool {
        matches!(self, Unusable::Failed(_) | Unusable::NotSized | Unusable::Unsettled)
    }
}

impl Precompressed {
    /// Reads the precompressed files of the `plain` one. `description` is that of the plain one, too.
    pub(crate) fn read(
        path: &[u8],
        plain: &Representation,
        description: Description<'_>,
        negative_entries: &mut Vec<NegativeEntry>,
        settings: &Settings,
        now: Date,
        open: impl Fn(&CStr) -> Result<Opened, OpenError>,
    ) -> Result<Precompressed, OpenError> {
        let (mut codings, mut files, mut unusable) = (Vec::new(), Vec::new(), Vec::new());
        for (coding, suffix) in CODINGS.into_iter().zip(SUFFIXES) {
            let path = [path, suffix].concat();
            let Ok(name) = CString::new(&*path) else { continue }; // its prefix was opened, so it contains no NUL
            let opened = open(&name);
            if let Err(OpenError::Later(later)) = opened {
                return Err(OpenError::Later(later));
            }
            let stamp = opened.as_ref().ok().map(|opened| opened.stamp);
            let description = Description { coding: Some(coding), ..description };
            let file = opened
                .map_err(Unusable::Failed)
                .and_then(|opened| read_one(&path, opened, description, (plain, &files), settings, now));
            match file {
                Ok(file) => {
                    codings.push(coding);
                    files.push(file);
                }
                Err(Unusable::Failed(OpenError::NotFound)) => negative_entries.push((name, None)),
                Err(why) => {
                    // What counts as absent is read again after a second.
                    negative_entries.push((name, stamp.filter(|_| !why.is_temporary())));
                    unusable.push((coding, why));
                }
            }
        }
        Ok(Precompressed { codings: codings.into(), files: files.into(), unusable: unusable.into() })
    }
}

/// Reads a precompressed file, if it can be sent instead of the `plain` one and beside the `others`.
fn read_one(
    path: &[u8],
    opened: Opened,
    description: Description<'_>,
    (plain, others): (&Representation, &[Representation]),
    settings: &Settings,
    now: Date,
) -> Result<Representation, Unusable> {
    if !opened.is_file() {
        return Err(Unusable::Directory);
    }
    let file = read_file(opened).and_then(|file| Representation::new(path, file, description, settings, now));
    let file = file.map_err(Unusable::Failed)?;
    let (Some(length), Some(plain_length)) = (file.file_size(), plain.file_size()) else {
        return Err(Unusable::NotSized);
    };
    let fault = match () {
        // It may be half written, because most programs compress in place.
        () if !is_settled(file.stamp.modified, now) => Unusable::Unsettled,
        () if file.stamp.modified < plain.stamp.modified => Unusable::Older,
        () if length >= plain_length => Unusable::NotSmaller,
        () if others.iter().chain([plain]).any(|other| file.shares_tag(other)) => Unusable::SameTag,
        () => return check_content(&file, length, plain_length).map(|()| file),
    };
    Err(fault)
}

/// Whether the content can be that of its coding, as far as its first and last bytes tell.
fn check_content(file: &Representation, length: u64, plain_length: u64) -> Result<(), Unusable> {
    let mut start = [0; 64];
    let n = file.read_at(0, &mut start).map_err(Unusable::Failed)?;
    let start = &start[..n];
    let fault = match file.coding {
        // RFC 1952: the last 4 bytes are the length of the original, modulo 2^32.
        Some("gzip") if start.starts_with(b"\x1f\x8b") && length >= 18 => {
            let mut end = [0; 4];
            file.read_at(length - 4, &mut end).map_err(Unusable::Failed)?;
            if u32::from_le_bytes(end) == plain_length as u32 {
                return Ok(());
            }
            Unusable::OtherLength
        }
        Some("zstd") if start.starts_with(b"\x28\xb5\x2f\xfd") => return Ok(()), // RFC 8878
        // RFC 7932 knows no magic number.
        Some("br") if is_text(start) => Unusable::Text,
        Some("br") if !start.is_empty() => return Ok(()),
        _ => Unusable::OtherFormat,
    };
    Err(fault)
}

/// Whether these first bytes of a file are UTF-8 text. They may end within a character. An empty file is not text.
fn is_text(bytes: &[u8]) -> bool {
    let valid = match str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) if error.error_len().is_none() => str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default(),
        Err(_) => return false,
    };
    let is_in_text = |c: char| !c.is_control() || matches!(c, '\t' | '\n' | '\r' | '\x0c');
    !valid.is_empty() && valid.chars().all(is_in_text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_told_from_brotli() {
        let portuguese = "<p>A documentação em português não está comprimida, só tem o sufixo da língua.";
        for (bytes, expected) in [
            (&b""[..], false),
            (b"x", true),
            (b"<!DOCTYPE html>\r\n\t<title>\x0c", true),
            (portuguese.as_bytes(), true),
            (&portuguese.as_bytes()[..17], true), // within a character
            ("\u{feff}text".as_bytes(), true),
            (b"caf\xe9 in Latin-1", false),
            (b"\xc3", false),
            (b"a\0b", false),
            (b"\x0b\x02\x80hello\x03", false), // brotli
            (b"\x1b\x07", false),
        ] {
            assert_eq!(is_text(bytes), expected, "{}", bytes.escape_ascii());
        }
    }
}
