//! The listening sockets, from systemd or from the options, the ready lines, and the URLs for other machines.

use std::fs;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6, TcpListener};
use std::os::fd::OwnedFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::SocketAddr as UnixAddr;

use http_server::{RunningServer, Server};
use rustix::io::Errno;
use rustix::net::netdevice::{index_to_name, name_to_index};
use rustix::net::{AddressFamily, SocketType, socket};

use crate::cli::{BindAddress, Cli};
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
    let port = cli.port();
    if cli.bind.is_empty() {
        let server = Server::bind_any(port).map_err(|error| {
            // IPv6 was tried first, and then IPv4.
            let cause = cause(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)), "--port", &error);
            format!("cannot listen on port {port}: {cause}")
        });
        return Ok(vec![server?]);
    }
    let bind = |at: &BindAddress| {
        listen(at, port).map_err(|(address, error)| match Errno::from_io_error(&error) {
            Some(Errno::ADDRNOTAVAIL | Errno::NODEV | Errno::INVAL) => {
                format!("cannot bind to {at}: {}", cause(address, "--bind", &error))
            }
            _ => format!("cannot listen on port {port} of {at}: {}", cause(address, "--port", &error)),
        })
    };
    cli.bind.iter().map(bind).collect()
}

/// Listens on a port of an address. An error comes with the address that it is about.
pub(crate) fn listen(at: &BindAddress, port: u16) -> Result<Server, (SocketAddr, io::Error)> {
    let bind = |address| Server::bind(address).map_err(|error| (address, error));
    match at {
        BindAddress::Ip(ip) => bind(SocketAddr::new(*ip, port)),
        BindAddress::Localhost => bind_localhost(port),
        BindAddress::Scoped(ip, interface) => {
            let index = interface.parse().or_else(|_| {
                let any = socket(AddressFamily::INET6, SocketType::DGRAM, None)?;
                name_to_index(any, interface).map_err(io::Error::from)
            });
            let address = |scope| SocketAddr::V6(SocketAddrV6::new(*ip, port, 0, scope));
            index.map_err(|error| (address(0), error)).and_then(|index| bind(address(index)))
        }
    }
}

/// How many free ports are tried until one is free for both protocols.
const TRIES: usize = 100;

/// Listens on the same port of 127.0.0.1 and ::1, or of the one that this machine has.
fn bind_localhost(port: u16) -> Result<Server, (SocketAddr, io::Error)> {
    let ips = [IpAddr::from(Ipv4Addr::LOCALHOST), IpAddr::from(Ipv6Addr::LOCALHOST)];
    let free = || TcpListener::bind((ips[1], 0)).or_else(|_| TcpListener::bind((ips[0], 0)))?.local_addr();
    let mut tries = 0;
    loop {
        let chosen = match port {
            0 => free().map_err(|error| (SocketAddr::new(ips[0], 0), error))?.port(),
            port => port,
        };
        let servers = ips.map(|ip| {
            let address = SocketAddr::new(ip, chosen);
            Server::bind(address).map_err(|error| (address, error))
        });
        let in_use =
            servers.iter().any(|server| matches!(server, Err((_, error)) if error.kind() == ErrorKind::AddrInUse));
        tries += 1;
        return match servers {
            _ if in_use && port == 0 && tries < TRIES => continue,
            [Ok(one), Ok(other)] => Ok(one.merge(other)),
            [Ok(_), Err(error)] | [Err(error), Ok(_)] if in_use => Err(error),
            [Ok(one), Err(_)] | [Err(_), Ok(one)] => Ok(one),
            [Err(error), Err(_)] => Err(error),
        };
    }
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
        Some(Errno::NODEV) => "there is no such interface (see: ip address)".into(),
        Some(Errno::INVAL) if needs_interface(address.ip()) => {
            format!("it needs its interface, e.g. {option} {}%eth0 (see: ip address)", address.ip())
        }
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
    if address.is_ipv6() || !matches!(cli.bind[..], [] | [BindAddress::Localhost]) {
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
        if address.ip().is_unspecified() && cli.bind.is_empty() {
            lines.push_str(&format!("listening on http://localhost:{}/\n", address.port()));
            for ip in reachable_ips().filter(|ip| ip.is_ipv4() || address.is_ipv6()) {
                lines.push_str(&format!("listening on {}\n", url(&SocketAddr::new(ip, address.port()))));
            }
        } else {
            lines.push_str(&format!("listening on {}\n", url(address)));
        }
    }
    for address in running.unix_addrs() {
        lines.push_str(&format!("listening on unix:{}\n", display_path(address)));
    }
    lines
}

/// The URLs at which browsers of other machines may reach the server. Those with an IPv4 address come first: they can be
/// typed.
pub(crate) fn urls_elsewhere(cli: &Cli, running: &RunningServer) -> Vec<String> {
    let mut addresses = Vec::new();
    for address in running.local_addrs() {
        match address.ip() {
            // Only a socket for all addresses of both protocols was not asked for by --bind.
            ip if ip.is_unspecified() => {
                let ips = reachable_ips().filter(|ip| match address {
                    SocketAddr::V4(_) => ip.is_ipv4(),
                    SocketAddr::V6(_) => ip.is_ipv6() || cli.bind.is_empty(),
                });
                addresses.extend(ips.map(|ip| SocketAddr::new(ip, address.port())));
            }
            ip if ip.is_loopback() || needs_interface(ip) => {}
            _ => addresses.push(*address),
        }
    }
    addresses.sort_by_key(SocketAddr::is_ipv6);
    let mut urls: Vec<String> = addresses.iter().map(url).collect();
    urls.dedup();
    urls
}

/// The URL of an address. A link-local one has the name of its interface, as RFC 6874 writes it.
fn url(address: &SocketAddr) -> String {
    match address {
        SocketAddr::V6(v6) if v6.scope_id() != 0 => {
            let (scope, port) = (v6.scope_id(), v6.port());
            let name = socket(AddressFamily::INET6, SocketType::DGRAM, None).and_then(|any| index_to_name(any, scope));
            format!("http://[{}%25{}]:{port}/", v6.ip(), name.unwrap_or_else(|_| scope.to_string()))
        }
        _ => format!("http://{address}/"),
    }
}

/// The addresses of this machine at which browsers of other machines may reach it.
fn reachable_ips() -> impl Iterator<Item = IpAddr> {
    // An interface without carrier reaches nothing, like the bridge of a container engine without containers.
    let interfaces =
        if_addrs::get_if_addrs().unwrap_or_default().into_iter().filter(|interface| interface.is_oper_up());
    let addresses = interfaces.map(|interface| interface.ip());
    addresses.filter(|ip| !ip.is_loopback() && !needs_interface(*ip))
}

/// Whether the address means nothing without the name of an interface, which no URL of a browser can contain.
fn needs_interface(ip: IpAddr) -> bool {
    matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local())
}

fn display_path(address: &UnixAddr) -> String {
    match (address.as_pathname(), address.as_abstract_name()) {
        (Some(path), _) => path.display().to_string(),
        (None, Some(name)) => format!("@{}", name.escape_ascii()),
        (None, None) => String::new(),
    }
}
