//! Feature `std`: errors of this crate as [`io::Error`], and the system's time as a [`Date`].

use std::io::{self, ErrorKind};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::error::{RequestError, ResponseError, UsageError};
use crate::message::date::{Date, InvalidDate};
use crate::message::field::{InvalidFieldName, InvalidFieldValue, ReservedField};
use crate::message::method::InvalidMethod;
use crate::message::status::InvalidStatus;
use crate::message::target::InvalidAuthority;
use crate::message::target_error::TargetError;
use crate::semantics::auth::{InvalidCredentials, InvalidRealm};
use crate::semantics::conditional::InvalidEntityTag;
use crate::semantics::redirect::RedirectError;
use crate::semantics::url::UrlError;

/// The caller's faults.
macro_rules! invalid_input {
    ($($error:ident)+) => {
        $(
            impl From<$error> for io::Error {
                /// Its kind is [`ErrorKind::InvalidInput`].
                fn from(error: $error) -> io::Error {
                    io::Error::new(ErrorKind::InvalidInput, error)
                }
            }
        )+
    };
}

invalid_input! {
    UsageError ReservedField TargetError UrlError InvalidAuthority InvalidCredentials InvalidDate InvalidEntityTag
    InvalidFieldName InvalidFieldValue InvalidMethod InvalidRealm InvalidStatus
}

impl From<RequestError> for io::Error {
    /// Its kind is [`ErrorKind::TimedOut`], [`ErrorKind::UnexpectedEof`], [`ErrorKind::ResourceBusy`] if the caller was
    /// overloaded, or [`ErrorKind::InvalidData`].
    fn from(error: RequestError) -> io::Error {
        let kind = match error {
            RequestError::TimedOut => ErrorKind::TimedOut,
            RequestError::Incomplete => ErrorKind::UnexpectedEof,
            RequestError::Overloaded => ErrorKind::ResourceBusy,
            _ => ErrorKind::InvalidData,
        };
        io::Error::new(kind, error)
    }
}

impl From<ResponseError> for io::Error {
    /// Its kind is [`ErrorKind::TimedOut`], [`ErrorKind::ConnectionReset`] if the caller lost the connection,
    /// [`ErrorKind::UnexpectedEof`] or [`ErrorKind::InvalidData`].
    fn from(error: ResponseError) -> io::Error {
        let kind = match error {
            ResponseError::TimedOut => ErrorKind::TimedOut,
            ResponseError::ConnectionLost => ErrorKind::ConnectionReset,
            error if error.is_truncated() => ErrorKind::UnexpectedEof,
            _ => ErrorKind::InvalidData,
        };
        io::Error::new(kind, error)
    }
}

impl From<RedirectError> for io::Error {
    /// Its kind is [`ErrorKind::InvalidData`].
    fn from(error: RedirectError) -> io::Error {
        io::Error::new(ErrorKind::InvalidData, error)
    }
}

impl TryFrom<SystemTime> for Date {
    type Error = InvalidDate;

    /// The time, rounded down to the second.
    ///
    /// ```
    /// use std::time::SystemTime;
    /// let now = http_core::Date::try_from(SystemTime::now())?;
    /// println!("Date: {}", now.text());
    /// # Ok::<(), http_core::InvalidDate>(())
    /// ```
    ///
    /// # Errors
    /// [`InvalidDate`] if its year does not have four digits.
    fn try_from(time: SystemTime) -> Result<Date, InvalidDate> {
        let seconds = match time.duration_since(UNIX_EPOCH) {
            Ok(since) => i64::try_from(since.as_secs()),
            Err(before) => {
                let before = before.duration();
                i64::try_from(before.as_secs() + u64::from(before.subsec_nanos() > 0)).map(|seconds| -seconds)
            }
        };
        seconds.ok().and_then(Date::from_unix).ok_or(InvalidDate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;
    use std::time::Duration;

    #[test]
    fn errors_have_fitting_kinds_and_keep_their_text() {
        for (error, kind) in [
            (UsageError::NoResponseDue.into(), ErrorKind::InvalidInput),
            (ReservedField.into(), ErrorKind::InvalidInput),
            (UrlError::Https.into(), ErrorKind::InvalidInput),
            (RequestError::TimedOut.into(), ErrorKind::TimedOut),
            (RequestError::Incomplete.into(), ErrorKind::UnexpectedEof),
            (RequestError::Overloaded.into(), ErrorKind::ResourceBusy),
            (RequestError::HostMissing.into(), ErrorKind::InvalidData),
            (ResponseError::TimedOut.into(), ErrorKind::TimedOut),
            (ResponseError::ConnectionLost.into(), ErrorKind::ConnectionReset),
            (ResponseError::NoResponse.into(), ErrorKind::UnexpectedEof),
            (ResponseError::BodyTruncated.into(), ErrorKind::UnexpectedEof),
            (ResponseError::NotHttp.into(), ErrorKind::InvalidData),
            (RedirectError::TooMany.into(), ErrorKind::InvalidData),
        ] {
            let error: io::Error = error;
            assert_eq!(error.kind(), kind, "{error}");
        }
        assert_eq!(io::Error::from(ResponseError::NotHttp).to_string(), ResponseError::NotHttp.to_string());
    }

    #[test]
    fn system_time_is_rounded_down_to_the_second() {
        let half = Duration::from_millis(500);
        for (time, seconds) in [
            (UNIX_EPOCH, 0),
            (UNIX_EPOCH + half, 0),
            (UNIX_EPOCH - half, -1),
            (UNIX_EPOCH - half - half, -1),
            (UNIX_EPOCH + Duration::from_secs(1_000_000_000), 1_000_000_000),
        ] {
            assert_eq!(Date::try_from(time).map(Date::unix), Ok(seconds));
        }
        assert_eq!(Date::try_from(UNIX_EPOCH + Duration::from_secs(253_402_300_800)), Err(InvalidDate));
    }
}
