//! The command line: one value that the rest is built from.

use std::fmt::Display;
use std::net::{IpAddr, SocketAddr};
use std::num::{NonZeroU16, NonZeroU32};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use webserver::{Bounds, Deadlines};

/// Serves a folder of files over HTTP/1.0.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100)]
pub(crate) struct Options {
    /// The folder to serve
    #[arg(default_value = ".")]
    pub(crate) root: PathBuf,

    /// The port to listen on; 0: any free one
    #[arg(short, long, default_value_t = 6789, value_parser = number::<u16>)]
    pub(crate) port: u16,

    /// An address to listen on, repeatable [default: all, IPv6 and IPv4]
    #[arg(short, long = "bind", value_name = "ADDRESS")]
    bind: Vec<IpAddr>,

    /// The size of the pool; 1: one request at a time [default: 4 a core]
    #[arg(short, long, value_name = "N", value_parser = number::<NonZeroU16>)]
    threads: Option<NonZeroU16>,

    /// How many connections there may be at once; less where the limit of open files is lower
    #[arg(long, value_name = "N", default_value = "10000", value_parser = number::<NonZeroU32>)]
    max_connections: NonZeroU32,

    /// How much memory files may take that are asked for often; 0: none are kept
    #[arg(long, value_name = "MIB", default_value_t = 64, value_parser = number::<u16>)]
    cache_size: u16,

    /// How long the head of a request may take
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    head_timeout: Duration,

    /// How long a kept connection may be idle
    #[arg(long, value_name = "SECONDS", default_value = "15", value_parser = seconds)]
    idle_timeout: Duration,

    /// Bytes a second that a peer must keep up with, after 10 seconds; 0: any
    #[arg(long, value_name = "RATE", default_value_t = 1024, value_parser = number::<u64>)]
    min_rate: u64,

    /// How long replies may go on after a signal to end
    #[arg(long, value_name = "SECONDS", default_value = "5", value_parser = seconds)]
    grace: Duration,

    /// One request a connection, as in RFC 1945
    #[arg(long)]
    pub(crate) no_keep_alive: bool,

    /// No listing of folders that have no index.html
    #[arg(long)]
    pub(crate) no_listing: bool,

    /// A line for each request on standard error
    #[arg(long, value_name = "FORMAT", default_value = "common")]
    pub(crate) log: LogFormat,

    /// Every bound and the memory that they add up to, then exit
    #[arg(long)]
    pub(crate) print_limits: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// The Common Log Format
    Common,
    /// No log
    Off,
}

/// Descriptors for what is no connection and no file.
const OURS: u64 = 32;

impl Options {
    /// The addresses asked for; empty for all.
    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        self.bind.iter().map(|&address| SocketAddr::new(address, self.port)).collect()
    }

    /// The bounds asked for, with no more descriptors than there are.
    pub(crate) fn bounds(&self, descriptors: u64) -> Bounds {
        let cached = (usize::from(self.cache_size) * 64)
            .min(usize::try_from(descriptors).unwrap_or(usize::MAX).saturating_mul(2));
        // One each, beside those of the cache. An eighth is left for files that are sent and not kept, and for newcomers
        // who are told that there is no room; where it is not enough, they are told so for want of descriptors.
        let connections = descriptors.saturating_sub(OURS + cached as u64 / 16) / 8 * 7;
        Bounds {
            threads: self.threads.map_or_else(webserver::default_threads, |threads| usize::from(threads.get())),
            connections: self.max_connections.get().min(u32::try_from(connections).unwrap_or(u32::MAX)).max(1),
            deadlines: Deadlines { head: self.head_timeout, idle: self.idle_timeout, min_rate: self.min_rate },
            grace: self.grace,
            cached,
        }
    }
}

/// Digits alone: the parsers of the standard library take a sign.
fn number<N: FromStr<Err: Display>>(text: &str) -> Result<N, String> {
    if !text.bytes().all(|c| c.is_ascii_digit()) {
        return Err("expected a number, in digits alone".into());
    }
    text.parse().map_err(|error: N::Err| error.to_string())
}

/// Seconds, decimals allowed; up to a day.
fn seconds(text: &str) -> Result<Duration, String> {
    let plain = text.bytes().all(|c| c.is_ascii_digit() || c == b'.');
    match text.parse() {
        Ok(seconds) if plain && (0.0..=86_400.0).contains(&seconds) => Ok(Duration::from_secs_f64(seconds)),
        _ => Err("expected seconds from 0 to 86400, like 10 or 0.5".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definition_is_consistent() {
        Options::command().debug_assert();
    }

    // V31
    #[test]
    fn numbers_are_digits() {
        assert_eq!(seconds("0.5"), Ok(Duration::from_millis(500)));
        for bad in ["", "-1", "+1", "1e3", "inf", "NaN", "86401", "1s", ".", "0x1"] {
            assert!(seconds(bad).is_err(), "{bad}");
        }
        for bad in [
            ["--port", "65536"],
            ["--port", "-1"],
            ["--port", "x"],
            ["--port", "+80"],
            ["--max-connections", "+1"],
            ["--threads", "0"],
            ["--bind", "nowhere"],
        ] {
            assert!(Options::try_parse_from(["webserver"].into_iter().chain(bad)).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_defaults_are_those_of_the_documentation() {
        let options = Options::try_parse_from(["webserver"]).unwrap();
        assert_eq!((options.port, options.max_connections.get()), (6789, 10_000));
        assert_eq!(options.root, PathBuf::from("."));
        assert_eq!([options.head_timeout, options.idle_timeout, options.grace].map(|d| d.as_secs()), [10, 15, 5]);
        assert!(options.addresses().is_empty() && options.log == LogFormat::Common);
    }
}
