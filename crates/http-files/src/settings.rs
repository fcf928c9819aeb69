//! What the owner of the directory decides about how it is served.

use http_core::{FieldBlock, FieldName, FieldValue, Status, header};

use crate::fields::push_missing;
use crate::glob::Glob;
use crate::media_types::MediaTypes;

#[derive(Debug)]
pub(crate) struct Settings {
    /// Whether a directory without an index file is listed.
    pub(crate) listing: bool,
    /// The formats in which a directory that is listed is sent as an archive: values of `archive` in its query.
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
    /// The headers of some files, Cache-Control only. The first glob that matches decides.
    pub(crate) cache_rules: Vec<(Glob, FieldBlock)>,
    /// The headers of all other files: Cache-Control, if it is set.
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
            cache_rules: Vec::new(),
            file_headers: FieldBlock::new(),
            common_headers: FieldBlock::new(),
        }
    }

    pub(crate) fn error_page(&self, status: Status) -> Option<&[u8]> {
        self.error_pages.iter().rev().find(|(of, _)| *of == status).map(|(_, path)| &**path)
    }

    /// The rule for the file at this path. It is for the file that is sent, not for the path of the request: otherwise a
    /// fallback in place of a missing asset would be kept as long as assets are.
    pub(crate) fn cache_rule(&self, path: &[u8]) -> Option<&(Glob, FieldBlock)> {
        let path = [b"/", path].concat();
        self.cache_rules.iter().find(|(glob, _)| glob.matches(&path))
    }

    /// The headers of the file at this path, beside those of every response.
    pub(crate) fn file_headers(&self, path: &[u8]) -> &FieldBlock {
        self.cache_rule(path).map_or(&self.file_headers, |(_, fields)| fields)
    }

    /// Adds the headers of every response, nosniff where there is a type, and `Cache-Control: no-cache` where nothing else
    /// is said: a browser that is not told asks only after a tenth of a file's age, and after a 301 never. A header of the
    /// response itself is kept and wins, except that Vary is a list, so both are sent.
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
        push_missing(fields, [(header::CACHE_CONTROL, FieldValue::from_static("no-cache"))]);
    }
}

/// Whether a segment of the path begins with a dot. `.well-known` at the root is not hidden (R1945-12.5b, V18).
pub(crate) fn is_hidden(path: &[u8]) -> bool {
    let rest = path.strip_prefix(b".well-known").filter(|rest| matches!(rest, [] | [b'/', ..])).unwrap_or(path);
    rest.split(|&c| c == b'/').any(begins_with_dot)
}

/// Whether a name begins with a dot, or file systems without regard to case may take it for one that does: HFS+ ignores
/// characters that show nothing (CVE-2014-9390), and so does ext4, those that Unicode calls default ignorable.
pub(crate) fn begins_with_dot(name: &[u8]) -> bool {
    match name {
        [b'.', ..] => true,
        [..0x80, ..] | [] => false,
        _ => {
            name.utf8_chunks().next().is_some_and(|text| text.valid().trim_start_matches(is_ignorable).starts_with('.'))
        }
    }
}

fn is_ignorable(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}')
        || matches!(c, '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}')
        || matches!(c, '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}')
        || matches!(c, '\u{fff0}'..='\u{fff8}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}')
        || matches!(c, '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    // V18
    #[test]
    fn name_is_hidden_if_a_file_system_may_see_a_dot_at_its_start() {
        for name in [
            ".a",
            ".",
            "a/.b",
            "a/\u{200c}.git/config",
            "\u{feff}.git",
            "\u{200d}\u{206a}.git",
            "\u{ad}\u{e0fff}.\u{e9}",
            ".well-known/.a",
            ".well-known/\u{200b}.a",
            "\u{200b}.well-known/a",
        ] {
            assert!(is_hidden(name.as_bytes()), "{name:?}");
        }
        for name in ["", "a", "a.b", ".well-known/a", "\u{200b}a.b", "\u{e9}.a", "\u{200b}", "a/\u{65e5}.b/"] {
            assert!(!is_hidden(name.as_bytes()), "{name:?}");
        }
        assert!(is_hidden(b"\xe2\x80\x8b.\xff") && !is_hidden(b"\xff.a") && !is_hidden(b"\xe2\x80.a"));
    }
}
