//! What a handler may do in its upkeep, which no request asks for.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use http_core::Date;

use super::{Handler, panic_message};
use crate::clock;
use crate::messages::Messages;
use crate::permit::{Permit, Turn};

/// A call of [`Handler::upkeep`]: it may block now, and may ask for more.
pub struct Upkeep<'a> {
    pub(crate) turn: &'a Turn,
    pub(crate) messages: &'a Messages,
}

/// What a worker that is held by the upkeep is doing, in place of a request.
pub(crate) const NAME: &[u8] = b"upkeep";

impl Upkeep<'_> {
    /// Has it done by the handler, which may panic.
    pub(crate) fn call(handler: &dyn Handler, turn: &Turn, messages: &Messages) {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| handler.upkeep(&Upkeep { turn, messages }))) {
            messages.send(&format!("the upkeep of the handler panicked: {}", panic_message(&*panic)));
        }
    }

    /// Whether it may do something now that may never end, such as closing a file of another computer. Otherwise the
    /// handler leaves that to its next upkeep.
    pub fn may_hang(&self) -> bool {
        self.turn.may(Permit::Hang, |name| name.extend_from_slice(NAME))
    }

    /// The time.
    pub fn date(&self) -> Date {
        clock::http_date_now()
    }

    /// Passes a message on to the operator; see [`Server::on_message`](crate::Server::on_message).
    pub fn message(&self, message: &str) {
        self.messages.send(message);
    }
}

impl fmt::Debug for Upkeep<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Upkeep")
    }
}
