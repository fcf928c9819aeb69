//! What a peer may ask of us: every bound of the protocol's side, its default, and where that comes from.

/// The bounds of a connection. What breaks one is answered with the status beside it, never with memory or time; a client
/// has the error [`ResponseError::HeadTooLong`](crate::ResponseError::HeadTooLong). Each bound may be reached, and the first
/// byte beyond it is refused, wherever a head was cut into pieces.
///
/// They are chosen when a connection is made. There are no values that do harm; very small ones refuse everybody.
///
/// ```
/// use http_core::Limits;
/// let limits = Limits { body: 64 * 1024, ..Limits::default() };
/// assert_eq!(limits.head, 16_384);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a request line or status line, its line end not counted: 8192. RFC 9112 §3 asks for at least 8000.
    /// Beyond: 400, 414 or 501, by where the line grew too long.
    pub start_line: u32,
    /// Bytes of one field line, its line end not counted: 8192, as in Apache. A continuation line counts for itself.
    /// Beyond: 431.
    pub field_line: u32,
    /// Bytes of a whole head, from its first line through its empty line: 16384, as in h11. Beyond: 431.
    pub head: u32,
    /// Field lines of a head: 100, as in Apache and hyper; values above 256 count as 256. A continuation line counts for none.
    /// Beyond: 431.
    pub fields: u16,
    /// Empty lines before a request line: 2. RFC 9112 §2.2 asks for at least one. Beyond: 400.
    pub blank_lines: u8,
    /// Bytes of a request body that the caller polls for: 1 MiB, as in nginx. Beyond: 413. A caller that answers without
    /// polling for the body never meets it. Bodies of answers have no bound here: the caller sees each piece, and may stop.
    pub body: u64,
    /// Bytes of a request body that are still to come when the reply is given, and are read and dropped to keep the
    /// connection: 256 KiB, as in Go's `net/http`. Beyond, the connection closes.
    pub drain: u64,
    /// Interim (1xx) answers that a client skips before the final one: 8. Beyond: an error.
    pub interim: u8,
}

impl Default for Limits {
    /// The numbers that are named above, field by field.
    fn default() -> Limits {
        Limits {
            start_line: 8192,
            field_line: 8192,
            head: 16_384,
            fields: 100,
            blank_lines: 2,
            body: 1 << 20,
            drain: 256 << 10,
            interim: 8,
        }
    }
}
