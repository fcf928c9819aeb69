//! The report: medians over the rounds, as Markdown tables.

use crate::Sample;
use crate::figures::{median, number, sorted, time};
use crate::servers::{Kind, Server};
use crate::workloads::Workload;
use crate::wrk::ERRORS;

type Rounds = Vec<Result<Sample, String>>;

/// The peers that ours is compared with: complete file servers.
const COMPARED: [Kind; 3] = [Kind::Nginx, Kind::H2o, Kind::Lighttpd];

pub(crate) fn tables(workloads: &[Workload], servers: &[Server], samples: &[Vec<Rounds>]) {
    for (workload, samples) in workloads.iter().zip(samples) {
        table(workload, servers, samples);
    }
    if workloads.len() > 1 {
        summary(workloads, servers, samples);
    }
}

fn table(workload: &Workload, servers: &[Server], samples: &[Rounds]) {
    let (cost, rate) = units(workload);
    println!("\n### {}: {}\n", workload.name, workload.title);
    let spread = if samples.iter().any(|rounds| rounds.len() > 1) { " (lowest to highest)" } else { "" };
    println!("| server | {cost}{spread} | {rate} | p50 | p99 | p99.9 | memory, MiB | errors |");
    println!("|---|---|---|---|---|---|---|---|");
    for (server, rounds) in servers.iter().zip(samples) {
        let good: Vec<&Sample> = rounds.iter().flatten().collect();
        let of = |what: fn(&Workload, &Sample) -> f64| sorted(good.iter().map(|sample| what(workload, sample)));
        let costs = of(cost_of);
        let spread = match costs.as_slice() {
            [low, .., high] => format!(" ({low:.1} to {high:.1})"),
            _ => String::new(),
        };
        // A transfer of 1 GiB may take longer than a measurement.
        let complete = || good.iter().filter(|sample| sample.figures.requests > 0);
        let latency = |i: usize| time(median(&sorted(complete().map(|sample| sample.figures.latencies[i] as f64))));
        println!(
            "| {} | {}{spread} | {} | {} | {} | {} | {} | {} |",
            server.name(),
            number(median(&costs), 1),
            number(median(&of(rate_of)), if workload.size < 1 << 30 { 0 } else { 2 }),
            latency(0),
            latency(1),
            latency(2),
            number(median(&of(|_, sample| sample.memory as f64 / 1024.0)), 1),
            errors(rounds)
        );
    }
    ratios(workload, servers, samples);
}

/// Prints ratios of processor times: medians of each round's ratio, because the two were measured close together.
///
/// A round with errors is left out, because an error costs less than a response.
fn ratios(workload: &Workload, servers: &[Server], samples: &[Rounds]) {
    let rounds = |kind| servers.iter().position(|server| server.kind == kind).map(|s| &samples[s]);
    let beside = |ours: Kind, peer: &Rounds| {
        let pairs = rounds(ours)?.iter().zip(peer);
        let cost = |round: &Result<Sample, _>| {
            round.as_ref().ok().filter(|sample| sample.figures.errors == [0; 5]).map(|sample| cost_of(workload, sample))
        };
        let ratio = |(our, peer)| Some(cost(our)? / cost(peer)?);
        median(&sorted(pairs.filter_map(ratio)))
    };
    println!();
    for (kind, peer) in COMPARED.into_iter().filter_map(|kind| Some((kind, rounds(kind)?))) {
        let [silent, logging] = [Kind::Silent, Kind::Logging].map(|ours| number(beside(ours, peer), 2));
        println!("- processor time of webserver / {}: {silent}, with its access log {logging}", kind.name());
    }
}

/// Prints the processor time of every server for every workload.
fn summary(workloads: &[Workload], servers: &[Server], samples: &[Vec<Rounds>]) {
    println!("\n### All: {}\n", units(&workloads[0]).0);
    let names: Vec<_> = workloads.iter().map(|workload| workload.name.as_str()).collect();
    println!("| server | {} |", names.join(" | "));
    println!("|---|{}", "---|".repeat(workloads.len()));
    for (s, server) in servers.iter().enumerate() {
        let cost = |(workload, samples): (&Workload, &Vec<Rounds>)| {
            let costs = sorted(samples[s].iter().flatten().map(|sample| cost_of(workload, sample)));
            number(median(&costs), 1)
        };
        let costs: Vec<_> = workloads.iter().zip(samples).map(cost).collect();
        println!("| {} | {} |", server.name(), costs.join(" | "));
    }
}

/// The units of cost and rate. Few transfers of 1 GiB end within a measurement, so bytes are counted for them.
fn units(workload: &Workload) -> (&'static str, &'static str) {
    if workload.size < 1 << 30 { ("CPU µs/request", "requests/s") } else { ("CPU ms/GiB", "GiB/s") }
}

fn gib(sample: &Sample) -> f64 {
    sample.figures.bytes as f64 / f64::from(1 << 30)
}

fn cost_of(workload: &Workload, sample: &Sample) -> f64 {
    let is_small = workload.size < 1 << 30;
    if is_small { sample.cpu * 1e6 / sample.figures.requests as f64 } else { sample.cpu * 1e3 / gib(sample) }
}

fn rate_of(workload: &Workload, sample: &Sample) -> f64 {
    let done = if workload.size < 1 << 30 { sample.figures.requests as f64 } else { gib(sample) };
    done * 1e6 / sample.figures.duration as f64
}

/// The errors of all rounds.
fn errors(rounds: &Rounds) -> String {
    let good = || rounds.iter().flatten();
    let mut texts: Vec<String> = rounds.iter().filter_map(|round| round.as_ref().err().cloned()).collect();
    texts.dedup();
    for (i, name) in ERRORS.iter().enumerate() {
        let count: u64 = good().map(|sample| sample.figures.errors[i]).sum();
        if count > 0 {
            texts.push(format!("{count} {name}"));
        }
    }
    let closed: usize = good().map(|sample| sample.closed).sum();
    if closed > 0 {
        texts.push(format!("{closed} idle connections closed"));
    }
    if texts.is_empty() { "0".into() } else { format!("**{}**", texts.join(", ")) }
}
