//! The housekeeper: a thread that enforces deadlines, notices stalled workers, has the handler's upkeep done, and ends
//! the server. After a shutdown request it ends idle connections at once, and the others when the shutdown timeout has
//! passed.
//!
//! It only decides. Workers send the responses and close the connections, because both may block.

use std::cmp::Reverse;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::{Duration, Instant};

use super::{Connection, Pool};
use crate::clock::{self, Millis};
use crate::reactor::Work;
use crate::timeouts::{HELD, HELD_AND_LEFT};

const TICK: Duration = Duration::from_millis(100);

/// How soon another worker takes over the connections of one that a disk blocks.
const STALL_CHECK: Duration = Duration::from_millis(10);

/// How often the handler's upkeep begins, unless the last one still runs.
const UPKEEP_INTERVAL: Millis = 1_000;

/// The most connections that time out per tick, since each may be sent a 408.
const MAX_EXPIRED_PER_TICK: usize = 256;

/// Runs the housekeeper until the server has shut down and its last connection is closed.
pub(super) fn run(pool: &Pool, shutdown_timeout: Duration) {
    let (mut seen, mut ticked, mut upkept) = (0, 0, clock::monotonic_ms());
    let mut busy = false;
    let mut stopped_at = None;
    loop {
        thread::park_timeout(if busy { STALL_CHECK } else { TICK });
        busy = pool.reactor.promote_if_stalled(&mut seen);
        let now = clock::monotonic_ms();
        let since = clock::monotonic_ns().saturating_sub(STALL_CHECK.as_nanos() as u64);
        if pool.request_names.iter().any(|name| name.is_held_since(since)) {
            pool.reactor.disk_is_slow();
        }
        let stopping = pool.shared.is_stopping();
        if now < ticked + TICK.as_millis() as u64 && !stopping {
            continue;
        }
        ticked = now;
        for registered in pool.reactor.take_expired(now, MAX_EXPIRED_PER_TICK) {
            pool.reactor.push(Work::TimedOut(registered));
        }
        if pool.shared.body_budget.has_waiters() {
            share_body_budget(pool, now);
        }
        for registered in pool.reactor.take_held_since(now.saturating_sub(HELD)) {
            pool.reactor.push(Work::HeldTooLong(registered));
        }
        if pool.reactor.on_tick() {
            // Those whose clients may have left make room. One that only ended its stream is served if that takes no longer.
            for registered in pool.reactor.take_held_and_left(now.saturating_sub(HELD_AND_LEFT)) {
                pool.reactor.push(Work::Broken(registered));
            }
        }
        if !stopping {
            if now >= upkept + UPKEEP_INTERVAL && !pool.in_upkeep.swap(true, Relaxed) {
                upkept = now;
                pool.reactor.push(Work::Upkeep);
            }
            continue;
        }
        let is_first = stopped_at.is_none();
        let (since, instant) = *stopped_at.get_or_insert_with(|| (now, Instant::now()));
        let over = instant.elapsed() >= shutdown_timeout;
        if is_first {
            pool.reactor.stop_accepting();
        }
        if over || !is_first {
            pool.reactor.close_listeners(over);
        }
        let is_over = |connection: &Connection| over || connection.has_lingered(since, now);
        for registered in pool.reactor.take_matching(is_over) {
            pool.reactor.push(Work::ShutDown(registered));
        }
        for registered in pool.reactor.take_matching(|connection| connection.is_inactive(now)) {
            pool.reactor.push(Work::LastTurn(registered));
        }
        if over {
            pool.reactor.take_held().for_each(|registered| pool.reactor.push(Work::ShutDown(registered)));
        }
        // A worker may still be in its last turn and park its connection.
        if pool.reactor.is_empty() {
            pool.reactor.shut_down_workers();
            return;
        }
    }
}

/// Gives free memory to the bodies that wait for it, the oldest first. For the oldest of the others that they can make
/// room for, the slowest bodies do: a worker sends each of these a 408.
fn share_body_budget(pool: &Pool, now: Millis) {
    let Pool { reactor, shared, .. } = pool;
    let mut waiting = reactor.survey(Connection::waits_for_memory);
    waiting.sort_unstable();
    let mut too_large = Vec::new();
    for ((since, bytes), slot) in waiting {
        let waits = |connection: &Connection| connection.waits_for_memory() == Some((since, bytes));
        if bytes > shared.body_budget.free() {
            too_large.push(bytes);
        } else if let Some(mut registered) = reactor.take_if(slot, waits) {
            registered.connection.grant_memory(shared);
            reactor.push(Work::Resumed(registered));
        }
    }
    if too_large.is_empty() {
        return;
    }
    let mut slowest = reactor.survey(|connection| connection.evictable_body(shared, now));
    slowest.sort_unstable_by_key(|((rate, bytes), _)| (*rate, Reverse(*bytes)));
    let (free, held) = (shared.body_budget.free(), slowest.iter().map(|((_, bytes), _)| *bytes).sum());
    let mut missing = too_large.into_iter().map(|bytes| bytes.saturating_sub(free));
    let Some(mut missing) = missing.find(|missing| *missing <= held) else { return };
    for ((_, bytes), slot) in slowest {
        if missing == 0 {
            return;
        }
        let is_slow = |connection: &Connection| connection.evictable_body(shared, now).is_some();
        if let Some(registered) = reactor.take_if(slot, is_slow) {
            missing = missing.saturating_sub(bytes);
            reactor.push(Work::TimedOut(registered));
        }
    }
}
