//! What the device serves: a page in flash, and a text that is made for each request.

use alloc::borrow::Cow;
use core::time::Duration;

use http_core::FieldValue;

/// What is at a path.
pub struct Page {
    /// Its media type.
    pub media_type: FieldValue<'static>,
    /// Its bytes. Borrowed ones are sent from where they are, so that a page in flash takes no memory.
    pub body: Cow<'static, [u8]>,
}

/// The page at a decoded path. `uptime` is the time since the device started.
pub fn find(path: &[u8], uptime: Duration) -> Option<Page> {
    match path {
        b"/" => Some(Page {
            media_type: FieldValue::from_static("text/html; charset=utf-8"),
            body: Cow::Borrowed(include_bytes!("index.html")),
        }),
        b"/uptime" => Some(Page {
            media_type: FieldValue::from_static("text/plain; charset=utf-8"),
            body: Cow::Owned(alloc::format!("{} s\n", uptime.as_secs()).into_bytes()),
        }),
        _ => None,
    }
}
