//! The report: each figure beside its goal.

use std::time::Duration;

use crate::peers::Kind;
use crate::{DEADLINE, Figures};

/// Bytes of the server's memory for a parked connection without bytes.
const PARKED: f64 = 512.0;

/// Prints it, and says whether every goal was met.
pub(crate) fn print(figures: &Figures) -> bool {
    let Figures { sizes, alone, beside, failed, lost, descriptors, seat, each, processor, lasted } = figures;
    println!("{} that dribble a head, {} slow readers, {} idle,", sizes.dribbling, sizes.reading, sizes.idle);
    println!("all at once for {:.0} s, and a client that asks for 1 KiB again and again\n", lasted.as_secs_f64());
    println!("| | measured | goal | |\n|---|---|---|---|");
    let mut all = true;
    let mut row = |what: &str, measured: String, goal: String, met: Option<bool>| {
        all &= met.unwrap_or(true);
        println!("| {what} | {measured} | {goal} | {} |", met.map_or("", |met| if met { "met" } else { "**MISSED**" }));
    };
    for (name, latencies) in [("alone", alone), ("beside the crowd", beside)] {
        row(&format!("answers {name}"), latencies.count().to_string(), String::new(), None);
        let times = [500, 990, 999, 1000].map(|permille| time(latencies.within(permille)));
        row(&format!("p50, p99, p99.9 and longest {name}"), times.join(", "), String::new(), None);
    }
    let goal = Duration::from_millis(5).max(alone.within(990) * 3);
    let p99 = beside.within(990);
    row("p99 beside the crowd", time(p99), format!("below {}", time(goal)), Some(p99 < goal));
    row("requests that failed", u8::from(failed.is_some()).to_string(), "0".into(), Some(failed.is_none()));
    row("of the crowd, lost before its time", lost.len().to_string(), "0".into(), Some(lost.is_empty()));
    let crowd = sizes.total();
    row("descriptors of the server", descriptors.to_string(), format!("at least {crowd}"), Some(*descriptors >= crowd));
    let seconds = DEADLINE.as_secs();
    row("all was over within", time(*lasted), format!("{seconds} s"), Some(*lasted < DEADLINE));
    for (kind, bytes) in each {
        // Its seat was there before it.
        let bytes = bytes + seat;
        let (goal, met) = match kind {
            Kind::Idle => (format!("at most {PARKED}"), Some(bytes <= PARKED)),
            _ => (String::new(), None),
        };
        row(&format!("bytes of memory, {}", kind.name()), format!("{bytes:.0}"), goal, met);
    }
    row("of these, its seat", format!("{seat:.0}"), String::new(), None);
    row("processors that the server kept busy", format!("{processor:.2}"), String::new(), None);
    if let Some(why) = failed {
        println!("\nThe client: {why}");
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
