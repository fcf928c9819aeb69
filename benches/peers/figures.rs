//! What all reports share: medians, how figures are written, and the machine that they come from.

use std::fs;

use crate::servers::{Kind, Server, cores};

/// Prints what was measured, on which machine, and with which load generator.
pub(crate) fn machine(servers: &[Server], load_generator: &str) {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let (info, load) = (read("/proc/cpuinfo"), read("/proc/loadavg"));
    let model = info.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or_default();
    println!("- machine: {} cores, {}", cores(), model.trim_start_matches([' ', '\t', ':']));
    println!("- kernel: {}", read("/proc/sys/kernel/osrelease").trim());
    println!("- load generator: {load_generator}");
    println!(
        "- load average of the last 15 minutes, this run included: {}",
        load.split(' ').nth(2).unwrap_or_default()
    );
    for server in servers.iter().filter(|server| server.kind != Kind::Logging) {
        println!("- {}: {}", server.name(), server.version);
    }
}

pub(crate) fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values
}

pub(crate) fn median(sorted: &[f64]) -> Option<f64> {
    let middle = sorted.len() / 2;
    let upper = *sorted.get(middle)?;
    Some(if sorted.len() % 2 == 1 { upper } else { f64::midpoint(sorted[middle - 1], upper) })
}

pub(crate) fn number(value: Option<f64>, decimals: usize) -> String {
    value.map_or("-".into(), |value| format!("{value:.decimals$}"))
}

pub(crate) fn time(microseconds: Option<f64>) -> String {
    match microseconds {
        Some(us) if us < 1000.0 => format!("{us:.0} µs"),
        Some(us) if us < 1e6 => format!("{:.1} ms", us / 1e3),
        Some(us) => format!("{:.2} s", us / 1e6),
        None => "-".into(),
    }
}
