//! What each system does in a way of its own, or lacks. The rest of the program knows no system but by its options.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;
#[cfg(not(target_os = "linux"))]
mod without_linux;

#[cfg(target_os = "linux")]
pub(crate) use self::linux::{sandbox, systemd};
#[cfg(unix)]
pub(crate) use self::unix::{os_error, paths, process, signals, unix_socket};
#[cfg(windows)]
pub(crate) use self::windows::{os_error, paths, process, signals, unix_socket};
#[cfg(not(target_os = "linux"))]
pub(crate) use self::without_linux::{sandbox, systemd};
