//! systemd: the listening sockets that it passes (`LISTEN_FDS`) and the notifications to it (`NOTIFY_SOCKET`). Without
//! systemd there are neither.

use std::env;
use std::os::fd::OwnedFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::Arc;

use http_server::Server;
use listenfd::ListenFd;

/// The sockets that this process inherited.
pub(crate) struct Inherited(Vec<OwnedFd>);

impl Inherited {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The server on these sockets, if there are any.
    pub(crate) fn server(self, has_explicit_sockets: bool) -> Result<Option<Server>, String> {
        if self.0.is_empty() {
            return Ok(None);
        }
        if has_explicit_sockets {
            return Err(
                "cannot combine sockets from LISTEN_FDS with --port, --bind or --unix (remove the options)".into()
            );
        }
        Server::from_listeners(self.0).map(Some).map_err(|error| format!("cannot use LISTEN_FDS: {error}"))
    }
}

/// The sockets that this process inherited. Call it once, before anything is opened: a descriptor that is opened could
/// get the number of an inherited one that is missing.
pub(crate) fn inherited() -> Result<Inherited, String> {
    let mut inherited = ListenFd::from_env();
    let count = inherited.len();
    let take = |n| match inherited.take_tcp_listener(n) {
        Ok(socket) => Ok(socket.map(OwnedFd::from)),
        Err(_) => inherited.take_unix_listener(n).map(|socket| socket.map(OwnedFd::from)),
    };
    let sockets: Result<Vec<_>, _> = (0..count).map(take).collect();
    let sockets = sockets.map_err(|error| {
        format!("cannot use LISTEN_FDS: not a stream socket: {error} (use ListenStream= in the socket unit)")
    })?;
    Ok(Inherited(sockets.into_iter().flatten().collect()))
}

/// The connection to the service manager, if there is one.
#[derive(Clone, Debug)]
pub(crate) struct Notifier(Option<Arc<UnixDatagram>>);

impl Notifier {
    /// Connects to the socket that `NOTIFY_SOCKET` names. It connects now because Landlock may forbid it later, which
    /// is why the crate sd-notify does not fit.
    pub(crate) fn from_env() -> Notifier {
        let connect = || {
            let name = env::var_os("NOTIFY_SOCKET")?;
            let address = match name.as_bytes() {
                [b'@', name @ ..] => SocketAddr::from_abstract_name(name),
                _ => SocketAddr::from_pathname(&name),
            };
            let socket = UnixDatagram::unbound().ok()?;
            socket.connect_addr(&address.ok()?).ok()?;
            socket.set_nonblocking(true).ok()?;
            Some(Arc::new(socket))
        };
        Notifier(connect())
    }

    /// Whether there is a service manager.
    pub(crate) fn is_connected(&self) -> bool {
        self.0.is_some()
    }

    /// Sends the state. An error is ignored: the service works without a manager.
    pub(crate) fn notify(&self, state: &str) {
        if let Some(socket) = &self.0 {
            let _ = socket.send(state.as_bytes());
        }
    }
}
