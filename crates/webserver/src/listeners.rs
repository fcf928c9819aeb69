//! The listening sockets, from systemd or from the options, and the ready lines.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::SocketAddr as UnixAddr;

use http_server::{RunningServer, Server};

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
        let (listener, file) = SocketFile::bind(path)?;
        let server = Server::from_listeners([listener.into()]);
        servers.push(server.map_err(|error| format!("cannot listen on {path:?}: {}", describe(&error)))?);
        socket_file = Some(file);
    }
    let server = servers.into_iter().reduce(Server::merge);
    Ok((server.ok_or("no address to listen on; use --port, --bind or --unix")?, socket_file))
}

fn bind_tcp(cli: &Cli) -> Result<Vec<Server>, String> {
    let (addresses, port) = (cli.addresses(), cli.port());
    if addresses.is_empty() {
        let server = Server::bind_any(port).map_err(|error| cannot_listen(&format!("port {port}"), &error))?;
        return Ok(vec![server]);
    }
    let bind = |&address: &SocketAddr| {
        Server::bind(address).map_err(|error| match error.kind() {
            ErrorKind::AddrNotAvailable => {
                format!("cannot bind to {}: it is not an address of this machine (see --bind)", address.ip())
            }
            _ => cannot_listen(&format!("port {port} of {}", address.ip()), &error),
        })
    };
    addresses.iter().map(bind).collect()
}

fn cannot_listen(on: &str, error: &io::Error) -> String {
    let cause = match error.kind() {
        ErrorKind::AddrInUse => "it is in use (choose another with --port; 0 picks a free one)".into(),
        ErrorKind::PermissionDenied => "low ports need privileges (choose 1024 or higher with --port)".into(),
        _ => describe(error),
    };
    format!("cannot listen on {on}: {cause}")
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
