//! A response's head as a value that owns its bytes.

use std::fmt;

use http_core::client::ResponseHead;
use http_core::{FieldName, FieldValue, Framing, Status, Version};

/// A response's head that owns its bytes: a copy of a [`ResponseHead`].
#[derive(Clone)]
#[non_exhaustive]
pub struct Head {
    /// As [`ResponseHead::version`].
    pub version: Version,
    /// As [`ResponseHead::status`].
    pub status: Status,
    /// As [`ResponseHead::reason`].
    pub reason: Vec<u8>,
    /// As [`ResponseHead::body`].
    pub body: Framing,
    /// As [`ResponseHead::content_length`].
    pub content_length: Option<u64>,
    /// As [`ResponseHead::bytes`].
    pub bytes: Vec<u8>,
    headers: Vec<(String, Vec<u8>)>,
}

impl Head {
    /// The value of the first header with this name, in any case.
    pub fn get(&self, name: FieldName<'_>) -> Option<FieldValue<'_>> {
        self.headers().find(|(own, _)| *own == name).map(|(_, value)| value)
    }

    /// Every header, in the order and spelling in which it was received.
    pub fn headers(&self) -> impl Iterator<Item = (FieldName<'_>, FieldValue<'_>)> {
        // All were valid in the response, so none is left out.
        self.headers
            .iter()
            .filter_map(|(name, value)| Some((FieldName::new(name.as_bytes()).ok()?, FieldValue::new(value).ok()?)))
    }
}

impl From<&ResponseHead<'_>> for Head {
    fn from(head: &ResponseHead<'_>) -> Head {
        let headers = head.fields.iter().map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()));
        Head {
            version: head.version,
            status: head.status,
            reason: head.reason.to_vec(),
            body: head.body,
            content_length: head.content_length(),
            bytes: head.bytes.to_vec(),
            headers: headers.collect(),
        }
    }
}

impl fmt::Debug for Head {
    /// Shows no header, which may hold credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Head").field("version", &self.version).field("status", &self.status).finish_non_exhaustive()
    }
}
