//! Where the program listens: on what systemd hands over, or where the options say; and how that is said.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::SocketAddr as UnixAddr;

use http_server::{RunningServer, Server};

use crate::cli::Cli;
use crate::os_error::describe;
use crate::unix_socket::SocketFile;

/// The server, on what was handed over or else bound, and the file of its socket of the unix domain.
pub(crate) fn server(options: &Cli, handed: Vec<OwnedFd>) -> Result<(Server, Option<SocketFile>), String> {
    if !handed.is_empty() {
        if options.has_explicit_sockets() {
            return Err("sockets were handed over (LISTEN_FDS); leave out --port, --bind and --unix".into());
        }
        let server = Server::from_listeners(handed)
            .map_err(|error| format!("cannot use what LISTEN_FDS hands over: {error}"))?;
        return Ok((server, None));
    }
    let mut servers = if options.wants_tcp() { tcp(options)? } else { Vec::new() };
    let mut file = None;
    if let Some(path) = &options.unix {
        let (listener, its_file) = SocketFile::bind(path)?;
        let server = Server::from_listeners([listener.into()]);
        servers.push(server.map_err(|error| format!("cannot listen on {path:?}: {}", describe(&error)))?);
        file = Some(its_file);
    }
    let server = servers.into_iter().reduce(Server::merge).ok_or("there is nowhere to listen; see --bind")?;
    Ok((server, file))
}

fn tcp(options: &Cli) -> Result<Vec<Server>, String> {
    let (addresses, port) = (options.addresses(), options.port());
    if addresses.is_empty() {
        let server = Server::bind_any(port).map_err(|error| refused(port, "", &error))?;
        return Ok(vec![server]);
    }
    let bind = |&address: &SocketAddr| {
        Server::bind(address).map_err(|error| match error.kind() {
            ErrorKind::AddrNotAvailable => {
                format!("{} is none of this machine's addresses; name one that is by --bind ADDRESS", address.ip())
            }
            _ => refused(port, &format!(" at {}", address.ip()), &error),
        })
    };
    addresses.iter().map(bind).collect()
}

fn refused(port: u16, at: &str, error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::AddrInUse => {
            format!("port {port} is in use{at}; choose another by --port PORT, or any free one by --port 0")
        }
        ErrorKind::PermissionDenied => {
            format!("port {port} may not be used without privileges; choose one from 1024 on by --port PORT")
        }
        _ => format!("cannot listen on port {port}{at}: {}", describe(error)),
    }
}

/// Where a browser or a proxy finds the server, one address a line.
pub(crate) fn ready_lines(options: &Cli, running: &RunningServer) -> String {
    let mut lines = String::new();
    for address in running.local_addrs() {
        if address.ip().is_unspecified() && options.addresses().is_empty() {
            lines.push_str(&format!("listening on http://localhost:{}/\n", address.port()));
            for ip in reached(address.is_ipv6()) {
                lines.push_str(&format!("listening on http://{}/\n", SocketAddr::new(ip, address.port())));
            }
        } else {
            lines.push_str(&format!("listening on http://{address}/\n"));
        }
    }
    for address in running.unix_addrs() {
        lines.push_str(&format!("listening on unix:{}\n", path(address)));
    }
    lines
}

/// The addresses of this machine that others may reach it by.
fn reached(by_ipv6: bool) -> impl Iterator<Item = IpAddr> {
    // One that has no carrier reaches nobody, like the bridge of a container engine without containers.
    let interfaces =
        if_addrs::get_if_addrs().unwrap_or_default().into_iter().filter(|interface| interface.is_oper_up());
    let addresses = interfaces.map(|interface| interface.ip());
    addresses.filter(move |ip| !ip.is_loopback() && (ip.is_ipv4() || by_ipv6) && !needs_a_zone(*ip))
}

/// A zone can be named by no URL of a browser.
fn needs_a_zone(ip: IpAddr) -> bool {
    matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local())
}

fn path(address: &UnixAddr) -> String {
    match (address.as_pathname(), address.as_abstract_name()) {
        (Some(path), _) => path.display().to_string(),
        (None, Some(name)) => format!("@{}", name.escape_ascii()),
        (None, None) => String::new(),
    }
}
