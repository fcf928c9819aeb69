//! What a parked connection is doing, for the statistics and for a shutdown.

use http_core::server::Phase;

use super::{Activity, Connection};
use crate::clock::Millis;
use crate::connection::transport::Transport;
use crate::stats::SlotUse;
use crate::timeouts::LINGER_QUIET;

impl<T: Transport> Connection<T> {
    /// What its slot is used for while it is parked.
    pub(crate) fn slot_use(&self) -> SlotUse {
        match self.activity {
            _ if self.is_idle_keep_alive() => SlotUse::Idle,
            Activity::Idle if self.timer.phase() == Phase::Body => SlotUse::Body, // which is dropped
            Activity::Idle => SlotUse::Head,
            Activity::ReadingBody(_) => SlotUse::Body,
            Activity::SendingResponse { .. } => SlotUse::Response,
            Activity::Lingering { .. } => SlotUse::Closing,
        }
    }

    /// Whether it has lingered for long enough at a shutdown that was requested then: no shorter than a client that sends
    /// nothing more gets at any time.
    pub(crate) fn has_lingered(&self, stopped_at: Millis, now: Millis) -> bool {
        matches!(self.activity, Activity::Lingering { .. })
            && now >= self.timer.phase_started().max(stopped_at) + LINGER_QUIET
    }
}
