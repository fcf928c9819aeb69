//! Persistence: whether a connection stays open after a message (D15, R2068-19.7.1a, R9112-9.3a). No other file decides
//! this.

use thiserror::Error;

use crate::error::RequestError;
use crate::grammar::elements;
use crate::message::field::{Fields, header};
use crate::message::status::Status;
use crate::message::version::Version;

/// What the Connection headers of a message ask for, all lines together. The later variant wins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ConnectionOption {
    #[default]
    Nothing,
    KeepAlive,
    Close,
}

pub(crate) fn connection_option(fields: &Fields<'_>) -> ConnectionOption {
    let lines = fields.get_all(header::CONNECTION).map(|value| match value.as_bytes() {
        b"keep-alive" => ConnectionOption::KeepAlive, // the spelling of all browsers, without parsing a list
        list => elements(list).map(option_of).max().unwrap_or_default(),
    });
    lines.max().unwrap_or_default()
}

fn option_of(token: &[u8]) -> ConnectionOption {
    if token.eq_ignore_ascii_case(b"close") {
        ConnectionOption::Close
    } else if token.eq_ignore_ascii_case(b"keep-alive") {
        ConnectionOption::KeepAlive
    } else {
        ConnectionOption::Nothing
    }
}

/// Why a connection closes, for the log. `Display` is an English phrase.
///
/// If several reasons apply when the response is given, the first in this order is reported: `Refused`,
/// `SimpleRequest`, `LenientParse`, `PeerRequested`, `CallerRequested`, `UnknownLength`, `UnreadBody`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[non_exhaustive]
pub enum CloseReason {
    /// The peer closed the connection between two requests.
    #[error("the peer closed the connection")]
    PeerClosed,
    /// The peer sent `Connection: close`, HTTP/1.0 without `keep-alive`, or a 408 (R2068-19.7.1a, R9112-9.3a).
    #[error("the peer does not want to keep the connection")]
    PeerRequested,
    /// The request was a Simple-Request, and HTTP/0.9 has no persistent connections (R1945-3.1a).
    #[error("HTTP/0.9 has no persistent connections")]
    SimpleRequest,
    /// The request was invalid (R9112-2.2f).
    #[error("the request was rejected: {0}")]
    Refused(RequestError),
    /// The message was accepted, but another reader might understand it differently: D1, D2, D3; in a response also D18,
    /// R1945-7.2b, R9110-15.3.6 and R9112-6.1b.
    #[error("the message was not strictly correct")]
    LenientParse,
    /// The caller asked for it, by [`server::Response::close`](crate::server::Response::close), or by a request without
    /// [`keep_alive`](crate::client::Request::keep_alive).
    #[error("this side closes the connection")]
    CallerRequested,
    /// Only the close can end the body of the response (R2068-19.7.1b).
    #[error("the length of the response was not known")]
    UnknownLength,
    /// The response was given before the request body arrived. More than [`Limits::drain`](crate::Limits::drain) of it
    /// is outstanding, or the client may not send it at all (R9112-9.3b, R9110-10.1.1b).
    #[error("the request body was not read")]
    UnreadBody,
    /// The response was sent, but the request's body did not arrive completely.
    #[error("the request's body is incomplete")]
    BodyIncomplete,
    /// The caller's timeout expired while the connection was idle (R9112-9.5).
    #[error("the connection was idle for too long")]
    IdleTimeout,
}

/// The facts that decide whether a connection closes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CloseFacts {
    pub(crate) version: Version,
    pub(crate) connection_option: ConnectionOption,
    pub(crate) refused: Option<RequestError>,
    pub(crate) lenient: bool,
    pub(crate) caller_asks: bool,
    pub(crate) until_close: bool,
    pub(crate) unread_body: bool,
}

/// Why the connection closes after the response; `None` if it stays open.
pub(crate) fn close_reason(facts: &CloseFacts) -> Option<CloseReason> {
    if let Some(error) = facts.refused {
        return Some(CloseReason::Refused(error)); // R9112-6.3a, R9112-2.2f
    }
    if facts.version < Version::HTTP_10 {
        Some(CloseReason::SimpleRequest)
    } else if facts.lenient {
        Some(CloseReason::LenientParse)
    } else if !peer_keeps_alive(facts.version, facts.connection_option) {
        Some(CloseReason::PeerRequested)
    } else if facts.caller_asks {
        Some(CloseReason::CallerRequested)
    } else if facts.until_close {
        Some(CloseReason::UnknownLength) // R2068-19.7.1b
    } else if facts.unread_body {
        Some(CloseReason::UnreadBody) // R9112-9.3b
    } else {
        None
    }
}

/// Why a client cannot send its next request over the connection of this response; `None` if the connection is kept.
///
/// The server must agree to keep it (in HTTP/1.0 by the token, R2068-19.7.1a), the framing must be certain, and the
/// body must end before the connection does. A 408 says that the server closes, whatever its headers say: if it crossed
/// the request, it is not the response to it (R9110-15.5.9).
pub(crate) fn close_reason_of_response(
    version: Version,
    status: Status,
    connection_option: ConnectionOption,
    has_end: bool,
    doubtful_framing: bool,
) -> Option<CloseReason> {
    if doubtful_framing {
        Some(CloseReason::LenientParse)
    } else if status == Status::REQUEST_TIMEOUT || !peer_keeps_alive(version, connection_option) {
        Some(CloseReason::PeerRequested)
    } else if !has_end {
        Some(CloseReason::UnknownLength)
    } else {
        None
    }
}

/// Whether the peer keeps the connection: its option, or else the default of its version (R9112-9.3a).
fn peer_keeps_alive(version: Version, option: ConnectionOption) -> bool {
    match option {
        ConnectionOption::Close => false,
        ConnectionOption::KeepAlive => true,
        ConnectionOption::Nothing => version >= Version::HTTP_11,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    fn option_of(lines: &str) -> ConnectionOption {
        let head = format!("{lines}\r\n");
        let mut index = crate::message::field_index::FieldIndex::new();
        crate::wire::parse::fields(head.as_bytes(), 0, &mut index).unwrap();
        connection_option(&Fields::new(head.as_bytes(), &index))
    }

    // R2068-19.7.1a, R2068-19.7.1d, R9112-C.2.2, V32
    #[test]
    fn close_wins_over_keep_alive_in_any_line() {
        for (lines, expected) in [
            ("", ConnectionOption::Nothing),
            ("Connection: keep-alive\r\n", ConnectionOption::KeepAlive),
            ("Connection: Keep-Alive, TE\r\n", ConnectionOption::KeepAlive),
            ("Connection: keep-alive, close\r\n", ConnectionOption::Close),
            ("Connection: close, keep-alive\r\n", ConnectionOption::Close),
            ("Connection: keep-alive\r\nX: y\r\nconnection: CLOSE\r\n", ConnectionOption::Close),
            ("Connection: TE,,close, ,\r\n", ConnectionOption::Close),
            ("Connection: closed, not-keep-alive\r\n", ConnectionOption::Nothing),
            ("Proxy-Connection: keep-alive\r\n", ConnectionOption::Nothing),
            ("Keep-Alive: timeout=300\r\n", ConnectionOption::Nothing),
        ] {
            assert_eq!(option_of(lines), expected, "{lines:?}");
        }
    }

    // D15, R9112-9.3a, R9112-9.3b, R2068-19.7.1b
    #[test]
    fn connection_is_kept_only_if_no_reason_to_close_applies() {
        let kept = CloseFacts {
            version: Version::HTTP_11,
            connection_option: ConnectionOption::Nothing,
            refused: None,
            lenient: false,
            caller_asks: false,
            until_close: false,
            unread_body: false,
        };
        let old = CloseFacts { version: Version::HTTP_10, ..kept };
        for (facts, expected) in [
            (kept, None),
            (CloseFacts { connection_option: ConnectionOption::KeepAlive, ..kept }, None),
            (CloseFacts { connection_option: ConnectionOption::KeepAlive, ..old }, None),
            (old, Some(CloseReason::PeerRequested)),
            (CloseFacts { connection_option: ConnectionOption::Close, ..kept }, Some(CloseReason::PeerRequested)),
            (CloseFacts { version: Version::HTTP_09, ..kept }, Some(CloseReason::SimpleRequest)),
            (
                CloseFacts { lenient: true, connection_option: ConnectionOption::KeepAlive, ..old },
                Some(CloseReason::LenientParse),
            ),
            (CloseFacts { caller_asks: true, ..kept }, Some(CloseReason::CallerRequested)),
            (CloseFacts { until_close: true, ..kept }, Some(CloseReason::UnknownLength)),
            (CloseFacts { unread_body: true, ..kept }, Some(CloseReason::UnreadBody)),
            (
                CloseFacts { refused: Some(RequestError::HostMissing), ..kept },
                Some(CloseReason::Refused(RequestError::HostMissing)),
            ),
        ] {
            assert_eq!(close_reason(&facts), expected, "{facts:?}");
        }
    }

    // R2068-19.7.1a, R9112-6.1b, R9110-15.5.9
    #[test]
    fn connection_is_kept_only_if_the_server_agrees() {
        use Status as S;
        for (version, status, option, has_end, doubtful, expected) in [
            (Version::HTTP_11, S::OK, ConnectionOption::Nothing, true, false, None),
            (Version::HTTP_10, S::OK, ConnectionOption::KeepAlive, true, false, None),
            (Version::HTTP_10, S::OK, ConnectionOption::Nothing, true, false, Some(CloseReason::PeerRequested)),
            (Version::HTTP_11, S::OK, ConnectionOption::Close, true, false, Some(CloseReason::PeerRequested)),
            (Version::HTTP_11, S::OK, ConnectionOption::KeepAlive, false, false, Some(CloseReason::UnknownLength)),
            (Version::HTTP_11, S::OK, ConnectionOption::KeepAlive, true, true, Some(CloseReason::LenientParse)),
            (
                Version::HTTP_11,
                S::REQUEST_TIMEOUT,
                ConnectionOption::KeepAlive,
                true,
                false,
                Some(CloseReason::PeerRequested),
            ),
        ] {
            assert_eq!(close_reason_of_response(version, status, option, has_end, doubtful), expected, "{status}");
        }
    }
}
