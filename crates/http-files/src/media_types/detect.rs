//! What a file without an extension is, by its first bytes: text, or a format that browsers show or save. HTML, SVG and
//! scripts are text here, so whoever may add a file without an extension cannot make browsers run it.

use super::START;

/// The formats, by their usual extension.
const FORMATS: &[&str] = &[
    "7z", "aac", "aiff", "amr", "avi", "avif", "bmp", "bz2", "cab", "deb", "epub", "flac", "flv", "gif", "gz", "heif",
    "ico", "jp2", "jpg", "jxl", "lz", "lz4", "m4a", "m4v", "midi", "mkv", "mobi", "mov", "mp3", "mp4", "mpg", "ogg",
    "opus", "pdf", "png", "rar", "rpm", "tar", "tif", "wav", "webm", "webp", "wmv", "xz", "zip", "zst",
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    Utf8Text,
    OtherText,
    /// What files with this extension contain.
    LikeExtension(&'static str),
}

pub(super) fn detect(start: &[u8]) -> Option<Content> {
    if start.starts_with(b"%PDF-") {
        return Some(Content::LikeExtension("pdf")); // which may look like text
    }
    let is_utf16 = start.starts_with(b"\xfe\xff") || start.starts_with(b"\xff\xfe");
    // Before the magic numbers: some are two letters, as in "BMW".
    if is_utf16 || !start.iter().any(is_binary) {
        return Some(if is_utf8(start) { Content::Utf8Text } else { Content::OtherText });
    }
    let extension = infer::get(start)?.extension();
    FORMATS.contains(&extension).then_some(Content::LikeExtension(extension))
}

/// The "binary data bytes" of the MIME Sniffing standard.
fn is_binary(c: &u8) -> bool {
    matches!(c, 0..=0x08 | 0x0b | 0x0e..=0x1a | 0x1c..=0x1f)
}

/// Whether it is UTF-8. If the file goes on, it may end within a character.
fn is_utf8(start: &[u8]) -> bool {
    str::from_utf8(start).map_or_else(|error| error.error_len().is_none() && start.len() == START, |_| true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use Content::{LikeExtension, OtherText, Utf8Text};

    #[test]
    fn first_bytes_tell_text_and_formats() {
        let cut = ["x".repeat(START - 1).as_bytes(), b"\xc3"].concat();
        for (start, expected) in [
            (&b""[..], Some(Utf8Text)),
            (b"#!/bin/sh\necho\n", Some(Utf8Text)),
            (b"\x1b[1mbold\x1b[0m\x0c\r\n\t", Some(Utf8Text)),
            ("\u{feff}text with a mark".as_bytes(), Some(Utf8Text)),
            (&cut, Some(Utf8Text)), // the rest of the character follows
            (b"caf\xe9 in Latin-1", Some(OtherText)),
            (b"\xff\xfea\0b\0", Some(OtherText)),
            (b"BMW, GIF and ID3 are no formats", Some(Utf8Text)),
            (b"a\0b", None),
            (b"%PDF-1.7\n1 0 obj", Some(LikeExtension("pdf"))),
            (b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR", Some(LikeExtension("png"))),
            (b"\xff\xd8\xff\xe0\0\x10JFIF\0", Some(LikeExtension("jpg"))),
            (b"GIF89a\x01\0\x01\0", Some(LikeExtension("gif"))),
            (b"RIFF\x1a\0\0\0WEBPVP8 ", Some(LikeExtension("webp"))),
            (b"\0\0\0\x20ftypisom\0\0\x02\0isomiso2avc1mp41", Some(LikeExtension("mp4"))),
            (b"ID3\x04\0\0\0\0\0\0", Some(LikeExtension("mp3"))),
            (b"OggS\0\x02\0\0\0\0\0\0\0\0", Some(LikeExtension("ogg"))),
            (b"PK\x03\x04\x14\0\0\0", Some(LikeExtension("zip"))),
            (b"\x1f\x8b\x08\0\0\0\0\0", Some(LikeExtension("gz"))),
            (b"\xfd7zXZ\0\0\x04", Some(LikeExtension("xz"))),
            (b"\x28\xb5\x2f\xfd\x04\0", Some(LikeExtension("zst"))),
        ] {
            assert_eq!(detect(start), expected, "{}", start.escape_ascii());
        }
    }

    #[test]
    fn nothing_that_runs_is_detected() {
        for start in [
            "<!DOCTYPE html><script>alert(1)</script>",
            " \n<HTML>",
            "<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>",
            "<?xml version='1.0'?><html xmlns='http://www.w3.org/1999/xhtml'/>",
            "alert(1)",
            "import 'a'",
            "MIME-Version: 1.0\nContent-Type: multipart/related",
        ] {
            assert_eq!(detect(start.as_bytes()), Some(Utf8Text), "{start}");
            // With a byte that no text has, it is nothing at all.
            assert_eq!(detect(format!("{start}\0").as_bytes()), None, "{start}");
        }
        for start in [
            &b"\x7fELF\x02\x01\x01\0"[..],
            b"MZ\x90\0",
            b"\0asm\x01\0\0\0",
            b"CWS\x09\0\0\0\0",
            b"\xca\xfe\xba\xbe\0\0",
        ] {
            assert_eq!(detect(start), None, "{}", start.escape_ascii());
        }
    }

    // A page behind the magic number of an image is that image, and shown as a broken one.
    #[test]
    fn pages_in_disguise_are_what_they_begin_with() {
        assert_eq!(detect(b"GIF89a\0<script>alert(1)</script>"), Some(LikeExtension("gif")));
        assert_eq!(detect(b"GIF89a<script>alert(1)</script>"), Some(Utf8Text));
    }

    #[test]
    fn every_start_of_bytes_is_read_without_panic() {
        let mut seed = 1_u64;
        let mut random = || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) as usize
        };
        let magic: [&[u8]; 8] =
            [b"", b"PK\x03\x04", b"\0\0\0\x20ftyp", b"RIFF", b"\x1a\x45\xdf\xa3", b"OggS", b"!<arch>\n", b"ustar"];
        for _ in 0..20_000 {
            let mut start = magic[random() % magic.len()].to_vec();
            let length = random() % [4, 40, 400][random() % 3];
            start.extend(std::iter::repeat_with(|| random() as u8).take(length));
            detect(&start);
        }
    }
}
