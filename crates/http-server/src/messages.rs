//! Messages to the operator: one hook for a log that cannot be written, a panic, and a response that HTTP forbids.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::clock::{self, Millis};

/// The hook, with the state of its rate limit.
pub(crate) struct Messages {
    hook: Box<dyn Fn(&str) + Send + Sync>,
    frequent: Mutex<Frequent>,
}

#[derive(Default)]
struct Frequent {
    last: Option<Millis>,
    dropped: u64,
    /// The hook has not returned yet.
    is_busy: bool,
}

/// The shortest time between two messages that any request could cause.
const INTERVAL: Millis = 1_000;

impl Messages {
    pub(crate) fn new(hook: Box<dyn Fn(&str) + Send + Sync>) -> Messages {
        Messages { hook, frequent: Mutex::default() }
    }

    /// Passes a message on, as one line: a panic may repeat what a client sent (V16). If the hook panics, only the
    /// message is lost: `eprintln!` panics when standard error is a closed pipe.
    pub(crate) fn send(&self, message: &str) {
        let _ = catch_unwind(AssertUnwindSafe(|| (self.hook)(&message.replace(char::is_control, " "))));
    }

    /// Passes on a message that any request could cause, unless the last one was less than a second ago or the hook still
    /// has it. The next one counts those that were dropped. So a hook that blocks holds one thread.
    pub(crate) fn send_rarely(&self, message: &str) {
        let admitted = self.frequent().admit(clock::monotonic_ms());
        match admitted {
            None => return,
            Some(0) => self.send(message),
            Some(n) => self.send(&format!("{message} (messages dropped since the last one: {n})")),
        }
        self.frequent().is_busy = false;
    }

    fn frequent(&self) -> MutexGuard<'_, Frequent> {
        self.frequent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Frequent {
    /// Whether a message may be passed on now, and how many were dropped before it. If so, the hook is busy with it.
    fn admit(&mut self, now: Millis) -> Option<u64> {
        if self.is_busy || self.last.is_some_and(|last| now < last + INTERVAL) {
            self.dropped += 1;
            return None;
        }
        (self.last, self.is_busy) = (Some(now), true);
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
    use std::sync::mpsc;

    // V16
    #[test]
    fn v16_message_is_one_line() {
        let (sender, messages) = mpsc::channel();
        Messages::new(Box::new(move |message| sender.send(message.to_owned()).unwrap())).send("a\r\nb\x1b[2Jc");
        assert_eq!(messages.recv().unwrap(), "a  b [2Jc");
    }

    #[test]
    fn frequent_messages_are_admitted_once_a_second_and_counted() {
        let mut frequent = Frequent::default();
        let admitted =
            [(0, Some(0)), (1, None), (999, None), (1000, Some(2)), (1001, None), (5000, Some(1)), (6000, Some(0))];
        for (now, expected) in admitted {
            assert_eq!(frequent.admit(now), expected, "at {now}");
            frequent.is_busy = false;
        }
        frequent.is_busy = true;
        assert_eq!(frequent.admit(9000), None, "the hook has not returned");
    }
}
