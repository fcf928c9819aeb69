//! Media types by extension: the owner's, then corrections of the `mime_guess` crate, then those of the crate. Text is
//! labelled with its charset.

use std::borrow::Cow;

use http_core::FieldValue;

pub(crate) const UNKNOWN: FieldValue<'static> = FieldValue::from_static("application/octet-stream");

/// Where the crate is outdated or knows no type.
const CORRECTIONS: &[(&str, &str)] = &[
    ("avif", "image/avif"),
    ("cer", "application/pkix-cert"),
    ("cjs", "text/javascript"),
    ("crl", "application/pkix-crl"),
    ("csv", "text/csv"),
    ("flac", "audio/flac"),
    ("ico", "image/x-icon"),
    ("js", "text/javascript"),
    ("map", "application/json"),
    ("md", "text/markdown"),
    ("mjs", "text/javascript"),
    ("opus", "audio/ogg"),
    ("otf", "font/otf"),
    ("ts", "text/plain"),
    ("ttf", "font/ttf"),
    ("webmanifest", "application/manifest+json"),
    ("woff", "font/woff"),
    ("xml", "application/xml"),
    ("zst", "application/zstd"),
];

/// The `text/` types that browsers handle. All other text is sent as `text/plain`, so that they show it.
const TEXTS: &[&str] = &["calendar", "css", "csv", "html", "javascript", "markdown", "vcard", "vtt", "xml"];

#[derive(Debug)]
pub(crate) struct MediaTypes {
    /// Extensions and types, the one set last first.
    overrides: Vec<(String, Vec<u8>)>,
    /// The parameter added to text: `; charset=utf-8`, or nothing.
    parameter: String,
}

impl MediaTypes {
    pub(crate) fn new() -> MediaTypes {
        MediaTypes { overrides: Vec::new(), parameter: "; charset=utf-8".into() }
    }

    /// Sets the type of names that end with a dot and this extension.
    pub(crate) fn set(&mut self, extension: &str, value: FieldValue<'_>) {
        self.overrides.insert(0, (extension.to_owned(), value.as_bytes().to_vec()));
    }

    /// Sets the charset of text. The empty string means none.
    pub(crate) fn set_charset(&mut self, charset: &str) {
        self.parameter = if charset.is_empty() { String::new() } else { format!("; charset={charset}") };
    }

    /// The type of the file at this path, `application/octet-stream` if it is unknown (R1945-7.2.1).
    pub(crate) fn of(&self, path: &[u8]) -> Cow<'_, [u8]> {
        let name = path.rsplit(|&c| c == b'/').next().unwrap_or_default();
        let extension = name.iter().rposition(|&c| c == b'.').and_then(|dot| str::from_utf8(&name[dot + 1..]).ok());
        let Some(extension) = extension else { return UNKNOWN.as_bytes().into() };
        if let Some((_, value)) = self.overrides.iter().find(|(known, _)| known.eq_ignore_ascii_case(extension)) {
            return value.into();
        }
        let corrected = CORRECTIONS.iter().find(|(known, _)| known.eq_ignore_ascii_case(extension)).map(|(_, to)| *to);
        let Some(known) = corrected.or_else(|| mime_guess::from_ext(extension).first_raw()) else {
            return UNKNOWN.as_bytes().into();
        };
        match known.strip_prefix("text/") {
            Some(text) if TEXTS.contains(&text) => format!("{known}{}", self.parameter).into_bytes().into(),
            Some(_) => format!("text/plain{}", self.parameter).into_bytes().into(), // R1945-3.4
            None => known.as_bytes().into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // R1945-3.4, R1945-7.2.1
    #[test]
    fn common_extensions_have_their_types() {
        for (path, expected) in [
            ("HelloWorld.html", "text/html; charset=utf-8"),
            ("a/b.HTM", "text/html; charset=utf-8"),
            ("style.css", "text/css; charset=utf-8"),
            ("a.js", "text/javascript; charset=utf-8"),
            ("a.mjs", "text/javascript; charset=utf-8"),
            ("a.json", "application/json"),
            ("a.svg", "image/svg+xml"),
            ("a.png", "image/png"),
            ("a.jpg", "image/jpeg"),
            ("a.jpeg", "image/jpeg"),
            ("a.gif", "image/gif"),
            ("a.webp", "image/webp"),
            ("a.avif", "image/avif"),
            ("favicon.ico", "image/x-icon"),
            ("a.txt", "text/plain; charset=utf-8"),
            ("a.rs", "text/plain; charset=utf-8"),
            ("a.pdf", "application/pdf"),
            ("a.wasm", "application/wasm"),
            ("a.woff", "font/woff"),
            ("a.ttf", "font/ttf"),
            ("a.otf", "font/otf"),
            ("a.m4a", "audio/m4a"),
            ("a.m4v", "video/x-m4v"),
            ("a.apng", "image/apng"),
            ("a.jxl", "image/jxl"),
            ("a.htm", "text/html; charset=utf-8"),
            ("a.xhtml", "application/xhtml+xml"),
            ("a.cjs", "text/javascript; charset=utf-8"),
            ("a.log", "text/plain; charset=utf-8"),
            ("a.yaml", "text/plain; charset=utf-8"),
            ("a.toml", "text/plain; charset=utf-8"),
            ("a.woff2", "font/woff2"),
            ("a.mp4", "video/mp4"),
            ("a.webm", "video/webm"),
            ("a.mp3", "audio/mpeg"),
            ("a.ogg", "audio/ogg"),
            ("a.opus", "audio/ogg"),
            ("a.flac", "audio/flac"),
            ("a.zip", "application/zip"),
            ("a.tar", "application/x-tar"),
            ("a.gz", "application/gzip"),
            ("a.tar.gz", "application/gzip"),
            ("a.zst", "application/zstd"),
            ("a.csv", "text/csv; charset=utf-8"),
            ("a.md", "text/markdown; charset=utf-8"),
            ("a.xml", "application/xml"),
            ("a.vtt", "text/vtt; charset=utf-8"),
            ("a.webmanifest", "application/manifest+json"),
            ("a.js.map", "application/json"),
            ("a.cer", "application/pkix-cert"),
            ("a.crl", "application/pkix-crl"),
            ("README", "application/octet-stream"),
            ("a.", "application/octet-stream"),
            ("a.no-such-type", "application/octet-stream"),
            ("directory.html/file", "application/octet-stream"),
        ] {
            assert_eq!(str::from_utf8(&MediaTypes::new().of(path.as_bytes())), Ok(expected), "{path}");
        }
        assert_eq!(*MediaTypes::new().of(b"a.\xff"), *UNKNOWN.as_bytes());
    }

    #[test]
    fn owner_overrides_types_and_charset() {
        let mut types = MediaTypes::new();
        types.set("html", FieldValue::from_static("text/x-first"));
        types.set("HTML", FieldValue::from_static("text/x-owner"));
        types.set("tar.gz", FieldValue::from_static("text/x-never")); // the extension starts at the last dot
        types.set_charset("koi8-r");
        assert_eq!(*types.of(b"a.Html"), *b"text/x-owner");
        assert_eq!(*types.of(b"a.tar.gz"), *b"application/gzip");
        assert_eq!((&*types.of(b"a.css"), &*types.of(b"a.png")), (&b"text/css; charset=koi8-r"[..], &b"image/png"[..]));
        types.set_charset("");
        assert_eq!(*types.of(b"a.css"), *b"text/css");
    }

    // R1945-3.6: type, subtype and parameters are tokens, with a space after a semicolon and nowhere else.
    #[test]
    fn types_contain_no_whitespace_except_after_semicolons() {
        let is_token = |c: u8| c.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&c);
        let is_pair = |text: &str, sign| {
            text.split_once(sign)
                .is_some_and(|(a, b)| !a.is_empty() && !b.is_empty() && (a.to_owned() + b).bytes().all(is_token))
        };
        let mut known = 0;
        // Every extension of three letters or digits.
        for number in 0..36_u32.pow(3) {
            let digit = |place: u32| char::from_digit(number / 36_u32.pow(place) % 36, 36).unwrap();
            let name = format!("a.{}{}{}", digit(2), digit(1), digit(0));
            let types = MediaTypes::new();
            let of = types.of(name.as_bytes());
            known += usize::from(*of != *UNKNOWN.as_bytes());
            let mut parts = str::from_utf8(&of).unwrap().split("; ");
            assert!(parts.next().is_some_and(|media_type| is_pair(media_type, '/')), "{name}: {of:?}");
            assert!(parts.all(|parameter| is_pair(parameter, '=')), "{name}: {of:?}");
        }
        assert!(known > 500, "only {known} types are known");
    }
}
