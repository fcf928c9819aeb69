//! Media types by extension: the owner's, then corrections of the `mime_guess` crate, then those of the crate. Text is
//! labelled with its charset. It also says which types do not compress, because their content is compressed already.

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

/// Types whose content is compressed already, beside all of `audio/` and `video/`.
const COMPRESSED: &[&str] = &[
    "application/epub+zip",
    "application/gzip",
    "application/java-archive",
    "application/vnd.android.package-archive",
    "application/vnd.rar",
    "application/x-7z-compressed",
    "application/x-bzip",
    "application/x-bzip2",
    "application/x-compress",
    "application/x-compressed",
    "application/x-gzip",
    "application/x-rar-compressed",
    "application/x-xz",
    "application/zip",
    "application/zstd",
    "font/woff",
    "font/woff2",
    "image/apng",
    "image/avif",
    "image/gif",
    "image/heic",
    "image/heif",
    "image/jp2",
    "image/jpeg",
    "image/jxl",
    "image/png",
    "image/webp",
];

/// Types of `audio/` whose content is not compressed: samples, notes and playlists.
const UNCOMPRESSED_AUDIO: &[&str] = &[
    "audio/aiff",
    "audio/basic",
    "audio/mid",
    "audio/midi",
    "audio/mpegurl",
    "audio/wav",
    "audio/x-aiff",
    "audio/x-mpegurl",
    "audio/x-wav",
];

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

/// Whether a content coding can make a file of this type smaller. An unknown type may be compressible.
pub(crate) fn may_compress(media_type: FieldValue<'_>) -> bool {
    let name = media_type.as_bytes().split(|&c| c == b';').next().unwrap_or_default().trim_ascii_end();
    let is = |known: &&str| name.eq_ignore_ascii_case(known.as_bytes());
    let begins_with = |prefix: &[u8]| name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix));
    let is_recording = begins_with(b"audio/") && !UNCOMPRESSED_AUDIO.iter().any(is) || begins_with(b"video/");
    !is_recording && !COMPRESSED.iter().any(is)
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

    #[test]
    fn only_types_that_are_not_compressed_already_may_compress() {
        let types = MediaTypes::new();
        let may = |path: &str| may_compress(FieldValue::new(&types.of(path.as_bytes())).unwrap());
        for name in "html css js json svg xml txt md csv wasm ttf otf ico bmp tiff pdf map wav mid m3u8 none".split(' ')
        {
            assert!(may(&format!("a.{name}")), "{name}");
        }
        assert!(may("README"), "an unknown type");
        for name in "png jpg gif webp avif apng jxl woff woff2 mp3 m4a flac ogg opus mp4 m4v webm mkv \
            zip gz tgz bz2 xz 7z rar zst jar epub"
            .split_whitespace()
        {
            assert!(!may(&format!("a.{name}")), "{name}");
        }
        for (own, expected) in [
            ("IMAGE/Png ; a=b", false),
            ("Video/x", false),
            ("AUDIO/x", false),
            ("Audio/WAV", true),
            ("audio", true),
            ("image/x", true),
            ("", true),
        ] {
            assert_eq!(may_compress(FieldValue::from_static(own)), expected, "{own}");
        }
    }
}
