//! Errors of the system, with what to do about them where that is known.

use std::fs;
use std::io;
use std::net::SocketAddr;

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketType, socket};

/// What shows the interfaces and their addresses.
pub(crate) const SHOW_ADDRESSES: &str = if cfg!(target_os = "linux") { "ip address" } else { "ifconfig" };

/// The cause, and what to do in parentheses.
pub(crate) fn describe(error: &io::Error) -> String {
    match Errno::from_io_error(error) {
        Some(Errno::MFILE) => "the process has too many open files (raise the limit: ulimit -n 1024)".into(),
        Some(Errno::NXIO) => "it is a pipe that nothing reads, or a socket".into(),
        Some(Errno::NFILE) => "the system has too many open files (close programs that hold many)".into(),
        Some(Errno::AGAIN) if cfg!(target_os = "linux") => {
            "no further thread can be started (lower --threads, or raise the limit: ulimit -u, or TasksMax= of the service)"
                .into()
        }
        Some(Errno::AGAIN) => {
            "no further thread can be started (lower --threads, or raise the limit: ulimit -u)".into()
        }
        _ => error.to_string(),
    }
}

/// Why the server cannot listen on this address, and what to do. The option is the one that chooses it. `None` if the
/// cause is one of every system, or unknown.
pub(crate) fn cannot_listen(address: SocketAddr, option: &str, error: &io::Error) -> Option<String> {
    let first_free = first_unprivileged_port();
    let or_grant = if cfg!(target_os = "linux") { ", or grant CAP_NET_BIND_SERVICE" } else { "" };
    let (protocol, family, name) = match address {
        SocketAddr::V4(_) => ("IPv4", AddressFamily::INET, "AF_INET"),
        SocketAddr::V6(_) => ("IPv6", AddressFamily::INET6, "AF_INET6"),
    };
    Some(match Errno::from_io_error(error)? {
        Errno::NODEV | Errno::NXIO => format!("there is no such interface (see: {SHOW_ADDRESSES})"),
        Errno::ACCESS if (1..first_free).contains(&address.port().into()) => {
            format!("ports below {first_free} need privileges (choose a higher one with {option}{or_grant})")
        }
        // Either no such socket may be created, or it may not be bound.
        Errno::AFNOSUPPORT | Errno::ACCESS | Errno::PERM => match socket(family, SocketType::STREAM, None) {
            Err(cause) if cfg!(target_os = "linux") => format!(
                "{protocol} cannot be used: {cause} (choose another kind of address, or let the service use {name})"
            ),
            Err(cause) => format!("{protocol} cannot be used: {cause} (choose another kind of address)"),
            Ok(_) => {
                format!("a security policy refuses it: {error} (choose another with {option}, or change the policy)")
            }
        },
        _ => return None,
    })
}

/// Why no IPv6 socket can be made.
pub(crate) fn why_no_ipv6() -> Option<String> {
    socket(AddressFamily::INET6, SocketType::STREAM, None).err().map(|cause| cause.to_string())
}

/// The first port that needs no privileges.
fn first_unprivileged_port() -> u32 {
    let setting = fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start");
    setting.ok().and_then(|port| port.trim().parse().ok()).unwrap_or(1024)
}
