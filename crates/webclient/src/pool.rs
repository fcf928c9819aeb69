//! Connections that are open and free for a request.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::connect::{Endpoint, Stream};
use crate::connection::ClientConnection;

/// The most connections that are kept, to all servers together.
const MOST: usize = 8;

/// After this long, a server is likely to have closed the connection. To find that out costs a round trip.
const KEPT_FOR: Duration = Duration::from_secs(60);

pub(crate) type PooledConnection = ClientConnection<Box<dyn Stream>>;

#[derive(Debug, Default)]
pub(crate) struct Pool(Mutex<Vec<Kept>>);

#[derive(Debug)]
struct Kept {
    endpoint: Endpoint,
    since: Instant,
    connection: PooledConnection,
}

impl Pool {
    /// Takes out the connection to this server that was used last.
    pub(crate) fn take(&self, endpoint: &Endpoint) -> Option<PooledConnection> {
        let mut kept = self.lock();
        kept.retain(|kept| kept.since.elapsed() < KEPT_FOR);
        let index = kept.iter().rposition(|kept| kept.endpoint == *endpoint)?;
        Some(kept.remove(index).connection)
    }

    /// Keeps a connection. If there are too many, the one that has waited longest is closed.
    pub(crate) fn put(&self, endpoint: Endpoint, connection: PooledConnection) {
        let mut kept = self.lock();
        let oldest = (kept.len() >= MOST).then(|| kept.remove(0));
        kept.push(Kept { endpoint, since: Instant::now(), connection });
        drop(kept);
        drop(oldest); // without the lock
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Kept>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
