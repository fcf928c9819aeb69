//! Why a path is not served.

use http_server::Later;
use thiserror::Error;

use crate::system::Errno;

/// Why a file is not served. The texts follow its name.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub(crate) enum OpenError {
    #[error("does not exist")]
    NotFound,
    #[error("may not be read by the user of the server")]
    Forbidden,
    #[error("is neither a file nor a directory")]
    Irregular,
    #[error("is not listed, or is not sent as such an archive")]
    NotListed,
    #[error("leads out of the root: {0}")]
    LeadsOut(Box<str>),
    #[error("leads through more symlinks than the kernel follows, or in a circle")]
    TooManySymlinks,
    #[error("cannot be opened: the root does not exist any more, or cannot be read")]
    NoRoot,
    #[error("cannot be opened: no file descriptor is free")]
    Busy,
    #[error("cannot be opened: another program holds a lease on it")]
    Leased,
    #[error("changes while it is read")]
    Changing,
    #[error("has nothing to read now, and does not end")]
    NoData,
    #[error("cannot be read: {0}")]
    Broken(Errno),
    #[cfg(feature = "archive")]
    #[error("has more names than an archive can have")]
    TooLarge,
    #[cfg(feature = "archive")]
    #[error("is sent later, because too many archives are being sent")]
    ManyArchives,
    #[error("is read later, because too many workers are blocked")]
    Later(Later),
}

/// Why a path does not lead to a file.
#[derive(Debug)]
pub(crate) enum Stop {
    /// It leads into another file system than the root's.
    Elsewhere,
    /// It leads out of the root, by this symlink.
    LeadsOut(Box<str>),
    Failed(OpenError),
}

impl From<Stop> for OpenError {
    fn from(stop: Stop) -> OpenError {
        match stop {
            Stop::Elsewhere => OpenError::Changing, // a moment ago it did not
            Stop::LeadsOut(way) => OpenError::LeadsOut(way),
            Stop::Failed(error) => error,
        }
    }
}

impl From<OpenError> for Stop {
    fn from(error: OpenError) -> Stop {
        Stop::Failed(error)
    }
}
