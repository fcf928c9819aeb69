//! The report: a table per delayed call, and one for the hot connection. Ours is the first server, nginx the second.

use crate::figures::{median, number, sorted, time};
use crate::slow::Call;
use crate::{BESIDE_HOT, Options, Sample, Samples};

/// The part of the ideal rate that a server should reach.
const GOAL: f64 = 0.8;

pub(crate) fn cold(call: &Call, options: &Options, servers: &[Option<Samples>]) {
    println!("\n### {}: {} delayed in ours, {} in nginx\n", call.name, call.ours, call.nginx.unwrap_or("no call"));
    println!(
        "| connections | ours, requests/s | nginx | bound | ours to bound | calls/request | nginx | p99 | nginx |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    for (row, &connections) in options.connections.iter().enumerate() {
        let of = |server: usize, what: fn(&Sample) -> f64| {
            let rounds = &servers.get(server)?.as_ref()?.cold[row];
            median(&sorted(rounds.iter().map(what)))
        };
        let (rate, calls) = (|s: &Sample| s.rate, |s: &Sample| s.calls);
        // The calls of one request follow each other; those of several requests overlap, at most one per thread.
        let bound = of(0, calls)
            .map(|calls| GOAL * options.threads.min(connections) as f64 * 1e6 / (calls * options.delay as f64));
        let ratio = of(0, rate).zip(bound).map(|(rate, bound)| rate / bound);
        println!(
            "| {connections} | {} | {} | {} | {} | {} | {} | {} | {} |",
            number(of(0, rate), 0),
            number(of(1, rate), 0),
            number(bound, 0),
            number(ratio, 2),
            number(of(0, calls), 1),
            number(of(1, calls), 1),
            time(of(0, |s| s.latencies[1])),
            time(of(1, |s| s.latencies[1])),
        );
    }
}

pub(crate) fn hot(blocks: &[(&Call, Vec<Option<Samples>>)]) {
    println!("\n### One connection for a cached file, beside {BESIDE_HOT} for cold files\n");
    println!("| delayed | ours, p50 | p99 | cold requests/s | nginx, p50 | p99 | cold requests/s |");
    println!("|---|---|---|---|---|---|---|");
    for (call, servers) in blocks {
        let of = |server: usize, what: fn(&Sample) -> f64| {
            let rounds = &servers.get(server)?.as_ref()?.hot;
            median(&sorted(rounds.iter().map(what)))
        };
        let cells = [0, 1].map(|server| {
            let [p50, p99] = [time(of(server, |s| s.latencies[0])), time(of(server, |s| s.latencies[1]))];
            format!("{p50} | {p99} | {}", number(of(server, |s| s.rate), 0))
        });
        println!("| {} | {} |", call.name, cells.join(" | "));
    }
}
