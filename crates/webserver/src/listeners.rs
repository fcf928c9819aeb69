//! The listening sockets, from systemd or from the options, and the ready lines.

use std::fs;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::SocketAddr as UnixAddr;

use http_server::{RunningServer, Server};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketType, socket};

use crate::cli::Cli;
use crate::os_error::describe;
use crate::unix_socket::SocketFile;

/// The server on its listening sockets, and the file of its Unix socket if it made one.
pub(crate) fn bind(cli: &Cli, inherited: Vec<OwnedFd>) -> Result<(Server, Option<SocketFile>), String> {
    if !inherited.is_empty() {
        if cli.has_explicit_sockets() {
            return Err(
                "cannot combine sockets from LISTEN_FDS with --port, --bind or --unix (remove the options)".into()
            );
        }
        let server = Server::from_listeners(inherited).map_err(|error| format!("cannot use LISTEN_FDS: {error}"))?;
        return Ok((server, None));
    }
    let mut servers = if cli.wants_tcp() { bind_tcp(cli)? } else { Vec::new() };
    let mut socket_file = None;
    if let Some(path) = &cli.unix {
        let (server, file) = SocketFile::bind(path)?;
        servers.push(server);
        socket_file = Some(file);
    }
    let server = servers.into_iter().reduce(Server::merge);
    Ok((server.ok_or("no address to listen on; use --port, --bind or --unix")?, socket_file))
}

fn bind_tcp(cli: &Cli) -> Result<Vec<Server>, String> {
    let (addresses, port) = (cli.addresses(), cli.port());
    if addresses.is_empty() {
        let server = Server::bind_any(port).map_err(|error| {
            // IPv6 was tried first, and then IPv4.
            let cause = cause(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)), "--port", &error);
            format!("cannot listen on port {port}: {cause}")
        });
        return Ok(vec![server?]);
    }
    let bind = |&address: &SocketAddr| {
        Server::bind(address).map_err(|error| {
            let ip = address.ip();
            match error.kind() {
                ErrorKind::AddrNotAvailable => format!("cannot bind to {ip}: {}", cause(address, "--bind", &error)),
                _ => format!("cannot listen on port {port} of {ip}: {}", cause(address, "--port", &error)),
            }
        })
    };
    addresses.iter().map(bind).collect()
}

/// Why the server cannot listen on this address, and what to do. The option is the one that chooses it.
pub(crate) fn cause(address: SocketAddr, option: &str, error: &io::Error) -> String {
    let (protocol, family, name) = match address {
        SocketAddr::V4(_) => ("IPv4", AddressFamily::INET, "AF_INET"),
        SocketAddr::V6(_) => ("IPv6", AddressFamily::INET6, "AF_INET6"),
    };
    let first_free = first_unprivileged_port();
    match Errno::from_io_error(error) {
        Some(Errno::ADDRINUSE) => format!("it is in use (choose another with {option}; port 0 picks a free one)"),
        Some(Errno::ADDRNOTAVAIL) => format!("it is not an address of this machine (see {option})"),
        Some(Errno::ACCESS) if (1..first_free).contains(&address.port().into()) => format!(
            "ports below {first_free} need privileges (choose a higher one with {option}, or grant CAP_NET_BIND_SERVICE)"
        ),
        // Either no such socket may be created, or it may not be bound.
        Some(Errno::AFNOSUPPORT | Errno::ACCESS | Errno::PERM) => match socket(family, SocketType::STREAM, None) {
            Err(cause) => format!(
                "{protocol} cannot be used: {cause} (choose another kind of address, or let the service use {name})"
            ),
            Ok(_) => {
                format!("a security policy refuses it: {error} (choose another with {option}, or change the policy)")
            }
        },
        _ => describe(error),
    }
}

/// The first port that needs no privileges.
fn first_unprivileged_port() -> u32 {
    let setting = fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start");
    setting.ok().and_then(|port| port.trim().parse().ok()).unwrap_or(1024)
}

/// Why the server does not listen on IPv6, though nobody has chosen its addresses.
pub(crate) fn missing_ipv6(cli: &Cli, running: &RunningServer) -> Option<String> {
    let [address] = running.local_addrs() else { return None };
    if address.is_ipv6() || !cli.addresses().is_empty() {
        return None;
    }
    Some(match socket(AddressFamily::INET6, SocketType::STREAM, None) {
        Err(cause) => format!("IPv6 cannot be used: {cause}"),
        Ok(_) => "no IPv6 address can be used".into(),
    })
}

/// One line for each address at which a browser or a proxy can reach the server.
pub(crate) fn ready_lines(cli: &Cli, running: &RunningServer) -> String {
    let mut lines = String::new();
    for address in running.local_addrs() {
        if address.ip().is_unspecified() && cli.addresses().is_empty() {
            lines.push_str(&format!("listening on http://localhost:{}/\n", address.port()));
            for ip in reachable_ips(address.is_ipv6()) {
                lines.push_str(&format!("listening on http://{}/\n", SocketAddr::new(ip, address.port())));
            }
        } else {
            lines.push_str(&format!("listening on http://{address}/\n"));
        }
    }
    for address in running.unix_addrs() {
        lines.push_str(&format!("listening on unix:{}\n", display_path(address)));
    }
    lines
}

/// The addresses of this machine at which other machines may reach it.
fn reachable_ips(with_ipv6: bool) -> impl Iterator<Item = IpAddr> {
    // An interface without carrier reaches nothing, like the bridge of a container engine without containers.
    let interfaces =
        if_addrs::get_if_addrs().unwrap_or_default().into_iter().filter(|interface| interface.is_oper_up());
    let addresses = interfaces.map(|interface| interface.ip());
    addresses.filter(move |ip| !ip.is_loopback() && (ip.is_ipv4() || with_ipv6) && !needs_zone(*ip))
}

/// Whether the address needs a zone, which no URL of a browser can name.
fn needs_zone(ip: IpAddr) -> bool {
    matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local())
}

fn display_path(address: &UnixAddr) -> String {
    match (address.as_pathname(), address.as_abstract_name()) {
        (Some(path), _) => path.display().to_string(),
        (None, Some(name)) => format!("@{}", name.escape_ascii()),
        (None, None) => String::new(),
    }
}
