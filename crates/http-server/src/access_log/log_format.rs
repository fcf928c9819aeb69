//! The formats of the access log, as its users choose among them.

/// The format of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LogFormat {
    /// The Common Log Format: `client - user [date] "request line" status bytes`. `bytes` is the number of bytes of the
    /// body that were sent. Quotes and backslashes are escaped with a backslash. Bytes that are not printable ASCII
    /// become `\xff`, and so does a space in a user's name. The date is that of the response. The status of a request that
    /// got no response is `000`. A client on a Unix socket is `unix`.
    Common,
    /// The Common Log Format with `"referer" "user agent"` at the end.
    Combined,
    /// A JSON object with `time` (RFC 3339), `client`, `peer` if it is another address, `user`, `method`, `path` and
    /// `query` (neither is decoded), `request` (the request line), `status`, `sent` (bytes of the body), `duration_us`, `end`,
    /// `cause` if the request failed for one, `referer` and `user_agent`. What is no request line has no method, path or
    /// query. A missing text is `null`, and so is the status of a request that got no response. A byte outside
    /// ASCII becomes the character with its number (ISO 8859-1).
    ///
    /// The duration, in microseconds, begins with the first byte of a request; for the first request of a connection, with
    /// the accept. It ends when the kernel has the last byte of the response. `end` is one of
    /// `complete`, `client-abort`, `head-timeout`, `body-timeout`, `slow-send`, `file-changed`, `no-room` (the response
    /// was 503), `unread` (the memory for unread responses was exhausted), `shutdown` and `failed`. `cause` is what
    /// [`Server::on_message`](crate::Server::on_message) reports about the request, or the
    /// [cause](crate::HandlerError::cause) of a 4xx; no more than 500 bytes. Messages of the program can have the same
    /// form: [`json_message`](crate::json_message).
    Json,
}
