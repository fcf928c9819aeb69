//! What a file says of itself: which file it is, and which state of its content it has.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http_core::Date;

/// Identifies a file and one state of its content. Programs can set `modified` as they like, but not `changed`, which
/// Windows does not tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileStamp {
    pub(crate) device: u64,
    pub(crate) inode: u64,
    /// Bytes.
    pub(crate) length: u64,
    /// Nanoseconds since 1970 (mtime).
    pub(crate) modified: i128,
    /// Nanoseconds since 1970 (ctime; on Windows as `modified`).
    pub(crate) changed: i128,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileKind {
    File,
    Directory,
}

impl FileStamp {
    /// Whether both are of one file, whatever its content.
    pub(crate) fn is_same_file(&self, other: &FileStamp) -> bool {
        (self.device, self.inode) == (other.device, other.inode)
    }

    /// The modification time in whole seconds since 1970, rounded down.
    pub(crate) fn modified_second(&self) -> Option<i64> {
        i64::try_from(self.modified.div_euclid(NANOS_PER_SEC)).ok()
    }

    pub(crate) fn modified_time(&self) -> Option<SystemTime> {
        let seconds = self.modified_second()?;
        let whole = Duration::from_secs(seconds.unsigned_abs());
        let second = if seconds < 0 { UNIX_EPOCH.checked_sub(whole) } else { UNIX_EPOCH.checked_add(whole) };
        second?.checked_add(Duration::from_nanos(self.modified.rem_euclid(NANOS_PER_SEC) as u64))
    }
}

pub(crate) const NANOS_PER_SEC: i128 = 1_000_000_000;

/// The coarsest timestamps of a file system in use, FAT's, tick once in 2 seconds.
const SETTLE_TIME: i128 = 2 * NANOS_PER_SEC;

/// Whether no further change can hide in the same timestamp. Git calls index entries for which this is false "racily
/// clean" (its `racy-git` document).
pub(crate) fn is_settled(time: i128, now: Date) -> bool {
    // `now` is the start of its second, so the age is never overestimated.
    time <= i128::from(now.unix()) * NANOS_PER_SEC - SETTLE_TIME
}
