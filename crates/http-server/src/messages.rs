//! Messages to the operator: one hook for a log that cannot be written, a panic, and a response that HTTP forbids.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use crate::clock::{self, Millis};

/// The hook, and what was passed to it.
pub(crate) struct Messages {
    hook: Box<dyn Fn(&str) + Send + Sync>,
    frequent: Mutex<Frequent>,
}

#[derive(Default)]
struct Frequent {
    last: Option<Millis>,
    dropped: u64,
}

/// Messages that every request could cause are passed on at most once in this time.
const INTERVAL: Millis = 1_000;

impl Messages {
    pub(crate) fn new(hook: Box<dyn Fn(&str) + Send + Sync>) -> Messages {
        Messages { hook, frequent: Mutex::default() }
    }

    /// Passes a message on.
    pub(crate) fn send(&self, message: &str) {
        (self.hook)(message);
    }

    /// Passes on a message that every request could cause, unless the last one was less than a second ago. The next one
    /// counts those that were dropped.
    pub(crate) fn send_rarely(&self, message: &str) {
        if let Some(dropped) = self.frequent.lock().unwrap_or_else(PoisonError::into_inner).admit(clock::monotonic_ms())
        {
            match dropped {
                0 => self.send(message),
                n => self.send(&format!("{message} (messages dropped since the last one: {n})")),
            }
        }
    }
}

impl Frequent {
    /// Whether a message may be passed on now, and how many were dropped before it.
    fn admit(&mut self, now: Millis) -> Option<u64> {
        if self.last.is_some_and(|last| now < last + INTERVAL) {
            self.dropped += 1;
            return None;
        }
        self.last = Some(now);
        Some(std::mem::take(&mut self.dropped))
    }
}

impl Default for Messages {
    /// A hook that does nothing.
    fn default() -> Messages {
        Messages::new(Box::new(|_| ()))
    }
}

impl fmt::Debug for Messages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Messages")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frequent_messages_are_admitted_once_a_second_and_counted() {
        let mut frequent = Frequent::default();
        let admitted =
            [(0, Some(0)), (1, None), (999, None), (1000, Some(2)), (1001, None), (5000, Some(1)), (6000, Some(0))];
        for (now, expected) in admitted {
            assert_eq!(frequent.admit(now), expected, "at {now}");
        }
    }
}
