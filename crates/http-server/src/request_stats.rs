//! What is counted of each request: its status, its bytes, why it ended, and how long it took. Each worker has counters
//! of its own and is the only one that writes them, so counting takes neither a lock nor an atomic addition.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use http_core::Status;

use crate::clock;
use crate::stats::{EndReason, ResponsesByClass};

const CODES: usize = 900; // 100 to 999
const REASONS: usize = EndReason::ALL.len();

/// The upper bounds of the buckets of a duration, in microseconds: from a cached file to a slow download.
const BOUNDS: [u64; 14] = [
    100,
    250,
    1_000,
    2_500,
    10_000,
    25_000,
    100_000,
    250_000,
    1_000_000,
    2_500_000,
    10_000_000,
    30_000_000,
    60_000_000,
    300_000_000,
];

/// The counters of one worker. They have cache lines of their own.
#[derive(Debug)]
#[repr(align(128))]
pub(crate) struct RequestCounters {
    bytes_sent: AtomicU64,
    nanoseconds: AtomicU64,
    ended: [AtomicU64; REASONS],
    /// The last one is for what lasted longer than all bounds.
    durations: [AtomicU64; BOUNDS.len() + 1],
    codes: [AtomicU64; CODES],
}

impl RequestCounters {
    pub(crate) fn new() -> Arc<RequestCounters> {
        Arc::new(RequestCounters {
            bytes_sent: AtomicU64::new(0),
            nanoseconds: AtomicU64::new(0),
            ended: [const { AtomicU64::new(0) }; _],
            durations: [const { AtomicU64::new(0) }; _],
            codes: [const { AtomicU64::new(0) }; _],
        })
    }

    /// A request has ended. Without a status it got no response. `began` is in nanoseconds, and 0 if it is not known.
    pub(crate) fn request_ended(&self, reason: EndReason, response: Option<(Status, u64)>, began: u64) {
        add(&self.ended[reason as usize], 1);
        if let Some((status, bytes)) = response {
            add(&self.codes[usize::from(status.code()) - 100], 1);
            add(&self.bytes_sent, bytes);
        }
        if began > 0 {
            let nanoseconds = clock::monotonic_ns().saturating_sub(began);
            add(&self.durations[BOUNDS.partition_point(|bound| bound * 1000 < nanoseconds)], 1);
            add(&self.nanoseconds, nanoseconds);
        }
    }
}

/// Adds to a counter that no other thread writes.
fn add(counter: &AtomicU64, n: u64) {
    counter.store(counter.load(Relaxed).wrapping_add(n), Relaxed);
}

/// What has become of the requests of a server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RequestStats {
    /// Responses that have ended, complete or not, by their status. Only those that occurred, in ascending order.
    pub responses: Vec<(Status, u64)>,
    /// Bytes of these responses that the kernel has accepted, heads and bodies, without interim responses.
    pub bytes_sent: u64,
    /// How long requests took, from their first byte to the end of their responses. Empty unless the server
    /// [measures](crate::ServerConfig::measure_durations) it.
    pub durations: DurationHistogram,
    ended: [u64; REASONS],
}

impl RequestStats {
    pub(crate) fn sum(workers: &[Arc<RequestCounters>]) -> RequestStats {
        let sum = |counter: &dyn Fn(&RequestCounters) -> &AtomicU64| -> u64 {
            workers.iter().map(|worker| counter(worker).load(Relaxed)).sum()
        };
        let mut stats = RequestStats { bytes_sent: sum(&|worker| &worker.bytes_sent), ..RequestStats::default() };
        for code in 100..1000 {
            let n = sum(&|worker| &worker.codes[usize::from(code) - 100]);
            stats.responses.extend(Status::new(code).ok().filter(|_| n > 0).map(|status| (status, n)));
        }
        for (index, n) in stats.ended.iter_mut().enumerate() {
            *n = sum(&|worker| &worker.ended[index]);
        }
        for (index, n) in stats.durations.counts.iter_mut().enumerate() {
            *n = sum(&|worker| &worker.durations[index]);
        }
        stats.durations.sum = Duration::from_nanos(sum(&|worker| &worker.nanoseconds));
        stats
    }

    /// How many requests have ended for each reason. One that got no response is among them, unless nothing of it had
    /// arrived.
    pub fn ended_by_reason(&self) -> impl Iterator<Item = (EndReason, u64)> + use<> {
        EndReason::ALL.into_iter().zip(self.ended)
    }

    pub(crate) fn by_class(&self) -> ResponsesByClass {
        let class = |classes: &[u16]| -> u64 {
            self.responses.iter().filter(|(status, _)| classes.contains(&(status.code() / 100))).map(|(_, n)| n).sum()
        };
        let server_error = class(&[5, 6, 7, 8, 9]);
        ResponsesByClass { success: class(&[1, 2]), redirect: class(&[3]), client_error: class(&[4]), server_error }
    }
}

/// How many requests took how long.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DurationHistogram {
    /// The sum of all durations.
    pub sum: Duration,
    counts: [u64; BOUNDS.len() + 1],
}

impl DurationHistogram {
    /// How many requests took at most this long, for each bound in ascending order.
    pub fn cumulative(&self) -> impl Iterator<Item = (Duration, u64)> {
        BOUNDS.into_iter().zip(self.counts).scan(0, |sum, (bound, n)| {
            *sum += n;
            Some((Duration::from_micros(bound), *sum))
        })
    }

    /// How many requests there were.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_of_all_workers_are_added_up() {
        let workers = [RequestCounters::new(), RequestCounters::new()];
        for (worker, code) in workers.iter().cycle().zip([100, 200, 206, 301, 304, 400, 404, 416, 503, 503, 999]) {
            worker.request_ended(EndReason::Complete, Some((Status::new(code).unwrap(), 10)), 0);
        }
        workers[1].request_ended(EndReason::BodyTimeout, None, 0);
        let stats = RequestStats::sum(&workers);
        let expected = ResponsesByClass { success: 3, redirect: 2, client_error: 3, server_error: 3 };
        assert_eq!((stats.by_class(), stats.bytes_sent, stats.durations.count()), (expected, 110, 0));
        let codes: Vec<_> = stats.responses.iter().map(|(status, n)| (status.code(), *n)).collect();
        assert_eq!(
            codes,
            [(100, 1), (200, 1), (206, 1), (301, 1), (304, 1), (400, 1), (404, 1), (416, 1), (503, 2), (999, 1)]
        );
        let ended: Vec<_> = stats.ended_by_reason().filter(|(_, n)| *n > 0).collect();
        assert_eq!(ended, [(EndReason::Complete, 11), (EndReason::BodyTimeout, 1)]);
    }

    #[test]
    fn duration_is_counted_in_every_bucket_that_it_fits() {
        let worker = RequestCounters::new();
        let ago = |seconds: u64| clock::monotonic_ns().saturating_sub(seconds * 1_000_000_000).max(1);
        [0, 5, 50].into_iter().for_each(|seconds| worker.request_ended(EndReason::Complete, None, ago(seconds)));
        let durations = RequestStats::sum(&[worker]).durations;
        assert!(durations.count() == 3 && durations.cumulative().map(|(_, n)| n).is_sorted());
        let within = |seconds| durations.cumulative().find(|(bound, _)| bound.as_secs() == seconds).unwrap().1;
        assert_eq!([within(1), within(10), within(30), within(60), within(300)], [1, 2, 2, 3, 3]);
        assert!((55..60).contains(&durations.sum.as_secs()), "{durations:?}");
    }
}
