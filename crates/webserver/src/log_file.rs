//! Where the access log goes: `--log-file`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use http_server::{Log, LogFormat};

use crate::cli::Cli;
use crate::messages::warn;
use crate::system::os_error::describe;
use crate::system::paths::quoted;

/// The log, opened.
#[derive(Debug)]
pub(crate) struct LogFile {
    pub(crate) log: Log,
    pub(crate) destination: Destination,
}

#[derive(Debug)]
pub(crate) enum Destination {
    StandardError,
    StandardOutput,
    /// The directory in which the file is created when it is reopened.
    Directory(#[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "for the sandbox of Linux"))] PathBuf),
}

impl LogFile {
    /// Opens it. `None` with `--log-format off`.
    pub(crate) fn open(cli: &Cli) -> Result<Option<LogFile>, String> {
        let Some(format) = cli.log_format.to_server() else { return Ok(None) };
        let (log, destination) = match cli.log_file.as_deref().map(|file| (file, stream_named(file))) {
            None | Some((_, Some(Stream::Error))) => {
                (Log::to_standard_error(format).map_err(cannot_write("error"))?, Destination::StandardError)
            }
            Some((_, Some(Stream::Output))) => {
                (Log::to_standard_output(format).map_err(cannot_write("output"))?, Destination::StandardOutput)
            }
            Some((file, None)) => open_file(format, file, &cli.root)?,
        };
        Ok(Some(LogFile { log, destination }))
    }
}

fn cannot_write(stream: &str) -> impl Fn(io::Error) -> String {
    move |error| format!("cannot write to standard {stream}: {}", describe(&error))
}

fn open_file(format: LogFormat, file: &Path, root: &Path) -> Result<(Log, Destination), String> {
    let cannot_open = |error: io::Error| {
        format!("cannot open the log file {}: {} (choose another with --log-file)", quoted(file), describe(&error))
    };
    let log = Log::to_file(format, file).map_err(cannot_open)?;
    // If the name is a symlink, the file is created where it points.
    let real = file.canonicalize();
    let directory = match real.as_deref().unwrap_or(file).parent() {
        Some(directory) if !directory.as_os_str().is_empty() => directory,
        _ => Path::new("."),
    };
    if let (Ok(directory), Ok(root)) = (directory.canonicalize(), root.canonicalize())
        && directory.starts_with(root)
    {
        warn(&format!("the log file {} is inside the served directory, so clients can read it", quoted(file)));
    }
    Ok((log, Destination::Directory(directory.to_owned())))
}

/// A stream that the process has already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stream {
    Output,
    Error,
}

/// The stream that a path names, also by symlinks such as those in container images. It cannot be opened by that name if
/// it is a socket or belongs to another user, and opening it again would not be what a rotation of logs means.
fn stream_named(path: &Path) -> Option<Stream> {
    const MAX_SYMLINKS: usize = 40;
    let mut path = PathBuf::from(path);
    for _ in 0..MAX_SYMLINKS {
        match path.to_str() {
            Some("-") => return Some(Stream::Output),
            Some("/dev/stdout" | "/dev/fd/1" | "/proc/self/fd/1") if cfg!(unix) => return Some(Stream::Output),
            Some("/dev/stderr" | "/dev/fd/2" | "/proc/self/fd/2") if cfg!(unix) => return Some(Stream::Error),
            _ => path = path.parent()?.join(fs::read_link(&path).ok()?),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn streams_are_known_by_their_names_and_by_symlinks_to_them() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        for (name, target) in [
            ("out", "/dev/stdout"),
            ("far", "out"),
            ("err", "/proc/self/fd/2"),
            ("null", "/dev/null"),
            ("loop", "loop"),
        ] {
            symlink(target, path(name)).unwrap();
        }
        fs::write(path("-"), "").unwrap();
        for (name, expected) in [
            (PathBuf::from("-"), Some(Stream::Output)),
            ("/dev/stdout".into(), Some(Stream::Output)),
            ("/dev/fd/1".into(), Some(Stream::Output)),
            ("/proc/self/fd/1".into(), Some(Stream::Output)),
            ("/dev/stderr".into(), Some(Stream::Error)),
            ("/dev/fd/2".into(), Some(Stream::Error)),
            ("/proc/self/fd/2".into(), Some(Stream::Error)),
            (path("out"), Some(Stream::Output)),
            (path("far"), Some(Stream::Output)),
            (path("err"), Some(Stream::Error)),
            (path("null"), None),
            (path("loop"), None),
            (path("-"), None),
            (path("none"), None),
            ("./-".into(), None),
            ("/dev/fd/10".into(), None),
            ("/".into(), None),
        ] {
            assert_eq!(stream_named(&name), expected, "{name:?}");
        }
    }
}
