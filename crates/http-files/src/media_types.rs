//! The media type of a file: the owner's for its name, then that of its name or extension, then what its first bytes
//! tell. Text is labelled with its charset. It also says which types do not compress, because they are compressed already.

mod charset;
#[cfg(feature = "type-detection")]
mod detect;
mod table;

use std::borrow::Cow;

use http_core::FieldValue;

/// How many bytes of a file its type depends on: as many as browsers search for a declaration of the encoding.
pub(crate) const START: usize = 1024;

pub(crate) const UNKNOWN: FieldValue<'static> = FieldValue::from_static("application/octet-stream");

/// Types whose content is compressed already, beside all of `audio/` and `video/` and those that end with `+zip`.
const COMPRESSED: &[&str] = &[
    "application/gzip",
    "application/java-archive",
    "application/vnd.android.package-archive",
    "application/vnd.comicbook-rar",
    "application/vnd.debian.binary-package",
    "application/vnd.ms-cab-compressed",
    "application/vnd.rar",
    "application/x-7z-compressed",
    "application/x-apple-diskimage",
    "application/x-bzip",
    "application/x-bzip2",
    "application/x-compress",
    "application/x-gzip",
    "application/x-lz4",
    "application/x-lzip",
    "application/x-lzma",
    "application/x-rar-compressed",
    "application/x-redhat-package-manager",
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
    /// Names or extensions, and their types, the one set last first.
    own: Vec<(String, Vec<u8>)>,
    /// The owner's charset for text. The empty string means none.
    charset: Option<String>,
}

/// How the content of a file is described.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ContentType<'a> {
    pub(crate) media_type: Cow<'a, [u8]>,
    /// The content coding that belongs to the file's format.
    pub(crate) coding: Option<&'static str>,
}

impl MediaTypes {
    pub(crate) fn new() -> MediaTypes {
        MediaTypes { own: Vec::new(), charset: None }
    }

    /// Sets the type of files with this name, and of names that end with a dot and this.
    pub(crate) fn set(&mut self, name: &str, value: FieldValue<'_>) {
        self.own.insert(0, (name.to_owned(), value.as_bytes().to_vec()));
    }

    /// Sets the charset of text. The empty string means none.
    pub(crate) fn set_charset(&mut self, charset: &str) {
        self.charset = Some(charset.to_owned());
    }

    /// The type of the file at this path, `application/octet-stream` if it is unknown (R1945-7.2.1). `read_start` reads
    /// its first [`START`] bytes, if they matter.
    pub(crate) fn of<'a, E>(
        &self,
        path: &[u8],
        read_start: impl Fn() -> Result<Cow<'a, [u8]>, E>,
    ) -> Result<ContentType<'_>, E> {
        let name = path.rsplit(|&c| c == b'/').next().unwrap_or_default();
        let plain = |media_type| ContentType { media_type, coding: None };
        if let Some(own) = self.own_type(name) {
            return Ok(plain(own.into()));
        }
        Ok(match table::of_name(name) {
            Some("text/html") if self.charset.is_none() && charset::is_declared(&read_start()?) => {
                plain(b"text/html".into()) // a parameter would override the file
            }
            // It may have been unpacked and kept its name.
            Some(svg @ "image/svg+xml") if has_suffix(name, b".svgz") && read_start()?.starts_with(b"\x1f\x8b") => {
                ContentType { media_type: svg.as_bytes().into(), coding: Some("gzip") }
            }
            Some(known) => plain(self.labelled(known)),
            None if has_extension(name) => plain(UNKNOWN.as_bytes().into()),
            None => plain(self.detect(read_start)?),
        })
    }

    /// The type that a file with this name has whatever its content is, without the charset. `None` if nothing is known.
    pub(crate) fn of_name(&self, name: &[u8]) -> Option<&[u8]> {
        self.own_type(name).or_else(|| table::of_name(name).map(str::as_bytes))
    }

    /// The owner's type for the whole name, or for the longest end of it behind a dot.
    fn own_type(&self, name: &[u8]) -> Option<&[u8]> {
        let ends = name.iter().enumerate().filter(|(_, c)| **c == b'.').map(|(dot, _)| &name[dot + 1..]);
        let mut ends = [name].into_iter().chain(ends);
        ends.find_map(|end| {
            let own = self.own.iter().find(|(known, _)| known.as_bytes().eq_ignore_ascii_case(end));
            own.map(|(_, media_type)| &**media_type)
        })
    }

    fn labelled(&self, media_type: &'static str) -> Cow<'static, [u8]> {
        match self.charset.as_deref().unwrap_or("utf-8") {
            charset if media_type.starts_with("text/") && !charset.is_empty() => {
                format!("{media_type}; charset={charset}").into_bytes().into()
            }
            _ => media_type.as_bytes().into(),
        }
    }

    #[cfg(feature = "type-detection")]
    fn detect<'a, E>(&self, read_start: impl Fn() -> Result<Cow<'a, [u8]>, E>) -> Result<Cow<'static, [u8]>, E> {
        use detect::Content;
        Ok(match detect::detect(&read_start()?) {
            Some(Content::OtherText) if self.charset.is_none() => b"text/plain".into(), // not in UTF-8
            Some(Content::Utf8Text | Content::OtherText) => self.labelled("text/plain"),
            Some(Content::LikeExtension(extension)) => {
                table::of_extension(extension).map_or(UNKNOWN.as_bytes(), str::as_bytes).into()
            }
            None => UNKNOWN.as_bytes().into(),
        })
    }

    #[cfg(not(feature = "type-detection"))]
    #[expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "the other one uses them")]
    fn detect<'a, E>(&self, _: impl Fn() -> Result<Cow<'a, [u8]>, E>) -> Result<Cow<'static, [u8]>, E> {
        Ok(UNKNOWN.as_bytes().into())
    }
}

fn has_suffix(name: &[u8], suffix: &[u8]) -> bool {
    name.len() >= suffix.len() && name[name.len() - suffix.len()..].eq_ignore_ascii_case(suffix)
}

/// A dot at the start makes a name hidden, and a number is that of a version or of an old log: neither is an extension.
fn has_extension(name: &[u8]) -> bool {
    let dot = name.iter().skip(1).rposition(|&c| c == b'.');
    dot.is_some_and(|dot| !name[dot + 2..].iter().all(u8::is_ascii_digit))
}

/// Whether a content coding can make a file of this type smaller. An unknown type may be compressible.
pub(crate) fn may_compress(media_type: FieldValue<'_>) -> bool {
    let name = media_type.as_bytes().split(|&c| c == b';').next().unwrap_or_default().trim_ascii_end();
    let is = |known: &&str| name.eq_ignore_ascii_case(known.as_bytes());
    let begins_with = |prefix: &[u8]| name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix));
    let is_recording = begins_with(b"audio/") && !UNCOMPRESSED_AUDIO.iter().any(is) || begins_with(b"video/");
    !is_recording && !has_suffix(name, b"+zip") && !COMPRESSED.iter().any(is)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;

    fn with_coding(types: &MediaTypes, path: &[u8], start: &[u8]) -> (String, Option<&'static str>) {
        let Ok(found) = types.of(path, || Ok::<_, Infallible>(start.into()));
        (String::from_utf8(found.media_type.into_owned()).unwrap(), found.coding)
    }

    fn of(types: &MediaTypes, path: &str, start: &str) -> String {
        with_coding(types, path.as_bytes(), start.as_bytes()).0
    }

    const TEXT: &str = "text/plain; charset=utf-8";

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
            ("a.cur", "image/x-icon"),
            ("a.txt", TEXT),
            ("a.rs", TEXT),
            ("a.pdf", "application/pdf"),
            ("a.wasm", "application/wasm"),
            ("a.woff", "font/woff"),
            ("a.ttf", "font/ttf"),
            ("a.otf", "font/otf"),
            ("a.m4a", "audio/mp4"),
            ("a.m4v", "video/mp4"),
            ("a.m3u8", "application/vnd.apple.mpegurl"),
            ("a.m4s", "video/iso.segment"),
            ("a.mid", "audio/midi"),
            ("a.apng", "image/apng"),
            ("a.jxl", "image/jxl"),
            ("a.htm", "text/html; charset=utf-8"),
            ("a.xhtml", "application/xhtml+xml"),
            ("a.cjs", "text/javascript; charset=utf-8"),
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
            ("a.tgz", "application/gzip"),
            ("a.zst", "application/zstd"),
            ("a.deb", "application/vnd.debian.binary-package"),
            ("a.rpm", "application/x-redhat-package-manager"),
            ("a.iso", "application/x-iso9660-image"),
            ("a.csv", "text/csv; charset=utf-8"),
            ("a.md", "text/markdown; charset=utf-8"),
            ("a.vcf", "text/vcard; charset=utf-8"),
            ("a.xml", "application/xml"),
            ("a.xsl", "application/xslt+xml"),
            ("a.vml", "application/xml"),
            ("a.vtt", "text/vtt; charset=utf-8"),
            ("a.webmanifest", "application/manifest+json"),
            (".well-known/apple-app-site-association", "application/json"),
            ("a.js.map", "application/json"),
            ("a.cer", "application/pkix-cert"),
            ("a.crl", "application/pkix-crl"),
            ("a.no-such-type", "application/octet-stream"),
        ] {
            assert_eq!(of(&MediaTypes::new(), path, ""), expected, "{path}");
        }
        assert_eq!(with_coding(&MediaTypes::new(), b"a.\xff", b"").0, "application/octet-stream");
        assert_eq!(with_coding(&MediaTypes::new(), b"\xff.png", b"").0, "image/png");
    }

    #[test]
    fn documents_and_sources_are_text() {
        for name in "README LICENSE LICENSE.MIT readme.Debian COPYING.LESSER CHANGELOG NEWS.old Makefile GNUmakefile \
            Makefile.am Dockerfile dockerfile.dev SHA256SUMS MD5SUMS go.mod go.sum Cargo.lock Gemfile \
            a.go a.rs a.py a.c a.h a.cc a.hpp a.java a.kt a.swift a.rb a.pl a.lua a.php a.hs a.scala a.zig a.nim a.ts \
            a.tsx a.vue a.scss a.sql a.sh a.bash a.zsh a.fish a.ps1 a.bat a.patch a.diff a.jsonl a.ndjson a.toml \
            a.yaml a.yml a.ini a.conf a.cfg a.properties a.env a.log a.txt a.text a.tex a.bib a.rst a.adoc a.org \
            a.proto a.graphql a.tf a.nix a.cmake a.gradle a.mk a.m4 a.asm a.S a.v a.vhdl a.f90 a.jl a.R a.clj a.ex a.erl \
            a.ml a.el a.lisp a.dart a.srt a.po a.asc a.sha256 a.md5 a.service a.tcl a.awk a.1st.txt a.PY"
            .split_whitespace()
        {
            assert_eq!(of(&MediaTypes::new(), name, "\0"), TEXT, "{name}");
        }
    }

    #[test]
    fn name_without_extension_says_nothing_about_its_directory() {
        for path in ["directory.html/file", "README/file", "README.html/file"] {
            assert_eq!(of(&MediaTypes::new(), path, "\0"), "application/octet-stream", "{path}");
        }
        assert_eq!(of(&MediaTypes::new(), "README.html", "\0"), "text/html; charset=utf-8");
    }

    #[cfg(feature = "type-detection")]
    #[test]
    fn first_bytes_tell_what_a_file_without_extension_is() {
        let types = MediaTypes::new();
        let unknown = "application/octet-stream".to_owned();
        for (start, expected) in [
            (&b"<!DOCTYPE html><script>alert(1)</script>"[..], TEXT),
            (b"<svg xmlns='http://www.w3.org/2000/svg'/>", TEXT),
            (b"", TEXT),
            (b"caf\xe9 in Latin-1", "text/plain"),
            (b"%PDF-1.7\n", "application/pdf"),
            (b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR", "image/png"),
            (b"\x1f\x8b\x08\0\0\0\0\0", "application/gzip"),
            (b"\x7fELF\x02\x01\x01\0", &unknown),
        ] {
            for name in ["unknown", ".hidden", "a.b/unknown", "unknown.", "old.log.1", "program-1.2"] {
                assert_eq!(with_coding(&types, name.as_bytes(), start).0, expected, "{name}: {}", start.escape_ascii());
            }
            // With an extension, known or not, they say nothing.
            assert_eq!(with_coding(&types, b"a.unknown", start).0, unknown);
        }
        let mut types = MediaTypes::new();
        types.set_charset("koi8-r");
        assert_eq!(with_coding(&types, b"unknown", b"\xd4\xc5\xcb\xd3\xd4").0, "text/plain; charset=koi8-r");
        types.set("unknown", FieldValue::from_static("a/b"));
        assert_eq!(of(&types, "unknown", "text"), "a/b");
    }

    #[test]
    fn html_that_declares_its_encoding_gets_no_charset_unless_the_owner_sets_one() {
        let page = "<!DOCTYPE html><meta charset=koi8-r>";
        let mut types = MediaTypes::new();
        assert_eq!(of(&types, "a.html", page), "text/html");
        assert_eq!(of(&types, "a.html", "<p>no declaration"), "text/html; charset=utf-8");
        assert_eq!(of(&types, "a.css", page), "text/css; charset=utf-8");
        for (charset, expected) in [("utf-8", "text/html; charset=utf-8"), ("", "text/html")] {
            types.set_charset(charset);
            assert_eq!(of(&types, "a.html", page), expected);
        }
        types.set("html", FieldValue::from_static("text/html; charset=x"));
        assert_eq!(of(&types, "a.html", page), "text/html; charset=x");
    }

    #[test]
    fn compressed_svg_has_its_coding_if_it_is_compressed() {
        let mut types = MediaTypes::new();
        for (name, start, coding) in [
            ("a.svgz", &b"\x1f\x8b\x08"[..], Some("gzip")),
            ("A.SVGZ", b"\x1f\x8b\x08", Some("gzip")),
            ("a.svgz", b"<svg/>", None),
            ("a.svg", b"\x1f\x8b\x08", None),
        ] {
            assert_eq!(with_coding(&types, name.as_bytes(), start), ("image/svg+xml".into(), coding), "{name}");
        }
        types.set("svgz", FieldValue::from_static("a/b"));
        assert_eq!(with_coding(&types, b"a.svgz", b"\x1f\x8b\x08"), ("a/b".into(), None));
    }

    #[test]
    fn owner_overrides_types_and_charset() {
        let mut types = MediaTypes::new();
        for (name, value) in [
            ("html", "text/x-first"),
            ("HTML", "text/x-owner"),
            ("gz", "a/gz"),
            ("tar.gz", "a/tar-gz"),
            ("site.tar.gz", "a/site"),
            ("Makefile", "a/makefile"),
            ("txt", "a/txt"),
            ("robots.txt", "a/robots"),
        ] {
            types.set(name, FieldValue::from_static(value));
        }
        for (name, expected) in [
            ("a.Html", "text/x-owner"),
            ("a.gz", "a/gz"),
            ("a.tar.gz", "a/tar-gz"),
            ("site.tar.gz", "a/site"),
            ("d/makefile", "a/makefile"),
            ("a.makefile", "a/makefile"),
            ("a.txt", "a/txt"),
            ("Robots.txt", "a/robots"), // the whole name wins, whichever is set last
            ("CMakeLists.txt", "a/txt"),
        ] {
            assert_eq!(of(&types, name, ""), expected, "{name}");
        }
        types.set("txt", FieldValue::from_static("a/later"));
        assert_eq!((of(&types, "robots.txt", ""), of(&types, "a.txt", "")), ("a/robots".into(), "a/later".into()));
        types.set_charset("koi8-r");
        assert_eq!((&*of(&types, "a.css", ""), &*of(&types, "a.png", "")), ("text/css; charset=koi8-r", "image/png"));
        types.set_charset("");
        assert_eq!(of(&types, "a.css", ""), "text/css");
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
        let types = MediaTypes::new();
        // Every extension of three letters or digits.
        for number in 0..36_u32.pow(3) {
            let digit = |place: u32| char::from_digit(number / 36_u32.pow(place) % 36, 36).unwrap();
            let name = format!("a.{}{}{}", digit(2), digit(1), digit(0));
            let of = of(&types, &name, "");
            known += usize::from(of.as_bytes() != UNKNOWN.as_bytes());
            let mut parts = of.split("; ");
            assert!(parts.next().is_some_and(|media_type| is_pair(media_type, '/')), "{name}: {of:?}");
            assert!(parts.all(|parameter| is_pair(parameter, '=')), "{name}: {of:?}");
        }
        assert!(known > 500, "only {known} types are known");
    }

    #[test]
    fn only_types_that_are_not_compressed_already_may_compress() {
        let types = MediaTypes::new();
        let may = |path: &str| may_compress(FieldValue::new(of(&types, path, "\0").as_bytes()).unwrap());
        for name in
            "html css js json svg xml txt md csv wasm ttf otf ico bmp tiff pdf map wav mid m3u m3u8 none".split(' ')
        {
            assert!(may(&format!("a.{name}")), "{name}");
        }
        assert!(may("unknown"), "an unknown type");
        for name in "png jpg gif webp avif apng jxl woff woff2 mp3 m4a flac ogg opus mp4 m4v webm mkv \
            zip gz tgz tbz2 txz bz2 xz 7z rar zst lz lz4 lzma jar epub cbz cbr deb rpm cab dmg usdz"
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
            ("a/b+ZIP", false),
            ("", true),
        ] {
            assert_eq!(may_compress(FieldValue::from_static(own)), expected, "{own}");
        }
    }
}
