//! The report: medians over the rounds, as Markdown.

use std::fs;

use crate::Sample;
use crate::load::{ERRORS, Wrk};
use crate::servers::{Kind, Server, cores};
use crate::works::Work;

type Rounds = Vec<Result<Sample, String>>;

/// Those that our server is compared with: servers of files in their own right.
const COMPARED: [Kind; 3] = [Kind::Nginx, Kind::H2o, Kind::Lighttpd];

pub(crate) fn machine(servers: &[Server], wrk: &Wrk, rounds: u32, seconds: u32) {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let (info, load) = (read("/proc/cpuinfo"), read("/proc/loadavg"));
    let model = info.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or_default();
    println!("- machine: {} cores, {}", cores(), model.trim_start_matches([' ', '\t', ':']));
    println!("- kernel: {}", read("/proc/sys/kernel/osrelease").trim());
    println!("- load: {} with one thread; {rounds} rounds of {seconds} s, of which the medians are below", wrk.version);
    println!("- load average of the last 15 minutes, with this: {}", load.split(' ').nth(2).unwrap_or_default());
    for server in servers.iter().filter(|server| server.kind != Kind::Logging) {
        println!("- {}: {}", server.name(), server.version);
    }
}

pub(crate) fn tables(works: &[Work], servers: &[Server], samples: &[Vec<Rounds>]) {
    for (work, samples) in works.iter().zip(samples) {
        table(work, servers, samples);
    }
    if works.len() > 1 {
        summary(works, servers, samples);
    }
}

fn table(work: &Work, servers: &[Server], samples: &[Rounds]) {
    let (cost, rate) = units(work);
    println!("\n### {}: {}\n", work.name, work.title);
    let spread = if samples.iter().any(|rounds| rounds.len() > 1) { " (lowest to highest)" } else { "" };
    println!("| server | {cost}{spread} | {rate} | p50 | p99 | p99.9 | memory, MiB | errors |");
    println!("|---|---|---|---|---|---|---|---|");
    for (server, rounds) in servers.iter().zip(samples) {
        let good: Vec<&Sample> = rounds.iter().flatten().collect();
        let of = |what: fn(&Work, &Sample) -> f64| sorted(good.iter().map(|sample| what(work, sample)));
        let costs = of(cost_of);
        let spread = match costs.as_slice() {
            [low, .., high] => format!(" ({low:.1} to {high:.1})"),
            _ => String::new(),
        };
        // A huge file may not come to its end within a measurement.
        let complete = || good.iter().filter(|sample| sample.figures.requests > 0);
        let latency = |i: usize| time(median(&sorted(complete().map(|sample| sample.figures.latencies[i] as f64))));
        println!(
            "| {} | {}{spread} | {} | {} | {} | {} | {} | {} |",
            server.name(),
            number(median(&costs), 1),
            number(median(&of(rate_of)), if work.size < 1 << 30 { 0 } else { 2 }),
            latency(0),
            latency(1),
            latency(2),
            number(median(&of(|_, sample| sample.memory as f64 / 1024.0)), 1),
            errors(rounds)
        );
    }
    ratios(work, servers, samples);
}

/// Of the processor times in each round, since these were measured closest to each other. An error costs something else
/// than an answer, so a round with any says nothing.
fn ratios(work: &Work, servers: &[Server], samples: &[Rounds]) {
    let rounds = |kind| servers.iter().position(|server| server.kind == kind).map(|s| &samples[s]);
    let beside = |ours: Kind, peer: &Rounds| {
        let pairs = rounds(ours)?.iter().zip(peer);
        let cost = |round: &Result<Sample, _>| {
            round.as_ref().ok().filter(|sample| sample.figures.errors == [0; 5]).map(|sample| cost_of(work, sample))
        };
        let ratio = |(our, peer)| Some(cost(our)? / cost(peer)?);
        median(&sorted(pairs.filter_map(ratio)))
    };
    println!();
    for (kind, peer) in COMPARED.into_iter().filter_map(|kind| Some((kind, rounds(kind)?))) {
        let [silent, logging] = [Kind::Silent, Kind::Logging].map(|ours| number(beside(ours, peer), 2));
        println!("- processor time of webserver / {}: {silent}, with its log {logging}", kind.name());
    }
}

/// Processor time alone, of all works.
fn summary(works: &[Work], servers: &[Server], samples: &[Vec<Rounds>]) {
    println!("\n### All: {}\n", units(&works[0]).0);
    let names: Vec<_> = works.iter().map(|work| work.name.as_str()).collect();
    println!("| server | {} |", names.join(" | "));
    println!("|---|{}", "---|".repeat(works.len()));
    for (s, server) in servers.iter().enumerate() {
        let cost = |(work, samples): (&Work, &Vec<Rounds>)| {
            let costs = sorted(samples[s].iter().flatten().map(|sample| cost_of(work, sample)));
            number(median(&costs), 1)
        };
        let costs: Vec<_> = works.iter().zip(samples).map(cost).collect();
        println!("| {} | {} |", server.name(), costs.join(" | "));
    }
}

/// Of cost and of rate. FakePoller requests for a huge file end within a measurement, so its bytes are counted.
fn units(work: &Work) -> (&'static str, &'static str) {
    if work.size < 1 << 30 { ("CPU µs a request", "requests a second") } else { ("CPU ms a GiB", "GiB a second") }
}

fn gib(sample: &Sample) -> f64 {
    sample.figures.bytes as f64 / f64::from(1 << 30)
}

fn cost_of(work: &Work, sample: &Sample) -> f64 {
    if work.size < 1 << 30 { sample.cpu * 1e6 / sample.figures.requests as f64 } else { sample.cpu * 1e3 / gib(sample) }
}

fn rate_of(work: &Work, sample: &Sample) -> f64 {
    let done = if work.size < 1 << 30 { sample.figures.requests as f64 } else { gib(sample) };
    done * 1e6 / sample.figures.duration as f64
}

/// What went wrong in all rounds together.
fn errors(rounds: &Rounds) -> String {
    let good = || rounds.iter().flatten();
    let mut said: Vec<String> = rounds.iter().filter_map(|round| round.as_ref().err().cloned()).collect();
    said.dedup();
    for (i, name) in ERRORS.iter().enumerate() {
        let count: u64 = good().map(|sample| sample.figures.errors[i]).sum();
        if count > 0 {
            said.push(format!("{count} {name}"));
        }
    }
    let lost: usize = good().map(|sample| sample.lost).sum();
    if lost > 0 {
        said.push(format!("{lost} idle connections ended"));
    }
    if said.is_empty() { "0".into() } else { format!("**{}**", said.join(", ")) }
}

fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values
}

fn median(sorted: &[f64]) -> Option<f64> {
    let middle = sorted.len() / 2;
    let upper = *sorted.get(middle)?;
    Some(if sorted.len() % 2 == 1 { upper } else { f64::midpoint(sorted[middle - 1], upper) })
}

fn number(value: Option<f64>, decimals: usize) -> String {
    value.map_or("-".into(), |value| format!("{value:.decimals$}"))
}

fn time(microseconds: Option<f64>) -> String {
    match microseconds {
        Some(us) if us < 1000.0 => format!("{us:.0} µs"),
        Some(us) if us < 1e6 => format!("{:.1} ms", us / 1e3),
        Some(us) => format!("{:.2} s", us / 1e6),
        None => "-".into(),
    }
}
