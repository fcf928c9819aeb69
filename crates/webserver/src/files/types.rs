//! Content types by extension: those of the `mime_guess` crate, corrected where browsers have moved on, and labelled as
//! UTF-8 where they are text.

use http_core::FieldValue;

const OCTETS: FieldValue<'static> = FieldValue::from_static("application/octet-stream");

/// Where the crate is wrong for the web of today, or knows nothing; text carries its charset (R1945-3.4).
const CORRECTED: &[(&str, &str)] = &[
    ("cer", "application/pkix-cert"),
    ("crl", "application/pkix-crl"),
    ("csv", "text/csv; charset=utf-8"),
    ("ico", "image/x-icon"),
    ("js", "text/javascript; charset=utf-8"),
    ("map", "application/json"),
    ("md", "text/markdown; charset=utf-8"),
    ("mjs", "text/javascript; charset=utf-8"),
    ("ts", "text/plain; charset=utf-8"),
    ("webmanifest", "application/manifest+json"),
    ("xml", "application/xml"),
    ("zst", "application/zstd"),
];

/// The type of a file with this path; `application/octet-stream` if nothing is known (R1945-7.2.1).
pub(super) fn of(path: &[u8]) -> FieldValue<'static> {
    let name = path.rsplit(|&c| c == b'/').next().unwrap_or_default();
    let Some(dot) = name.iter().rposition(|&c| c == b'.') else { return OCTETS };
    let Ok(extension) = str::from_utf8(&name[dot + 1..]) else { return OCTETS };
    if let Some((_, corrected)) = CORRECTED.iter().find(|(known, _)| known.eq_ignore_ascii_case(extension)) {
        return FieldValue::new(corrected.as_bytes()).unwrap_or(OCTETS);
    }
    match mime_guess::from_ext(extension).first_raw() {
        Some(text) if text.starts_with("text/") => with_charset(text),
        Some(other) => FieldValue::new(other.as_bytes()).unwrap_or(OCTETS),
        None => OCTETS,
    }
}

/// The types of text are few, so each labelled form is written out.
fn with_charset(text: &'static str) -> FieldValue<'static> {
    match text {
        "text/html" => FieldValue::from_static("text/html; charset=utf-8"),
        "text/css" => FieldValue::from_static("text/css; charset=utf-8"),
        "text/xml" => FieldValue::from_static("text/xml; charset=utf-8"),
        "text/calendar" => FieldValue::from_static("text/calendar; charset=utf-8"),
        "text/vcard" => FieldValue::from_static("text/vcard; charset=utf-8"),
        "text/vtt" => FieldValue::from_static("text/vtt; charset=utf-8"),
        // Source code of any kind, logs, notes: to be read in the browser.
        _ => FieldValue::from_static("text/plain; charset=utf-8"),
    }
}

#[cfg(test)]
mod tests {
    // R1945-3.4, R1945-7.2.1
    #[test]
    fn the_usual_types() {
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
            ("favicon.ico", "image/x-icon"),
            ("a.txt", "text/plain; charset=utf-8"),
            ("a.rs", "text/plain; charset=utf-8"),
            ("a.pdf", "application/pdf"),
            ("a.wasm", "application/wasm"),
            ("a.woff2", "font/woff2"),
            ("a.mp4", "video/mp4"),
            ("a.zip", "application/zip"),
            ("a.tar.gz", "application/gzip"),
            ("a.crl", "application/pkix-crl"),
            ("README", "application/octet-stream"),
            ("a.", "application/octet-stream"),
            ("a.no-such-type", "application/octet-stream"),
            ("folder.html/file", "application/octet-stream"),
        ] {
            assert_eq!(super::of(path.as_bytes()).as_str(), Some(expected), "{path}");
        }
        assert_eq!(super::of(b"a.\xff"), super::OCTETS);
    }

    // R1945-3.6: type, subtype and parameters are tokens, with a blank behind a semicolon and nowhere else.
    #[test]
    fn types_are_written_without_blanks_within() {
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
            let of = super::of(name.as_bytes());
            known += usize::from(of != super::OCTETS);
            let mut parts = of.as_str().unwrap().split("; ");
            assert!(parts.next().is_some_and(|media_type| is_pair(media_type, '/')), "{name}: {of:?}");
            assert!(parts.all(|parameter| is_pair(parameter, '=')), "{name}: {of:?}");
        }
        assert!(known > 500, "{known} types are not all of them");
    }
}
