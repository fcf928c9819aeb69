//! Messages to the operator on standard error: lines of text, or JSON objects with `--log-format json`, wherever the
//! access log goes. Each is one line. What they say is decided elsewhere.

use std::io::{self, Write};
use std::panic;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use http_server::{LogHandle, json_message};

use crate::system::process::is_writable;

/// How much a message matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    Info,
    Warning,
    Error,
}

/// Whether messages are JSON objects. It belongs to the process, as standard error does: a panic's message has it, too.
static JSON: AtomicBool = AtomicBool::new(false);
/// Messages that standard error did not take, since the last one that it took.
static UNPRINTED: AtomicU64 = AtomicU64::new(0);

/// The most bytes of a panic that are printed.
const MAX_PANIC: usize = 500;

/// Chooses the format, also for panics.
pub(crate) fn set_up(json: bool) {
    JSON.store(json, Relaxed);
    panic::set_hook(Box::new(|panic| print_without_waiting(Level::Error, &panic_message(&panic.to_string()))));
}

/// Whether every line is a JSON object.
pub(crate) fn is_json() -> bool {
    JSON.load(Relaxed)
}

/// The message of a panic. It is short, so that it fits into a pipe that takes anything at all.
fn panic_message(text: &str) -> String {
    let end = (0..=MAX_PANIC.min(text.len())).rev().find(|&end| text.is_char_boundary(end));
    format!("a thread {}", &text[..end.unwrap_or(0)])
}

/// A message as one line, with its end.
pub(crate) fn line(level: Level, message: &str) -> String {
    let message = message.replace(char::is_control, " ");
    match (is_json(), level) {
        (true, Level::Info) => json_message("info", &message) + "\n",
        (true, Level::Warning) => json_message("warning", &message) + "\n",
        (true, Level::Error) => json_message("error", &message) + "\n",
        (false, Level::Warning) => format!("webserver: warning: {message}\n"),
        (false, Level::Info | Level::Error) => format!("webserver: {message}\n"),
    }
}

/// Prints a message.
pub(crate) fn print(level: Level, message: &str) {
    let _ = io::stderr().write_all(line(level, message).as_bytes());
}

pub(crate) fn warn(message: &str) {
    print(Level::Warning, message);
}

pub(crate) fn notice(message: &str) {
    print(Level::Info, message);
}

/// Prints the ready lines where standard output is for the log: as they are, or as messages if these are objects.
pub(crate) fn print_ready(lines: &str) {
    match JSON.load(Relaxed) {
        true => lines.lines().for_each(notice),
        false => drop(io::stderr().write_all(lines.as_bytes())),
    }
}

/// Passes on what the running server reports, without waiting for a reader: among the lines of its log if that is on
/// standard error too, where it would otherwise cut a line in two.
pub(crate) fn report(level: Level, message: &str, log: Option<&LogHandle>) {
    match log {
        Some(log) => log.add_line(line(level, message).trim_end()),
        None => print_without_waiting(level, message),
    }
}

/// Prints a message, unless that would have to wait for the reader. The next one counts those that were not printed.
fn print_without_waiting(level: Level, message: &str) {
    if !is_writable(&io::stderr()) {
        UNPRINTED.fetch_add(1, Relaxed);
        return;
    }
    match UNPRINTED.swap(0, Relaxed) {
        0 => print(level, message),
        n => print(level, &format!("{message} (not printed before it: {n})")),
    }
}

/// Prints the last lines. It waits at most a second, because standard error can be a full pipe without a reader.
pub(crate) fn print_last(lines: String) {
    let (written, wait) = mpsc::channel();
    let write = move || written.send(io::stderr().write_all(lines.as_bytes()));
    if thread::Builder::new().spawn(write).is_ok() {
        let _ = wait.recv_timeout(Duration::from_secs(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // V16
    #[test]
    fn message_is_one_line_of_text_or_one_json_object() {
        let texts = [Level::Info, Level::Warning, Level::Error].map(|level| line(level, "a\r\nb\x1b\u{e9}"));
        assert_eq!(texts[0], "webserver: a  b \u{e9}\n");
        assert_eq!(texts[1], "webserver: warning: a  b \u{e9}\n");
        assert_eq!(texts[2], texts[0]);
        JSON.store(true, Relaxed); // no other test of this file uses it
        let objects = [Level::Info, Level::Warning, Level::Error].map(|level| line(level, "a\r\nb\x1b\u{e9}"));
        JSON.store(false, Relaxed);
        for (object, level) in objects.iter().zip(["info", "warning", "error"]) {
            let value: serde_json::Value = serde_json::from_str(object).unwrap();
            assert_eq!((&value["level"], &value["message"]), (&level.into(), &"a  b \u{e9}".into()));
            assert!(object.ends_with("}\n") && object.trim_end().bytes().all(|c| matches!(c, b' '..=b'~')), "{object}");
        }
    }

    #[test]
    fn panic_message_is_short() {
        assert_eq!(panic_message("panicked at a.rs:1:2:\nb"), "a thread panicked at a.rs:1:2:\nb");
        let long = panic_message(&"\u{e9}".repeat(9999));
        assert_eq!(long.len(), "a thread ".len() + MAX_PANIC);
    }
}
