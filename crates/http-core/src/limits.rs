//! The limits on what a peer may send, the defaults, and where the defaults come from.

/// The limits on what a peer may send over a connection.
///
/// A server responds to a request that exceeds a limit with the status given for that limit. A client returns
/// [`ResponseError::HeadTooLong`](crate::ResponseError::HeadTooLong). It holds the lines and trailers of a chunked body to
/// the same limits, and returns [`InvalidChunk`](crate::ResponseError::InvalidChunk) there. Input may reach a limit. The
/// first byte beyond it is refused, however the input is split.
///
/// Limits are set when a connection is made. No value is unsafe, but very small ones refuse every request.
///
/// ```
/// use http_core::Limits;
/// let limits = Limits { body: 64 * 1024, ..Limits::default() };
/// assert_eq!(limits.head, 16_384);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Limits {
    /// Bytes of a request line or status line, without its line end. Default: 8192. RFC 9112 §3 recommends at least
    /// 8000. Beyond: 400, 414 or 501, depending on where the line became too long.
    pub start_line: u32,
    /// Bytes of one header line, without its line end. Default: 8192, as in Apache. A continuation line counts by
    /// itself. Beyond: 431.
    pub field_line: u32,
    /// Bytes of a complete head, including its empty line. Default: 16384, as in h11. Beyond: 431. The extensions of all
    /// chunks of a body together may be as long, as in hyper.
    pub head: u32,
    /// Header lines of a head. Default: 100, as in Apache and hyper. Values above 256 count as 256. Continuation lines
    /// do not count. Beyond: 431.
    pub fields: u16,
    /// Empty lines before a request line. Default: 2. RFC 9112 §2.2 asks for at least one. Beyond: 400.
    pub blank_lines: u8,
    /// Bytes of a request body that the caller polls for. Default: 1 MiB, as in nginx. Beyond: 413. It does not apply
    /// if the caller responds without polling for the body. Bodies of responses have no limit: the caller sees each
    /// piece, and may stop.
    pub body: u64,
    /// Bytes of a request body that are read and dropped after the response, to keep the connection. Default: 256 KiB,
    /// as in Go's `net/http`. Beyond, the connection closes.
    pub drain: u64,
    /// Interim (1xx) responses that a client skips before the final one. Default: 8. Beyond:
    /// [`TooManyInterim`](crate::ResponseError::TooManyInterim).
    pub interim: u8,
}

impl Limits {
    /// The default of each field, for constants.
    pub const DEFAULT: Limits = Limits {
        start_line: 8192,
        field_line: 8192,
        head: 16_384,
        fields: 100,
        blank_lines: 2,
        body: 1 << 20,
        drain: 256 << 10,
        interim: 8,
    };
}

impl Default for Limits {
    /// [`Limits::DEFAULT`].
    fn default() -> Limits {
        Limits::DEFAULT
    }
}
