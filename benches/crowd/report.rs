//! The report: each figure beside its goal.

use std::time::Duration;

use crate::peers::Kind;
use crate::{Figures, TIMEOUT};

/// Bytes of the server's memory for an idle connection.
const IDLE_CONNECTION: f64 = 512.0;

/// The median beside peers that pipeline requests for a long listing.
const LISTINGS: Duration = Duration::from_millis(50);

/// Prints the report. Returns whether every goal was met.
pub(crate) fn print(figures: &Figures) -> bool {
    let Figures { sizes, alone, beside, beside_listings, error, lost, descriptors, slot, connections, cpus, elapsed } =
        figures;
    println!("{} peers dribble a head, {} read slowly and {} are idle,", sizes.dribbling, sizes.reading, sizes.idle);
    println!("all at once for {:.0} s, beside a client that requests 1 KiB in a loop\n", elapsed.as_secs_f64());
    println!("| | measured | goal | |\n|---|---|---|---|");
    let mut all = true;
    let mut row = |what: &str, measured: String, goal: String, met: Option<bool>| {
        all &= met.unwrap_or(true);
        println!("| {what} | {measured} | {goal} | {} |", met.map_or("", |met| if met { "met" } else { "**MISSED**" }));
    };
    for (name, latencies) in [("alone", alone), ("beside the crowd", beside), ("beside listings", beside_listings)] {
        row(&format!("responses {name}"), latencies.count().to_string(), String::new(), None);
        let times = [500, 990, 999, 1000].map(|permille| time(latencies.percentile(permille)));
        row(&format!("p50, p99, p99.9 and maximum {name}"), times.join(", "), String::new(), None);
    }
    let goal = Duration::from_millis(5).max(alone.percentile(990) * 3);
    let p99 = beside.percentile(990);
    row("p99 beside the crowd", time(p99), format!("below {}", time(goal)), Some(p99 < goal));
    let median = beside_listings.percentile(500);
    row("p50 beside listings", time(median), format!("below {}", time(LISTINGS)), Some(median < LISTINGS));
    row("failed requests", u8::from(error.is_some()).to_string(), "0".into(), Some(error.is_none()));
    row("peers disconnected too early", lost.len().to_string(), "0".into(), Some(lost.is_empty()));
    let total = sizes.total();
    row("descriptors of the server", descriptors.to_string(), format!("at least {total}"), Some(*descriptors >= total));
    let seconds = TIMEOUT.as_secs();
    row("duration", time(*elapsed), format!("below {seconds} s"), Some(*elapsed < TIMEOUT));
    for (kind, bytes) in connections {
        // The slot was allocated before the peer connected.
        let bytes = bytes + slot;
        let (goal, met) = match kind {
            Kind::Idle => (format!("at most {IDLE_CONNECTION}"), Some(bytes <= IDLE_CONNECTION)),
            _ => (String::new(), None),
        };
        row(&format!("bytes of memory per connection, {}", kind.name()), format!("{bytes:.0}"), goal, met);
    }
    row("of these, the slot", format!("{slot:.0}"), String::new(), None);
    row("CPUs used by the server", format!("{cpus:.2}"), String::new(), None);
    if let Some(error) = error {
        println!("\nThe client failed: {error}");
    }
    for lost in lost.iter().take(10) {
        println!("\nLost: {lost}");
    }
    all
}

fn time(time: Duration) -> String {
    match time.as_secs_f64() {
        seconds if seconds < 1e-3 => format!("{:.0} µs", seconds * 1e6),
        seconds if seconds < 1.0 => format!("{:.1} ms", seconds * 1e3),
        seconds => format!("{seconds:.1} s"),
    }
}
