//! The listening sockets, from systemd or from the options, the ready lines, and the URLs for other machines.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6, TcpListener};

use http_server::{RunningServer, Server};

use crate::cli::{BindAddress, Cli};
use crate::system::os_error::{SHOW_ADDRESSES, cannot_listen, describe, why_no_ipv6};
use crate::system::systemd::Inherited;
use crate::system::unix_socket::{self, SocketFile};

/// The server on its listening sockets, and the file of its Unix socket if it made one.
pub(crate) fn bind(cli: &Cli, inherited: Inherited) -> Result<(Server, Option<SocketFile>), String> {
    if let Some(server) = inherited.server(cli.has_explicit_sockets())? {
        return Ok((server, None));
    }
    let mut servers = if cli.wants_tcp() { bind_tcp(cli)? } else { Vec::new() };
    let mut socket_file = None;
    if let Some((server, file)) = unix_socket::bind(cli)? {
        servers.push(server);
        socket_file = Some(file);
    }
    let server = servers.into_iter().reduce(Server::merge);
    Ok((server.ok_or("no address to listen on; use --port or --bind")?, socket_file))
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
        listen(at, port).map_err(|(address, error)| match error.kind() {
            ErrorKind::AddrNotAvailable | ErrorKind::NotFound | ErrorKind::InvalidInput => {
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
            let index = interface.parse().or_else(|_| index_of(interface));
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
        let taken = servers.iter().any(|server| matches!(server, Err((_, error)) if is_taken(error)));
        tries += 1;
        return match servers {
            _ if taken && port == 0 && tries < TRIES => continue,
            [Ok(one), Ok(other)] => Ok(one.merge(other)),
            [Ok(_), Err(error)] | [Err(error), Ok(_)] if taken => Err(error),
            [Ok(one), Err(_)] | [Err(_), Ok(one)] => Ok(one),
            [Err(error), Err(_)] => Err(error),
        };
    }
}

/// Whether it is the port that cannot be had. Windows denies one that another program has to itself, or that is reserved.
fn is_taken(error: &io::Error) -> bool {
    error.kind() == ErrorKind::AddrInUse || cfg!(windows) && error.kind() == ErrorKind::PermissionDenied
}

/// The number of an interface.
fn index_of(name: &str) -> io::Result<u32> {
    let interfaces = if_addrs::get_if_addrs()?;
    let interface = interfaces.into_iter().find(|interface| interface.name == name);
    interface.and_then(|interface| interface.index).ok_or_else(|| ErrorKind::NotFound.into())
}

/// Why the server cannot listen on this address, and what to do. The option is the one that chooses it.
pub(crate) fn cause(address: SocketAddr, option: &str, error: &io::Error) -> String {
    let has_no_interface =
        matches!(address, SocketAddr::V6(v6) if v6.scope_id() == 0 && v6.ip().is_unicast_link_local());
    match error.kind() {
        ErrorKind::AddrInUse => format!("it is in use (choose another with {option}; port 0 picks a free one)"),
        ErrorKind::NotFound => format!("there is no such interface (see: {SHOW_ADDRESSES})"),
        ErrorKind::InvalidInput | ErrorKind::AddrNotAvailable if has_no_interface => {
            format!("it needs its interface, e.g. {option} {}%eth0 (see: {SHOW_ADDRESSES})", address.ip())
        }
        ErrorKind::AddrNotAvailable => format!("it is not an address of this machine (see {option})"),
        _ => cannot_listen(address, option, error).unwrap_or_else(|| describe(error)),
    }
}

/// Why the server does not listen on IPv6, though nobody has chosen its addresses.
pub(crate) fn missing_ipv6(cli: &Cli, running: &RunningServer) -> Option<String> {
    let [address] = running.local_addrs() else { return None };
    if address.is_ipv6() || !matches!(cli.bind[..], [] | [BindAddress::Localhost]) {
        return None;
    }
    Some(match why_no_ipv6() {
        Some(cause) => format!("IPv6 cannot be used: {cause}"),
        None => "no IPv6 address can be used".into(),
    })
}

/// One line for each address at which a browser or a proxy can reach the server.
pub(crate) fn ready_lines(cli: &Cli, running: &RunningServer) -> String {
    ready_urls(cli, running).iter().map(|url| format!("listening on {url}\n")).collect()
}

fn ready_urls(cli: &Cli, running: &RunningServer) -> Vec<String> {
    let mut urls: Vec<String> = Vec::new();
    let mut add = |url: String| {
        if !urls.contains(&url) {
            urls.push(url); // a socket for IPv6 and one for IPv4 have the same name
        }
    };
    for address in running.local_addrs() {
        if address.ip().is_unspecified() && cli.bind.is_empty() {
            add(format!("http://localhost:{}/", address.port()));
            for ip in reachable_ips().filter(|ip| ip.is_ipv4() || address.is_ipv6()) {
                add(url(&SocketAddr::new(ip, address.port())));
            }
        } else {
            add(url(address));
        }
    }
    unix_socket::paths(running).into_iter().for_each(|path| add(format!("unix:{path}")));
    urls
}

/// The URLs of the ready lines whose hosts `--allowed-host` refuses.
pub(crate) fn refused_urls(cli: &Cli, running: &RunningServer) -> Vec<String> {
    ready_urls(cli, running).into_iter().filter(|url| is_refused(cli, url)).collect()
}

fn is_refused(cli: &Cli, url: &str) -> bool {
    // A Unix socket has no host, and with an interface it depends on the client what it sends.
    let host = url.trim_start_matches("http://").trim_end_matches('/').parse();
    !cli.allowed_host.is_empty() && host.is_ok_and(|host| !cli.allowed_host.contains(&host))
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
    let mut urls: Vec<String> = Vec::new();
    for url in addresses.iter().map(url) {
        if !urls.contains(&url) && !is_refused(cli, &url) {
            urls.push(url);
        }
    }
    urls
}

/// The URL of an address. A link-local one has its interface, as RFC 6874 writes it: by name, or on Windows by number.
fn url(address: &SocketAddr) -> String {
    match address {
        SocketAddr::V6(v6) if v6.scope_id() != 0 => {
            let (scope, port) = (v6.scope_id(), v6.port());
            let mut interfaces = if_addrs::get_if_addrs().unwrap_or_default().into_iter();
            let interface = interfaces.find(|interface| cfg!(unix) && interface.index == Some(scope));
            let name = interface.map_or_else(|| scope.to_string(), |interface| interface.name);
            format!("http://[{}%25{name}]:{port}/", v6.ip())
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
