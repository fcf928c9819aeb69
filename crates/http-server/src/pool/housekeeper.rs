//! The housekeeper: a thread that enforces deadlines, notices stalled workers, and ends the server. After a shutdown
//! request it closes idle connections at once, and the others when the shutdown timeout has passed.

use std::thread;
use std::time::Duration;

use super::Engine;
use crate::clock;
use crate::connection::Connection;
use crate::connection::context::WorkerContext;
use crate::stats::EndReason;

const TICK: Duration = Duration::from_millis(100);

/// How soon another worker takes over the connections of one that a disk blocks.
const STALL_CHECK: Duration = Duration::from_millis(10);

/// The most connections that time out per tick, since each may be sent a 408.
const MAX_EXPIRED_PER_TICK: usize = 256;

/// Runs the housekeeper until the server has shut down and its last connection is closed.
pub(crate) fn run(engine: &Engine, shutdown_timeout: Duration) {
    let mut context = WorkerContext::new(None);
    let (mut seen, mut ticked) = (0, 0);
    let mut busy = false;
    let mut stopped_at = None;
    loop {
        thread::park_timeout(if busy { STALL_CHECK } else { TICK });
        busy = engine.reactor.promote_if_stalled(&mut seen);
        let now = clock::monotonic_ms();
        let stopping = engine.shared.is_stopping();
        if now < ticked + TICK.as_millis() as u64 && !stopping {
            continue;
        }
        ticked = now;
        for registered in engine.reactor.take_expired(now, MAX_EXPIRED_PER_TICK) {
            let deferred = engine.run_turn(registered, &mut context, Connection::on_timeout);
            debug_assert!(deferred.is_none(), "a connection that timed out is not deferred");
        }
        engine.reactor.on_tick();
        if !stopping {
            continue;
        }
        let stopped_at = *stopped_at.get_or_insert_with(|| {
            engine.reactor.stop_accepting();
            now
        });
        let over = now.saturating_sub(stopped_at) >= shutdown_timeout.as_millis() as u64;
        for registered in engine.reactor.take_matching(|connection| over || connection.is_idle()) {
            engine.abort(registered, EndReason::Shutdown);
        }
        if over {
            engine.reactor.shut_down_workers();
        }
        // A worker may still be in its last turn and park its connection.
        if engine.reactor.is_empty() {
            engine.reactor.shut_down_workers();
            return;
        }
    }
}
