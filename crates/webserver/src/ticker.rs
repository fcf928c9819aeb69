//! The ticker: a thread that looks at the clock for everybody. It ends whose deadline has passed, has another
//! worker wait for events where one is held up, and after a stop it ends the idle at once and the rest when the grace is
//! over.

use std::thread;
use std::time::Duration;

use crate::clock;
use crate::connection::Connection;
use crate::desk::Desk;
use crate::ends::Reason;
use crate::worker::Engine;

const TICK: Duration = Duration::from_millis(100);

/// How soon another worker looks after the connections of one that a disk holds up.
const GLANCE: Duration = Duration::from_millis(10);

/// So many expired connections a tick at most: each may be sent a 408.
const MOST_A_TICK: usize = 256;

/// The ticker's life; it ends when the server is stopping and nobody is left.
pub(crate) fn run(engine: &Engine, grace: Duration) {
    let mut desk = Desk::new(None);
    let (mut seen, mut ticked) = (0, 0);
    let mut busy = false;
    let mut stopped_at = None;
    loop {
        thread::park_timeout(if busy { GLANCE } else { TICK });
        busy = engine.lobby.watch.relieve(&mut seen);
        let now = clock::now();
        let stopping = engine.site.is_stopping();
        if now < ticked + TICK.as_millis() as u64 && !stopping {
            continue;
        }
        ticked = now;
        for guest in engine.lobby.expired(now, MOST_A_TICK) {
            let behind = engine.turn(guest, &mut desk, Connection::expire);
            debug_assert!(behind.is_none(), "who expires steps behind nobody");
        }
        engine.lobby.tick();
        if !stopping {
            continue;
        }
        let stopped_at = *stopped_at.get_or_insert_with(|| {
            engine.lobby.close_door();
            now
        });
        let over = now.saturating_sub(stopped_at) >= grace.as_millis() as u64;
        for guest in engine.lobby.sweep(|connection| over || connection.is_idle()) {
            engine.cut(guest, Reason::Shutdown);
        }
        if over {
            engine.lobby.dismiss();
        }
        // A worker may still be in its last turn and set its guest down.
        if engine.lobby.is_empty() {
            engine.lobby.dismiss();
            return;
        }
    }
}
