//! What the owner of the directory decides about how it is served.

use http_core::{FieldBlock, FieldName, FieldValue, Status, header};

use crate::fields::push_missing;
use crate::media_types::MediaTypes;

#[derive(Debug)]
pub(crate) struct Settings {
    /// Whether a directory without an index file is listed.
    pub(crate) listing: bool,
    /// The formats in which a listing offers the directory as an archive: values of `archive` in its query.
    pub(crate) archives: &'static [&'static str],
    /// Names of index files, the preferred one first.
    pub(crate) index_files: Vec<Vec<u8>>,
    /// Whether names that begin with a dot are served.
    pub(crate) hidden: bool,
    /// Whether `FILE.br`, `FILE.zst` and `FILE.gz` may be sent instead of `FILE`.
    pub(crate) precompressed: bool,
    /// Whether entity tags are made from what mirrors of the same files have in common.
    pub(crate) mirror_etags: bool,
    /// Whether pages of every origin may read the files.
    pub(crate) cors: bool,
    /// Whether `page.html` is served for `page`.
    pub(crate) pretty_urls: bool,
    /// The file that is served in place of a page that does not exist.
    pub(crate) fallback: Option<Vec<u8>>,
    /// Files shown instead of the built-in error pages.
    pub(crate) error_pages: Vec<(Status, Vec<u8>)>,
    pub(crate) media_types: MediaTypes,
    /// Headers of every file: Cache-Control, if it is set.
    pub(crate) file_headers: FieldBlock,
    /// Headers of every response.
    pub(crate) common_headers: FieldBlock,
}

const CORS: [(&str, &str); 2] = [("Access-Control-Allow-Origin", "*"), ("Access-Control-Expose-Headers", "*")];

impl Settings {
    pub(crate) fn new() -> Settings {
        Settings {
            listing: true,
            archives: &[],
            index_files: vec![b"index.html".to_vec()],
            hidden: false,
            precompressed: true,
            mirror_etags: false,
            cors: false,
            pretty_urls: false,
            fallback: None,
            error_pages: Vec::new(),
            media_types: MediaTypes::new(),
            file_headers: FieldBlock::new(),
            common_headers: FieldBlock::new(),
        }
    }

    pub(crate) fn error_page(&self, status: Status) -> Option<&[u8]> {
        self.error_pages.iter().rev().find(|(of, _)| *of == status).map(|(_, path)| &**path)
    }

    /// Adds the headers of every response, and nosniff where there is a type. A header of the response itself is kept
    /// and wins, except that Vary is a list, so both are sent.
    pub(crate) fn add_common_headers(&self, fields: &mut FieldBlock) {
        let has_type = fields.contains(header::CONTENT_TYPE);
        push_missing(fields, self.common_headers.iter());
        if self.cors {
            push_missing(
                fields,
                CORS.map(|(name, value)| (FieldName::from_static(name), FieldValue::from_static(value))),
            );
        }
        if has_type {
            push_missing(fields, [(header::X_CONTENT_TYPE_OPTIONS, FieldValue::from_static("nosniff"))]);
        }
    }
}

/// Whether a segment of the path begins with a dot. `.well-known` at the root is not hidden (R1945-12.5b, V18).
pub(crate) fn is_hidden(path: &[u8]) -> bool {
    let rest = path.strip_prefix(b".well-known").filter(|rest| matches!(rest, [] | [b'/', ..])).unwrap_or(path);
    rest.split(|&c| c == b'/').any(|segment| segment.starts_with(b"."))
}
