//! May this connection live on after the message? The only file that decides it (D15, R2068-19.7.1a, R9112-9.3a).

use thiserror::Error;

use crate::error::RequestError;
use crate::field::{Fields, name};
use crate::grammar::elements;
use crate::version::Version;

/// What the Connection fields of a message ask for, over all its lines; what stands below here wins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Asked {
    #[default]
    Nothing,
    KeepAlive,
    Close,
}

pub(crate) fn asked(fields: &Fields<'_>) -> Asked {
    let lines = fields.get_all(name::CONNECTION).map(|value| match value.as_bytes() {
        b"keep-alive" => Asked::KeepAlive, // as all browsers write it
        list => elements(list).map(asked_by).max().unwrap_or_default(),
    });
    lines.max().unwrap_or_default()
}

fn asked_by(token: &[u8]) -> Asked {
    if token.eq_ignore_ascii_case(b"close") {
        Asked::Close
    } else if token.eq_ignore_ascii_case(b"keep-alive") {
        Asked::KeepAlive
    } else {
        Asked::Nothing
    }
}

/// Why a connection ends: for the log. Where several reasons hold when the reply is given, one is told, in this order:
/// Refused, SimpleRequest, Tolerated, PeerAsked, CallerAsked, UntilClose, UnreadBody. `Display` is a phrase in English.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CloseReason {
    /// The peer's stream ended between two requests.
    #[error("the peer closed the connection")]
    PeerClosed,
    /// The peer said `Connection: close`, or spoke HTTP/1.0 without `keep-alive` (R2068-19.7.1a, R9112-9.3a).
    #[error("the peer asked for no more than one request")]
    PeerAsked,
    /// A Simple-Request, which knows nothing else (R1945-3.1a).
    #[error("an HTTP/0.9 request ends its connection")]
    SimpleRequest,
    /// The request was in error (R9112-2.2f).
    #[error("the request was refused: {0}")]
    Refused(RequestError),
    /// The request was tolerated, but another reader might have understood another one (D1, D2, D3).
    #[error("the request was not strictly correct")]
    Tolerated,
    /// The caller asked for it, by [`Reply::close`](crate::server::Reply::close).
    #[error("the server closes the connection")]
    CallerAsked,
    /// Only the close can end the body of the reply (R2068-19.7.1b).
    #[error("the reply's length was not known")]
    UntilClose,
    /// The reply came before the request's body, of which more than [`Limits::drain`](crate::Limits::drain) is still to come, or
    /// nobody can tell whether it will (R9112-9.3b, R9110-10.1.1b).
    #[error("the request's body was not read")]
    UnreadBody,
    /// The request was answered, but its body did not come whole.
    #[error("the request's body did not come whole")]
    BodyIncomplete,
    /// The caller's deadline struck while the connection was idle (R9112-9.5).
    #[error("the connection was idle for too long")]
    Idle,
}

/// Everything that the decision depends on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts {
    pub(crate) version: Version,
    pub(crate) asked: Asked,
    pub(crate) refused: Option<RequestError>,
    pub(crate) tolerated: bool,
    pub(crate) caller_asks: bool,
    pub(crate) until_close: bool,
    pub(crate) unread_body: bool,
}

/// `None`: the connection is kept.
pub(crate) fn close_reason(facts: &Facts) -> Option<CloseReason> {
    if let Some(error) = facts.refused {
        return Some(CloseReason::Refused(error)); // R9112-6.3a, R9112-2.2f
    }
    let kept_by_peer = match facts.asked {
        Asked::Close => false,
        Asked::KeepAlive => true,
        Asked::Nothing => facts.version >= Version::HTTP_11,
    };
    if facts.version < Version::HTTP_10 {
        Some(CloseReason::SimpleRequest)
    } else if facts.tolerated {
        Some(CloseReason::Tolerated)
    } else if !kept_by_peer {
        Some(CloseReason::PeerAsked)
    } else if facts.caller_asks {
        Some(CloseReason::CallerAsked)
    } else if facts.until_close {
        Some(CloseReason::UntilClose) // R2068-19.7.1b
    } else if facts.unread_body {
        Some(CloseReason::UnreadBody) // R9112-9.3b
    } else {
        None
    }
}

/// Whether a client may send its next request over the connection that brought this answer: the server says so (in
/// HTTP/1.0 by the token, R2068-19.7.1a), the framing was beyond doubt, and the body has an end of its own.
pub(crate) fn server_keeps(version: Version, asked: Asked, own_end: bool, doubtful_framing: bool) -> bool {
    let kept = match asked {
        Asked::Close => false,
        Asked::KeepAlive => true,
        Asked::Nothing => version >= Version::HTTP_11,
    };
    kept && own_end && !doubtful_framing
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    fn asked_by(lines: &str) -> Asked {
        let head = format!("{lines}\r\n");
        let mut index = crate::field::Index::new();
        crate::parse::fields(head.as_bytes(), 0, 9, &mut index).unwrap();
        asked(&Fields::new(head.as_bytes(), &index))
    }

    // R2068-19.7.1a, R2068-19.7.1d, R9112-C.2.2, V32
    #[test]
    fn close_wins_over_all_lines() {
        for (lines, expected) in [
            ("", Asked::Nothing),
            ("Connection: keep-alive\r\n", Asked::KeepAlive),
            ("Connection: Keep-Alive, TE\r\n", Asked::KeepAlive),
            ("Connection: keep-alive, close\r\n", Asked::Close),
            ("Connection: close, keep-alive\r\n", Asked::Close),
            ("Connection: keep-alive\r\nX: y\r\nconnection: CLOSE\r\n", Asked::Close),
            ("Connection: TE,,close, ,\r\n", Asked::Close),
            ("Connection: closed, not-keep-alive\r\n", Asked::Nothing),
            ("Proxy-Connection: keep-alive\r\n", Asked::Nothing),
            ("Keep-Alive: timeout=300\r\n", Asked::Nothing),
        ] {
            assert_eq!(asked_by(lines), expected, "{lines:?}");
        }
    }

    // D15, R9112-9.3a, R9112-9.3b, R2068-19.7.1b
    #[test]
    fn a_connection_is_kept_only_without_any_doubt() {
        let kept = Facts {
            version: Version::HTTP_11,
            asked: Asked::Nothing,
            refused: None,
            tolerated: false,
            caller_asks: false,
            until_close: false,
            unread_body: false,
        };
        let old = Facts { version: Version::HTTP_10, ..kept };
        for (facts, expected) in [
            (kept, None),
            (Facts { asked: Asked::KeepAlive, ..kept }, None),
            (Facts { asked: Asked::KeepAlive, ..old }, None),
            (old, Some(CloseReason::PeerAsked)),
            (Facts { asked: Asked::Close, ..kept }, Some(CloseReason::PeerAsked)),
            (Facts { version: Version::HTTP_09, ..kept }, Some(CloseReason::SimpleRequest)),
            (Facts { tolerated: true, asked: Asked::KeepAlive, ..old }, Some(CloseReason::Tolerated)),
            (Facts { caller_asks: true, ..kept }, Some(CloseReason::CallerAsked)),
            (Facts { until_close: true, ..kept }, Some(CloseReason::UntilClose)),
            (Facts { unread_body: true, ..kept }, Some(CloseReason::UnreadBody)),
            (
                Facts { refused: Some(RequestError::HostMissing), ..kept },
                Some(CloseReason::Refused(RequestError::HostMissing)),
            ),
        ] {
            assert_eq!(close_reason(&facts), expected, "{facts:?}");
        }
    }

    // R2068-19.7.1a, R9112-6.1b
    #[test]
    fn a_server_must_say_that_it_keeps() {
        assert!(server_keeps(Version::HTTP_11, Asked::Nothing, true, false));
        assert!(server_keeps(Version::HTTP_10, Asked::KeepAlive, true, false));
        assert!(!server_keeps(Version::HTTP_10, Asked::Nothing, true, false));
        assert!(!server_keeps(Version::HTTP_11, Asked::Close, true, false));
        assert!(!server_keeps(Version::HTTP_11, Asked::KeepAlive, false, false));
        assert!(!server_keeps(Version::HTTP_11, Asked::KeepAlive, true, true));
    }
}
