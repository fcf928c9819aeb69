//! What a connection waits for. This file knows neither a poller nor a socket.

/// What a parked connection waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interest {
    /// Bytes, or the end of the stream.
    Read,
    /// Space to write, and nothing else.
    Write,
    /// Its next turn, which comes by itself if there is space to write.
    Yield,
}

impl Interest {
    /// Whether the registration must change, if it is for `armed`. `event_pending`: an event came meanwhile.
    pub(crate) fn needs_rearm(self, armed: Option<Interest>, event_pending: bool) -> bool {
        event_pending || armed != Some(self) || self == Interest::Yield
    }
}
