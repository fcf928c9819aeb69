//! What each system does in a way of its own, apart from sockets.

#[cfg(unix)]
pub(crate) use unix::{file_identity, open_log, own_handle, read_at};
#[cfg(not(unix))]
pub(crate) use windows::{file_identity, open_log, own_handle, read_at};

#[cfg(unix)]
mod unix {
    use std::fs::{File, Metadata, OpenOptions};
    use std::io;
    use std::os::fd::AsFd;
    use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
    use std::path::Path;

    use rustix::fs::{OFlags, fcntl_setfl};

    /// Reads from this place of a file.
    pub(crate) fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        file.read_at(buffer, offset)
    }

    /// Device and inode, which identify a file whatever its name is.
    pub(crate) fn file_identity(data: &Metadata) -> Option<(u64, u64)> {
        Some((data.dev(), data.ino()))
    }

    /// Opens a file to append lines to it.
    pub(crate) fn open_log(path: &Path) -> io::Result<File> {
        // Non-blocking, so that opening a pipe without a reader is an error instead of a wait.
        let nonblocking = OFlags::NONBLOCK.bits().cast_signed();
        let file = OpenOptions::new().append(true).create(true).mode(0o640).custom_flags(nonblocking).open(path)?;
        fcntl_setfl(&file, OFlags::APPEND)?;
        Ok(file)
    }

    /// A descriptor of its own for a standard stream.
    pub(crate) fn own_handle(stream: &impl AsFd) -> io::Result<File> {
        Ok(File::from(stream.as_fd().try_clone_to_owned()?))
    }
}

#[cfg(not(unix))]
mod windows {
    use std::fs::{File, Metadata, OpenOptions};
    use std::io;
    use std::os::windows::fs::FileExt;
    use std::os::windows::io::AsHandle;
    use std::path::Path;
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

    pub(crate) fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        file.seek_read(buffer, offset)
    }

    /// std does not tell, so a file that is opened again is taken for another one.
    pub(crate) fn file_identity(_: &Metadata) -> Option<(u64, u64)> {
        static OPENED: AtomicU64 = AtomicU64::new(0);
        Some((0, OPENED.fetch_add(1, Relaxed)))
    }

    pub(crate) fn open_log(path: &Path) -> io::Result<File> {
        OpenOptions::new().append(true).create(true).open(path)
    }

    pub(crate) fn own_handle(stream: &impl AsHandle) -> io::Result<File> {
        Ok(File::from(stream.as_handle().try_clone_to_owned()?))
    }
}
