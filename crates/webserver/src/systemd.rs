//! What systemd hands over, and what it is told: listening sockets (`LISTEN_FDS`), and how far the service is
//! (`NOTIFY_SOCKET`). Without systemd there is nothing of either.

use std::env;
use std::os::fd::OwnedFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::Arc;

use listenfd::ListenFd;

/// The sockets that were handed over to this process, none of which is another's. To be called once, before anything else
/// is opened: the numbers of descriptors are all that there is to go by.
pub(crate) fn sockets() -> Result<Vec<OwnedFd>, String> {
    let mut handed = ListenFd::from_env();
    let count = handed.len();
    let take = |n| match handed.take_tcp_listener(n) {
        Ok(socket) => Ok(socket.map(OwnedFd::from)),
        Err(_) => handed.take_unix_listener(n).map(|socket| socket.map(OwnedFd::from)),
    };
    let sockets: Result<Vec<_>, _> = (0..count).map(take).collect();
    let sockets = sockets.map_err(|error| {
        format!("what LISTEN_FDS hands over is no stream socket ({error}); use ListenStream= in the unit of the socket")
    })?;
    Ok(sockets.into_iter().flatten().collect())
}

/// Who wants to know how far the service is.
#[derive(Clone, Debug)]
pub(crate) struct Notifier(Option<Arc<UnixDatagram>>);

impl Notifier {
    /// Whom `NOTIFY_SOCKET` names. It is connected at once: later that might be forbidden.
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

    /// Tells it. Nothing depends on it.
    pub(crate) fn tell(&self, state: &str) {
        if let Some(socket) = &self.0 {
            let _ = socket.send(state.as_bytes());
        }
    }
}
