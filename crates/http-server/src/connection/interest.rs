//! What a connection waits for. It knows neither a poller nor a socket.

/// What a parked connection waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interest {
    /// Bytes that are not there yet, or the end of the stream.
    Read,
    /// Room to write that is not there yet, and nothing else.
    Write,
    /// Its next turn, which comes by itself where there is room to write.
    Yield,
}

impl Interest {
    /// Whether the kernel must be told of it, if it was last told of `armed`.
    pub(crate) fn needs_rearm(self, armed: Option<Interest>, announced: bool) -> bool {
        announced || armed != Some(self) || self == Interest::Yield
    }
}
