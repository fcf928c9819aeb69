//! The server: what it listens on, how it is configured, and how it starts.

mod listener;
mod running;

use std::io;
use std::net::ToSocketAddrs;
use std::sync::Arc;
use std::time::Duration;

use http_core::Limits;

pub(crate) use self::listener::Listener;
use self::listener::Listeners;
pub(crate) use self::running::Workers;
pub use self::running::{RunningServer, ShutdownHandle, StatsHandle};
use crate::access_log::{Log, Writer};
use crate::config::{Engine, ServerConfig};
use crate::connection::shared::Shared;
use crate::forwarded::TrustedProxy;
use crate::handler::Handler;
use crate::messages::Messages;
use crate::plain;
use crate::timeouts::Timeouts;
#[cfg(target_os = "linux")]
use crate::{pool, reactor};

/// A server that is bound to its addresses and not started yet.
///
/// ```
/// use http_server::{Request, Response, Server};
///
/// let server = Server::bind("127.0.0.1:0")?.threads(2);
/// let running = server.start(|request: &Request<'_>| Response::text(format!("{}\n", request.path())))?;
/// println!("listening on {}", running.local_addrs()[0]);
/// // Any thread may call this, for example when a signal arrives:
/// running.shutdown_handle().shut_down();
/// let stats = running.join();
/// assert_eq!(stats.accepted, 0);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Server {
    listeners: Listeners,
    config: ServerConfig,
    log: Option<Log>,
    messages: Messages,
}

/// Addresses.
impl Server {
    /// Listens on these addresses: one, several, or all addresses of a host name. `localhost:6789` is an IPv6 and an
    /// IPv4 address. Port 0 picks a free port.
    ///
    /// # Errors
    /// Those of the system, for the first address that fails. `InvalidInput` if there is no address.
    pub fn bind(addresses: impl ToSocketAddrs) -> io::Result<Server> {
        Listeners::bind(addresses).map(Server::new)
    }

    /// Listens on this port of all addresses, IPv6 and IPv4: with one socket on Linux, with one or two elsewhere. If the
    /// machine has no IPv6, or the process may not use it, it listens on IPv4 only.
    ///
    /// # Errors
    /// Those of the system.
    pub fn bind_any(port: u16) -> io::Result<Server> {
        Listeners::bind_any(port).map(Server::new)
    }

    /// Listens on a Unix socket, whose file it creates at this path. Nobody removes the file. Its mode depends on the
    /// umask: who may write to it may connect. A peer has the address `0.0.0.0:0`.
    ///
    /// Peers cannot pass descriptors to it (SO_PASSRIGHTS is off). On Linux before 6.16 they can: then a descriptor stays
    /// open until the bytes that it came with are read, and closing it can block a worker.
    ///
    /// ```
    /// use http_server::Server;
    ///
    /// let directory = tempfile::tempdir()?;
    /// let server = Server::bind("127.0.0.1:0")?.merge(Server::bind_unix(directory.path().join("socket"))?);
    /// # let _ = server;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    /// `AddrInUse` if the file exists. `InvalidFilename` if the path has more than 107 bytes. Those of the system.
    #[cfg(unix)]
    pub fn bind_unix(path: impl AsRef<std::path::Path>) -> io::Result<Server> {
        Listeners::bind_unix(path.as_ref()).map(Server::new)
    }

    /// Uses sockets that already listen, TCP or Unix (on Linux), for example from systemd or bound before the program dropped its
    /// privileges. A peer over a Unix socket has the address `0.0.0.0:0` and cannot pass descriptors, as with
    /// [`bind_unix`](Self::bind_unix).
    ///
    /// A shutdown closes them. If another process holds such a socket, it can accept the connections that come later.
    ///
    /// ```
    /// use std::net::TcpListener;
    ///
    /// use http_server::Server;
    ///
    /// let listener = TcpListener::bind("127.0.0.1:0")?;
    /// let server = Server::from_listeners([listener.into()])?;
    /// # let _ = server;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    /// `InvalidInput` if a socket does not listen or is of another kind. Those of the system.
    #[cfg(target_os = "linux")]
    pub fn from_listeners(listeners: impl IntoIterator<Item = std::os::fd::OwnedFd>) -> io::Result<Server> {
        Listeners::from_sockets(listeners).map(Server::new)
    }

    /// Adds the listening sockets of another server. The other server's settings are dropped.
    ///
    /// ```
    /// use http_server::Server;
    ///
    /// let server = Server::bind("127.0.0.1:0")?.merge(Server::bind("127.0.0.2:0")?);
    /// # let _ = server;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[must_use]
    pub fn merge(mut self, other: Server) -> Server {
        self.listeners.extend(other.listeners);
        self
    }

    fn new(listeners: Listeners) -> Server {
        Server { listeners, config: ServerConfig::default(), log: None, messages: Messages::default() }
    }
}

/// Settings. The defaults are those of [`ServerConfig`].
impl Server {
    /// All settings at once.
    #[must_use]
    pub fn config(self, config: ServerConfig) -> Server {
        Server { config, ..self }
    }

    /// Which threads wait for clients. Default: the reactor, on Linux.
    ///
    /// ```
    /// use http_server::{Engine, Server};
    ///
    /// let server = Server::bind("127.0.0.1:0")?.engine(Engine::Plain).threads(32);
    /// # let _ = server;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[must_use]
    pub fn engine(mut self, engine: Engine) -> Server {
        self.config.engine = engine;
        self
    }

    /// How many requests may be worked on at once, if that blocks. Default:
    /// [`default_threads`](crate::default_threads). With [`Engine::Plain`] it is how many connections are served at once:
    /// [`plain_threads`](ServerConfig::plain_threads).
    #[must_use]
    pub fn threads(mut self, threads: usize) -> Server {
        self.config.threads = threads;
        self.config.plain_threads = threads;
        self
    }

    /// How many threads may wait for events at once. Default: [`default_pollers`](crate::default_pollers).
    #[must_use]
    pub fn pollers(mut self, pollers: usize) -> Server {
        self.config.pollers = pollers;
        self
    }

    /// The most connections at a time. Default: 10,000.
    ///
    /// At the limit, a new connection replaces the one that has been idle longest. If none is idle, the new one gets a
    /// 503.
    #[must_use]
    pub fn max_connections(mut self, connections: u32) -> Server {
        self.config.max_connections = connections;
        self
    }

    /// Whether a connection may serve more than one request. Default: yes.
    #[must_use]
    pub fn keep_alive(mut self, keep_alive: bool) -> Server {
        self.config.keep_alive = keep_alive;
        self
    }

    /// Trusts X-Forwarded-For from these peers; see [`Request::client_ip`](crate::Request::client_ip). Default: none.
    #[must_use]
    pub fn trust_proxies(mut self, proxies: impl IntoIterator<Item = TrustedProxy>) -> Server {
        self.config.trusted_proxies = proxies.into_iter().collect();
        self
    }

    /// The limits of a request. Default: [`Limits::default`], without a limit for bodies: each handler sets its own.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Server {
        self.config.limits = limits;
        self
    }

    /// How long clients may take.
    #[must_use]
    pub fn timeouts(mut self, timeouts: Timeouts) -> Server {
        self.config.timeouts = timeouts;
        self
    }

    /// How long responses may continue after a shutdown request. Default: 5 s.
    #[must_use]
    pub fn shutdown_timeout(mut self, shutdown_timeout: Duration) -> Server {
        self.config.shutdown_timeout = shutdown_timeout;
        self
    }

    /// The most bytes that partly received heads may take, over all connections. Default: 16 MiB.
    #[must_use]
    pub fn head_budget(mut self, bytes: usize) -> Server {
        self.config.head_budget = bytes;
        self
    }

    /// The most bytes that collected bodies may take, over all connections. Default: 16 MiB. For what happens beyond it,
    /// see [`ServerConfig::body_budget`].
    #[must_use]
    pub fn body_budget(mut self, bytes: usize) -> Server {
        self.config.body_budget = bytes;
        self
    }

    /// The most bytes that responses in memory may take while clients read them, over all connections. Default: 64 MiB.
    #[must_use]
    pub fn send_budget(mut self, bytes: usize) -> Server {
        self.config.send_budget = bytes;
        self
    }

    /// Measures how long each request takes, for [`RequestStats::durations`](crate::RequestStats::durations). Default: no.
    #[must_use]
    pub fn measure_durations(mut self, yes: bool) -> Server {
        self.config.measure_durations = yes;
        self
    }

    /// Writes a line to this log for each request. Default: none.
    #[must_use]
    pub fn log(self, log: Log) -> Server {
        Server { log: Some(log), ..self }
    }

    /// Calls `hook` with each message for the operator: the access log cannot be written, a handler or its body failed or
    /// panicked, or HTTP forbids its response. Default: messages are dropped.
    ///
    /// A message is one line without a line end. Those about handlers begin with the method and the path, such as
    /// `GET /items: handler failed: …`. They come at most once a second and one at a time, and the next one counts those
    /// that were dropped; a log in [JSON](crate::LogFormat::Json) has the cause in each request's line. A hook that blocks
    /// holds the thread that calls it. If it panics, its message is lost. To have messages among the lines of the log, add
    /// them by [`LogHandle::add_line`](crate::LogHandle::add_line).
    ///
    /// ```
    /// use http_server::Server;
    ///
    /// let server = Server::bind("127.0.0.1:0")?.on_message(|message| eprintln!("server: {message}"));
    /// # let _ = server;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[must_use]
    pub fn on_message(self, hook: impl Fn(&str) + Send + Sync + 'static) -> Server {
        Server { messages: Messages::new(Box::new(hook)), ..self }
    }
}

/// Starting.
impl Server {
    /// Serves until the process ends. For a shutdown, use [`start`](Self::start).
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn serve(self, handler: impl Handler + 'static) -> io::Result<()> {
        self.start(handler)?.join();
        Ok(())
    }

    /// Starts all threads and returns at once.
    ///
    /// # Errors
    /// Those of the system, if it is out of threads or file descriptors. Then no thread is left running.
    pub fn start(self, handler: impl Handler + 'static) -> io::Result<RunningServer> {
        let config = self.config.clamped();
        let messages = Arc::new(self.messages);
        let Listeners { sockets, addresses, unix_addresses } = self.listeners;
        let shutdown_timeout = config.shutdown_timeout;
        let workers: Box<dyn FnOnce(Shared<'static>) -> Arc<dyn Workers>> = match config.engine {
            #[cfg(target_os = "linux")]
            Engine::Reactor => {
                let sockets = sockets.into_iter().map(Into::into).collect();
                let reactor = reactor::Reactor::new(sockets, &config, !handler.never_blocks())?;
                let threads = config.threads;
                Box::new(move |shared| Arc::new(pool::Pool::new(reactor, threads, shared)))
            }
            Engine::Plain => {
                sockets.iter().try_for_each(plain::prepare)?;
                Box::new(move |shared| Arc::new(plain::Pool::new(sockets, config.plain_threads, shared)))
            }
        };
        let writer = self.log.map(|log| Writer::start(log, &messages)).transpose()?;
        let shared = Shared {
            log: writer.as_ref().map(Writer::log),
            messages,
            ..Shared::with_config(Box::new(handler), config)
        };
        RunningServer::start(workers(shared), shutdown_timeout, addresses, unix_addresses, writer)
    }
}
