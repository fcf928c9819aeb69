//! The users of `--auth`: read at the start, and again on SIGHUP. A thread of its own reads them again, so a disk that does
//! not answer holds up nothing else.

use std::ffi::OsStr;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::mpsc::sync_channel;
use std::thread;

use http_server::auth::{self, Users, UsersError};

use crate::cli::Cli;
use crate::messages::Level;
use crate::system::os_error::describe;
use crate::system::paths::quoted;

/// The most bytes of memory that they take, with the stack of the thread.
pub(crate) const MEMORY: u64 = auth::MEMORY + (2 << 20);

/// The file, and what decides whether clients could read it.
#[derive(Clone, Debug)]
pub(crate) struct UsersFile {
    path: PathBuf,
    root: PathBuf,
    hidden: bool,
}

impl UsersFile {
    /// `None` without `--auth`.
    pub(crate) fn of(cli: &Cli) -> Option<UsersFile> {
        Some(UsersFile { path: cli.auth.clone()?, root: cli.root.clone(), hidden: cli.hidden })
    }

    /// Reads it. A file that clients could read is refused.
    pub(crate) fn read(&self) -> Result<Users, String> {
        let UsersFile { path, root, hidden } = self;
        let users = Users::read(path).map_err(|error| format!("--auth {}: {}", quoted(path), cause(&error)))?;
        let is_hidden =
            |name: &OsStr| name.as_encoded_bytes().starts_with(b".") && !name.eq_ignore_ascii_case(".well-known");
        let (Ok(real), Ok(root)) = (path.canonicalize(), root.canonicalize()) else { return Ok(users) };
        match real.strip_prefix(&root) {
            Ok(inside) if *hidden || !inside.iter().any(is_hidden) => {
                Err(format!("--auth {}: clients could read this file (move it out of {})", quoted(path), quoted(&root)))
            }
            _ => Ok(users),
        }
    }

    /// The directories in which it may be replaced: that of its name, and that of the file to which a symlink leads.
    #[cfg(target_os = "linux")]
    pub(crate) fn directories(&self) -> Vec<PathBuf> {
        let named = PathBuf::from(".").join(&self.path).parent().and_then(|parent| parent.canonicalize().ok());
        let real = self.path.canonicalize().ok().and_then(|real| real.parent().map(PathBuf::from));
        let mut directories: Vec<_> = named.into_iter().chain(real).collect();
        directories.dedup();
        directories
    }

    /// Starts a thread that reads the file whenever the returned function is called, which never waits. If it cannot be
    /// read, the users stay.
    pub(crate) fn read_on_demand(
        self,
        replace: impl Fn(Users) + Send + 'static,
        report: impl Fn(Level, &str) + Send + 'static,
    ) -> io::Result<impl Fn()> {
        let (ask, asked) = sync_channel(1); // one that waits is enough: the file is read after it was asked for
        let run = move || {
            for () in asked {
                match self.read() {
                    Ok(users) => {
                        replace(users);
                        report(Level::Info, &format!("--auth {}: read again", quoted(&self.path)));
                    }
                    Err(error) => report(Level::Error, &format!("{error}; the previous users stay")),
                }
            }
        };
        thread::Builder::new().name("users".into()).spawn(run)?;
        Ok(move || {
            let _ = ask.try_send(());
        })
    }
}

/// The cause, and what to do in parentheses.
fn cause(error: &UsersError) -> String {
    match error {
        UsersError::Unreadable(error) => match error.kind() {
            ErrorKind::NotFound => "no such file (create it: webserver --hash-password >> FILE)".into(),
            ErrorKind::PermissionDenied => "permission denied (let the user that runs the server read it)".into(),
            ErrorKind::IsADirectory => "it is a directory (name a file in it)".into(),
            _ => describe(error),
        },
        UsersError::DuplicateUser(..) => format!("{error} (remove one of them)"),
        UsersError::TooLong => format!("{error} (name another file)"),
        UsersError::Empty => format!("{error} (add one: webserver --hash-password >> FILE)"),
        _ => format!("{error} (make the line with: webserver --hash-password)"),
    }
}

/// A warning if passwords cross a network that others may listen to: on a TCP address that other machines reach, unless a
/// proxy in front is named, which should speak TLS.
pub(crate) fn clear_text_warning(cli: &Cli, addresses: &[SocketAddr]) -> Option<&'static str> {
    let is_reachable = addresses.iter().any(|address| !address.ip().to_canonical().is_loopback());
    (cli.auth.is_some() && cli.trust_proxy.is_empty() && is_reachable).then_some(
        "passwords cross the network in the clear (put a TLS proxy in front, and use --bind 127.0.0.1 or --trust-proxy)",
    )
}
