//! `-d`: the body of a request, from the command line, a file or standard input.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read as _, Seek as _};

use clap_lex::OsStrExt as _;
use webclient::Body;

use crate::stdio;

/// A body that can be sent several times.
#[derive(Debug)]
pub(crate) enum Data {
    Bytes(Vec<u8>),
    /// So many bytes of a file from this position on. They are never in memory as a whole.
    File {
        file: File,
        start: u64,
        length: u64,
    },
}

impl Data {
    /// `-` is standard input, `@FILE` a file, and anything else the data itself.
    pub(crate) fn read(argument: &OsStr) -> Result<Data, String> {
        let (file, name) = match argument.strip_prefix("@") {
            _ if argument == "-" || argument == "@-" => (stdio::input(), "standard input".into()),
            Some(name) => (File::open(name), format!("{name:?}")),
            None => return Ok(Data::Bytes(argument.as_encoded_bytes().into())),
        };
        file.and_then(Data::of).map_err(|error| format!("cannot read {name}: {error}"))
    }

    /// A pipe has no length before it is read, and some files say that theirs is 0 (those of procfs).
    fn of(mut file: File) -> io::Result<Data> {
        if let Ok(metadata) = file.metadata() // Windows knows nothing of a pipe
            && metadata.is_file()
            && metadata.len() > 0
        {
            let start = file.stream_position()?;
            return Ok(Data::File { file, start, length: metadata.len().saturating_sub(start) });
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(Data::Bytes(bytes))
    }

    pub(crate) fn body(&self) -> io::Result<Body<'_>> {
        Ok(match self {
            Data::Bytes(bytes) => bytes[..].into(),
            Data::File { file, start, length } => Body::File(file.try_clone()?, *start, *length),
        })
    }

    /// What its Content-Type is unless `--header` says another.
    pub(crate) fn content_type(argument: &OsStr) -> &'static str {
        match argument.as_encoded_bytes() {
            b"-" | [b'@', ..] => "application/octet-stream",
            _ => "application/x-www-form-urlencoded",
        }
    }
}
