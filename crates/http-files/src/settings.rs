//! What the owner of a directory may decide about how it is served.

use http_core::{FieldBlock, FieldName, FieldValue, Status, header};

use crate::media_types::Types;
use crate::push;

#[derive(Debug)]
pub(crate) struct Settings {
    /// Whether a directory without an index is listed.
    pub(crate) listing: bool,
    /// Names that stand for their directory, the best first.
    pub(crate) indexes: Vec<Vec<u8>>,
    /// Whether names that begin with a dot are served.
    pub(crate) hidden: bool,
    /// Whether `FILE.br`, `FILE.zst` and `FILE.gz` stand for `FILE`.
    pub(crate) sidecars: bool,
    /// Whether pages of all origins may read what is here.
    pub(crate) cors: bool,
    /// What answers for pages that are not there.
    pub(crate) fallback: Option<Vec<u8>>,
    /// What is shown in the place of our own pages.
    pub(crate) error_pages: Vec<(Status, Vec<u8>)>,
    pub(crate) types: Types,
    cache_control: Option<Vec<u8>>,
    /// Those of every answer: names and values.
    fields: Vec<(String, Vec<u8>)>,
}

const ALLOW_ORIGIN: &str = "Access-Control-Allow-Origin";
const EXPOSE: &str = "Access-Control-Expose-Headers";

impl Settings {
    pub(crate) fn new() -> Settings {
        Settings {
            listing: true,
            indexes: vec![b"index.html".to_vec()],
            hidden: false,
            sidecars: true,
            cors: false,
            fallback: None,
            error_pages: Vec::new(),
            types: Types::new(),
            cache_control: None,
            fields: Vec::new(),
        }
    }

    pub(crate) fn add_field(&mut self, name: FieldName<'_>, value: FieldValue<'_>) {
        self.fields.push((name.as_str().to_owned(), value.as_bytes().to_vec()));
    }

    pub(crate) fn set_cache_control(&mut self, value: FieldValue<'_>) {
        self.cache_control = Some(value.as_bytes().to_vec());
    }

    pub(crate) fn cache_control(&self) -> Option<FieldValue<'_>> {
        self.cache_control.as_deref().and_then(|value| FieldValue::new(value).ok())
    }

    pub(crate) fn error_page(&self, status: Status) -> Option<&[u8]> {
        self.error_pages.iter().rev().find(|(of, _)| *of == status).map(|(_, path)| &**path)
    }

    /// Adds the fields that every answer has, and that its type is what it says; one that is there already stays as it is.
    /// Vary is a list, of which each line is a part.
    pub(crate) fn add_common_headers(&self, fields: &mut FieldBlock) {
        let typed = fields.contains(header::CONTENT_TYPE);
        let own = self.fields.iter().map(|(name, value)| (&**name, &**value));
        add(fields, own);
        if self.cors {
            add(fields, [(ALLOW_ORIGIN, &b"*"[..]), (EXPOSE, b"*")].into_iter());
        }
        if typed && !fields.contains(header::X_CONTENT_TYPE_OPTIONS) {
            push(fields, header::X_CONTENT_TYPE_OPTIONS, FieldValue::from_static("nosniff"));
        }
    }
}

/// Adds those whose names are not there yet; of one name there may be several.
fn add<'a>(fields: &mut FieldBlock, others: impl Iterator<Item = (&'a str, &'a [u8])>) {
    let missing: Vec<_> = others
        .filter_map(|(name, value)| Some((FieldName::new(name.as_bytes()).ok()?, FieldValue::new(value).ok()?)))
        .filter(|(field, _)| *field == header::VARY || !fields.contains(*field))
        .collect();
    for (name, value) in missing {
        push(fields, name, value);
    }
}
