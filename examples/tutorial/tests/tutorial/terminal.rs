//! A terminal: one command that runs, and the lines that it prints.

use std::io::{self, BufRead, BufReader, ErrorKind, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

/// For everything that is to happen at once or within a few seconds, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

pub struct Terminal {
    child: Child,
    lines: Receiver<String>,
}

impl Terminal {
    pub fn start(command: &str, directory: &Path, input: Stdio) -> Terminal {
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("exec 2>&1; {command}")]).current_dir(directory);
        // Nothing that a user has configured changes what is printed.
        shell.env("CARGO_TERM_COLOR", "never").env("no_proxy", "*").env("CURL_HOME", directory);
        let mut child = shell.stdin(input).stdout(Stdio::piped()).spawn().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            let mut line = Vec::new();
            while output.read_until(b'\n', &mut line).unwrap() > 0 {
                let _ = sender.send(String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']).to_string());
                line.clear();
            }
        });
        Terminal { child, lines }
    }

    /// The next line, or `None` if the program has ended.
    pub fn next_line(&mut self) -> Option<String> {
        match self.lines.recv_timeout(PATIENCE) {
            Ok(line) => Some(line),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => panic!("no line within {PATIENCE:?}"),
        }
    }

    /// Waits for these lines, and with `to_end` for the end of the program and no further line. `...` stands for any
    /// lines. `as_told` makes of a line that was printed what it is in the text.
    pub fn expect(&mut self, place: &str, told: &[String], as_told: impl Fn(String) -> String, to_end: bool) {
        let mut skipping = false;
        for expected in told {
            if expected == "..." {
                skipping = true;
                continue;
            }
            loop {
                let line = self.next_line().map(&as_told);
                match line {
                    Some(line) if is_as_told(expected, &line) => break,
                    Some(_) if skipping => {}
                    other => panic!("{place}\n    expected: {expected}\n     printed: {other:?}"),
                }
            }
            skipping = false;
        }
        while to_end && let Some(line) = self.next_line() {
            assert!(skipping, "{place}: one line too many: {line}");
        }
    }

    pub fn press_enter(&mut self) {
        self.child.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
    }

    /// Waits until the program has ended.
    pub fn wait(&mut self, place: &str) {
        let start = Instant::now();
        while self.child.try_wait().unwrap().is_none() {
            assert!(start.elapsed() < PATIENCE, "{place}: the program has not ended");
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Some numbers differ from one run to the next. A machine that is busy takes longer.
fn is_as_told(expected: &str, line: &str) -> bool {
    let is_time = expected.starts_with("-- closed after ");
    let varies = is_time || [" milliseconds ", " too few"].iter().any(|words| expected.contains(words));
    let words = expected.split(' ').zip(line.split(' ')).all(|(told, word)| {
        told == word
            || match (told.parse::<u64>(), word.parse::<u64>()) {
                (Ok(told), Ok(number)) => varies && (!is_time || (told..=told * 10 + 10).contains(&number)),
                _ => false,
            }
    });
    words && expected.split(' ').count() == line.split(' ').count()
}

/// Without curl no commands are run, which is an error in CI.
pub fn has_curl() -> bool {
    static FOUND: LazyLock<bool> =
        LazyLock::new(|| match Command::new("curl").arg("--version").stdout(Stdio::null()).status() {
            Ok(_) => true,
            Err(error) if error.kind() == ErrorKind::NotFound && std::env::var_os("CI").is_none() => {
                // Not by eprintln, which the test harness captures.
                let _ = io::stderr().write_all(b"MISSING: curl\n");
                false
            }
            Err(error) => panic!("curl: {error}"),
        });
    *FOUND
}
