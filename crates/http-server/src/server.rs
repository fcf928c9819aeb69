//! The server: its listeners, its threads, and how it is stopped.

use std::io;
use std::mem::ManuallyDrop;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::os::fd::OwnedFd;
use std::os::unix::net::{SocketAddr as UnixAddr, UnixListener};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::thread::{self, JoinHandle, Thread};
use std::time::Duration;

use rustix::io::{Errno, ioctl_fionbio};
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, getsockname, listen, socket_with, sockopt as options};

use crate::access_log::{Log, LogHandle, Writer};
use crate::config::ServerConfig;
use crate::connection::shared::Shared;
use crate::connection::sockopt;
use crate::forwarded::TrustedProxy;
use crate::handler::Handler;
use crate::pool::{Engine, housekeeper};
use crate::reactor::Reactor;
use crate::stats::Stats;
use crate::timeouts::Timeouts;

/// A server that is bound and not yet serving.
///
/// ```
/// use http_server::{Response, Request, Server};
///
/// let server = Server::bind("127.0.0.1:0")?.threads(2);
/// let running = server.start(|request: &Request<'_>| Response::text(format!("{}\n", request.path())))?;
/// let address = running.local_addrs()[0];
/// // … until somebody calls this from any thread:
/// running.shutdown_handle().shut_down();
/// let stats = running.join();
/// assert_eq!(stats.accepted, 0);
/// # let _ = address;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Server {
    listeners: Listeners,
    config: ServerConfig,
    keep_alive: bool,
    log: Option<Log>,
    trusted: Vec<TrustedProxy>,
}

/// Listening sockets, and where they listen.
#[derive(Debug, Default)]
struct Listeners {
    sockets: Vec<OwnedFd>,
    addresses: Vec<SocketAddr>,
    unix_addresses: Vec<UnixAddr>,
}

/// Connections that the kernel has set up and nobody has accepted yet.
const BACKLOG: i32 = 4096;

impl Server {
    /// Listens on exactly these addresses: one, several, or all that a name stands for, as `localhost:6789` does for
    /// those of IPv6 and IPv4. Port 0 is any free one.
    ///
    /// # Errors
    /// Of the system, for the first address that cannot be had; `InvalidInput` if there is none.
    pub fn bind(addresses: impl ToSocketAddrs) -> io::Result<Server> {
        let listeners: Vec<_> =
            addresses.to_socket_addrs()?.map(|address| listener(address, true)).collect::<io::Result<_>>()?;
        if listeners.is_empty() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "there is no address to listen on"));
        }
        Server::from_listeners(listeners)
    }

    /// Listens on all addresses, IPv6 and IPv4, by one socket; on those of IPv4 where there is no IPv6.
    ///
    /// # Errors
    /// Of the system.
    pub fn bind_any(port: u16) -> io::Result<Server> {
        let all = |address: IpAddr| listener(SocketAddr::new(address, port), false);
        let socket = match all(Ipv6Addr::UNSPECIFIED.into()) {
            Err(error) if is_no_ipv6(&error) => all(Ipv4Addr::UNSPECIFIED.into())?,
            other => other?,
        };
        Server::from_listeners([socket])
    }

    /// Takes sockets that listen already, of TCP or of the unix domain: those that systemd hands over, or those that a
    /// program bound before it gave its privileges up. A peer over the unix domain has the address `0.0.0.0:0`.
    ///
    /// When the server stops they are closed, and nothing more: connections that nobody has accepted wait for whoever
    /// else holds the socket.
    ///
    /// ```
    /// use std::net::TcpListener;
    /// use http_server::Server;
    ///
    /// let listener = TcpListener::bind("127.0.0.1:0")?;
    /// let server = Server::from_listeners([listener.into()])?;
    /// # let _ = server;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    /// `InvalidInput` for what is no listening socket of these kinds; those of the system.
    pub fn from_listeners(listeners: impl IntoIterator<Item = OwnedFd>) -> io::Result<Server> {
        let mut all = Listeners::default();
        listeners.into_iter().try_for_each(|socket| all.take(socket))?;
        Ok(Server { listeners: all, config: ServerConfig::default(), keep_alive: true, log: None, trusted: Vec::new() })
    }

    /// Listens where the other does, too; everything else of the other is dropped.
    ///
    /// ```
    /// use http_server::Server;
    ///
    /// let directory = tempfile::tempdir()?;
    /// let socket = std::os::unix::net::UnixListener::bind(directory.path().join("socket"))?;
    /// let server = Server::bind("127.0.0.1:0")?.merge(Server::from_listeners([socket.into()])?);
    /// # let _ = server;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[must_use]
    pub fn merge(mut self, other: Server) -> Server {
        self.listeners.sockets.extend(other.listeners.sockets);
        self.listeners.addresses.extend(other.listeners.addresses);
        self.listeners.unix_addresses.extend(other.listeners.unix_addresses);
        self
    }

    /// The size of the pool, at least 1; default [`default_threads`].
    #[must_use]
    pub fn threads(mut self, threads: usize) -> Server {
        self.config.threads = threads.max(1);
        self
    }

    /// How many connections there may be at once, at least 1; default 10,000. For one more, the connection that has been
    /// idle longest is closed; is none idle, the newcomer is answered 503.
    #[must_use]
    pub fn max_connections(mut self, connections: u32) -> Server {
        self.config.connections = connections.clamp(1, 1 << 24);
        self
    }

    /// How long peers may take.
    #[must_use]
    pub fn timeouts(mut self, timeouts: Timeouts) -> Server {
        self.config.timeouts = timeouts;
        self
    }

    /// How long replies may go on after a stop; default 5 s.
    #[must_use]
    pub fn shutdown_timeout(mut self, shutdown_timeout: Duration) -> Server {
        self.config.shutdown_timeout = shutdown_timeout;
        self
    }

    /// All of these at once.
    #[must_use]
    pub fn config(self, config: ServerConfig) -> Server {
        Server { config, ..self }.threads(config.threads).max_connections(config.connections)
    }

    /// Whether a connection may serve more than one request; default yes.
    #[must_use]
    pub fn keep_alive(self, keep_alive: bool) -> Server {
        Server { keep_alive, ..self }
    }

    /// A line for each request; default none.
    #[must_use]
    pub fn log(self, log: Log) -> Server {
        Server { log: Some(log), ..self }
    }

    /// Peers that are believed when they say, by X-Forwarded-For, who their client is; see
    /// [`Request::client`](crate::Request::client). Default none.
    #[must_use]
    pub fn trust_proxies(self, proxies: impl IntoIterator<Item = TrustedProxy>) -> Server {
        Server { trusted: proxies.into_iter().collect(), ..self }
    }

    /// Starts all threads and serves for as long as the process lives. A program that is to end in order calls
    /// [`start`](Self::start), which gives a way to stop.
    ///
    /// # Errors
    /// Those of [`start`](Self::start).
    pub fn serve(self, handler: impl Handler) -> io::Result<Stats> {
        Ok(self.start(handler)?.join())
    }

    /// Starts all threads; returns at once.
    ///
    /// # Errors
    /// Of the system, if it has no thread or descriptor left.
    pub fn start(self, handler: impl Handler) -> io::Result<RunningServer> {
        let writer = self.log.map(Writer::start).transpose()?;
        let Listeners { sockets, addresses, unix_addresses } = self.listeners;
        let engine = Arc::new(Engine {
            reactor: Reactor::new(sockets, self.config.connections)?,
            shared: Shared {
                log: writer.as_ref().map(Writer::log),
                trusted: self.trusted.into(),
                timeouts: self.config.timeouts,
                keep_alive: self.keep_alive,
                ..Shared::new(Box::new(handler))
            },
        });
        let spawn = |name: String, run: Box<dyn FnOnce(&Engine) + Send>| {
            let engine = engine.clone();
            thread::Builder::new().name(name).spawn(move || run(&engine))
        };
        let housekeeper = spawn(
            "housekeeper".into(),
            Box::new(move |engine| housekeeper::run(engine, self.config.shutdown_timeout)),
        )?;
        let worker = |n| spawn(format!("worker-{n}"), Box::new(Engine::worker_loop));
        let workers: io::Result<Vec<_>> = (0..self.config.threads).map(worker).collect();
        let shutdown = ShutdownHandle { engine, housekeeper: housekeeper.thread().clone() };
        match workers {
            Ok(workers) => {
                let writer = writer.map(ManuallyDrop::new);
                Ok(RunningServer { shutdown, addresses, unix_addresses, housekeeper, workers, writer })
            }
            Err(error) => {
                shutdown.shut_down(); // those that were started end by themselves
                Err(error)
            }
        }
    }
}

/// The default size of the pool: 4 a core, and at least 4.
pub fn default_threads() -> usize {
    4 * thread::available_parallelism().map_or(1, usize::from)
}

/// A server at work.
#[derive(Debug)]
pub struct RunningServer {
    shutdown: ShutdownHandle,
    addresses: Vec<SocketAddr>,
    unix_addresses: Vec<UnixAddr>,
    housekeeper: JoinHandle<()>,
    workers: Vec<JoinHandle<()>>,
    /// Whoever drops this lets the server go on, and so its log.
    writer: Option<ManuallyDrop<Writer>>,
}

impl RunningServer {
    /// The addresses of TCP that it listens on, with their real ports.
    pub fn local_addrs(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// The addresses of the unix domain that it listens on.
    pub fn unix_addrs(&self) -> &[UnixAddr] {
        &self.unix_addresses
    }

    /// A handle that stops it, from any thread.
    pub fn shutdown_handle(&self) -> ShutdownHandle {
        self.shutdown.clone()
    }

    /// A handle by which the log's file is opened anew, from any thread; without such a file it does nothing.
    pub fn log_handle(&self) -> LogHandle {
        LogHandle(self.shutdown.engine.shared.log.clone())
    }

    /// The numbers of its connections so far.
    pub fn stats(&self) -> Stats {
        self.shutdown.stats()
    }

    /// Waits until it was stopped and has ended; all log lines are written then, if
    /// somebody reads them.
    pub fn join(self) -> Stats {
        for thread in self.workers.into_iter().chain([self.housekeeper]) {
            let _ = thread.join(); // a panic was reported where it happened
        }
        let dropped_log_lines = self.writer.map_or(0, |writer| ManuallyDrop::into_inner(writer).finish());
        Stats { dropped_log_lines, ..self.shutdown.stats() }
    }
}

/// Stops a server in order: nobody is accepted any more, who is idle is closed, replies may end within the shutdown_timeout.
#[derive(Clone, Debug)]
pub struct ShutdownHandle {
    engine: Arc<Engine>,
    housekeeper: Thread,
}

impl ShutdownHandle {
    /// Begins to stop; returns at once.
    pub fn shut_down(&self) {
        self.engine.shared.stopping.store(true, Relaxed);
        self.housekeeper.unpark();
    }

    /// The numbers of the server's connections so far.
    pub fn stats(&self) -> Stats {
        let shared = &self.engine.shared;
        let dropped_log_lines = shared.log.as_ref().map_or(0, |log| log.dropped_so_far());
        shared.counters.stats(dropped_log_lines)
    }
}

impl Listeners {
    fn take(&mut self, socket: OwnedFd) -> io::Result<()> {
        let is_stream = options::socket_type(&socket)? == SocketType::STREAM;
        if !is_stream || !options::socket_acceptconn(&socket)? {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a stream socket that listens"));
        }
        ioctl_fionbio(&socket, true)?;
        let address = getsockname(&socket)?;
        let socket = match SocketAddr::try_from(address.clone()) {
            Ok(address) => {
                // Inherited by every accepted socket, so it costs no call there. Either only saves time.
                let _ = options::set_tcp_nodelay(&socket, true);
                let _ = sockopt::defer_accept(&socket);
                self.addresses.push(address);
                socket
            }
            Err(_) if address.address_family() == AddressFamily::UNIX => {
                let socket = UnixListener::from(socket);
                self.unix_addresses.push(socket.local_addr()?);
                socket.into()
            }
            Err(_) => return Err(io::Error::new(io::ErrorKind::InvalidInput, "a socket of neither TCP nor unix")),
        };
        self.sockets.push(socket);
        Ok(())
    }
}

fn listener(address: SocketAddr, only_v6: bool) -> io::Result<OwnedFd> {
    let family = if address.is_ipv6() { AddressFamily::INET6 } else { AddressFamily::INET };
    let socket = socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    if address.is_ipv6() {
        options::set_ipv6_v6only(&socket, only_v6)?;
    }
    options::set_socket_reuseaddr(&socket, true)?;
    bind(&socket, &address)?;
    listen(&socket, BACKLOG)?;
    Ok(socket)
}

fn is_no_ipv6(error: &io::Error) -> bool {
    let no_ipv6 = [Errno::AFNOSUPPORT, Errno::ADDRNOTAVAIL, Errno::PROTONOSUPPORT].map(|errno| errno.raw_os_error());
    error.raw_os_error().is_some_and(|errno| no_ipv6.contains(&errno))
}
