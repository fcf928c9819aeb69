//! Which requests the fallback answers, if their path leads nowhere: a browser that opens a page of a single-page
//! application. A script or a program that asks for something else is better served by a 404.

use http_core::{FieldName, Fields, header};

use crate::media_types::MediaTypes;

const SEC_FETCH_MODE: FieldName<'static> = FieldName::from_static("Sec-Fetch-Mode");

/// Whether the client opens a page: it asks for HTML, or it navigates and accepts HTML. (`*/*` alone is also what scripts and
/// programs accept.)
pub(crate) fn is_navigation(fields: &Fields<'_>) -> bool {
    accepts(fields, "text/html").unwrap_or_else(|| {
        fields.get(SEC_FETCH_MODE).is_some_and(|mode| mode.as_bytes() == b"navigate")
            && match accepts(fields, "text/*").or_else(|| accepts(fields, "*/*")) {
                Some(accepts) => accepts,
                None => fields.get(header::ACCEPT).is_none(),
            }
    })
}

/// Whether Accept has this media range with a weight above 0. `None` if it does not have it.
fn accepts(fields: &Fields<'_>, range: &str) -> Option<bool> {
    // RFC 9110 section 12.4.2: a weight of 0 refuses it.
    let is_zero = |weight: &[u8]| !weight.is_empty() && weight.iter().all(|c| matches!(c, b'0' | b'.'));
    let refuses = |part: &[u8]| matches!(part, [b'q' | b'Q', b'=', weight @ ..] if is_zero(weight));
    let weights = fields.tokens(header::ACCEPT).filter_map(|element| {
        let mut parts = element.split(|&c| c == b';').map(<[u8]>::trim_ascii);
        let is_range = parts.next().is_some_and(|name| name.eq_ignore_ascii_case(range.as_bytes()));
        is_range.then(|| !parts.any(refuses))
    });
    weights.reduce(|one, other| one || other)
}

/// Whether a path has the extension of a type that is known and is not HTML. Applications have dots in the addresses of their
/// pages, too, such as `/v1.2` and `/users/jane.doe`.
pub(crate) fn is_asset(path: &[u8], media_types: &MediaTypes) -> bool {
    let name = path.rsplit(|&c| c == b'/').next().unwrap_or_default();
    name.contains(&b'.') && media_types.of_name(name).is_some_and(|known| !known.starts_with(b"text/html"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_core::{Date, FieldValue};
    use http_server::testing::with_request;

    // RFC 9110 section 12.5.1, and the Fetch Metadata specification
    #[test]
    fn navigation_asks_for_html_or_navigates_and_accepts_it() {
        const NAVIGATE: &str = "\r\nSec-Fetch-Mode: navigate";
        for (fields, expected) in [
            ("Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8", true),
            ("Accept: */*, TEXT/HTML;Q=0.001", true),
            ("Accept: application/json\r\nAccept: text/html", true),
            ("Accept: text/html;level=1;q=0, text/html;q=0.5", true),
            ("Accept: text/html ; q=", true),
            ("Accept: text/html;q=0", false),
            ("Accept: text/html; Q=0.000, */*", false),
            ("Accept: text/html-fragment, x/text/html", false),
            ("Accept: */*", false),
            ("Accept: text/*", false),
            ("Accept: application/json", false),
            ("Accept: application/json, text/plain, */*", false),
            ("Accept:", false),
            ("X: y", false),
            ("Sec-Fetch-Mode: cors\r\nAccept: */*", false),
            ("Sec-Fetch-Mode: navigate-not\r\nAccept: */*", false),
            ("Sec-Fetch-Mode: no-cors\r\nSec-Fetch-Dest: script", false),
            (&format!("X: y{NAVIGATE}"), true),
            (&format!("Accept: */*{NAVIGATE}"), true),
            (&format!("Accept: text/*;q=0.1{NAVIGATE}"), true),
            // It navigates, and says that HTML is of no use.
            (&format!("Accept: application/json{NAVIGATE}"), false),
            (&format!("Accept: text/html;q=0, */*{NAVIGATE}"), false),
            (&format!("Accept: text/*;q=0, */*{NAVIGATE}"), false),
            (&format!("Accept: */*;q=0{NAVIGATE}"), false),
        ] {
            let head = format!("GET / HTTP/1.0\r\n{fields}\r\n\r\n");
            let now = Date::from_unix(1_000_000_000).unwrap();
            let found = with_request(head.as_bytes(), now, |request| is_navigation(&request.head().fields));
            assert_eq!(found, expected, "{fields}");
        }
    }

    #[test]
    fn asset_has_the_extension_of_a_known_type_other_than_html() {
        let mut types = MediaTypes::new();
        types.set("page", FieldValue::from_static("text/html"));
        types.set("own", FieldValue::from_static("application/x-own"));
        for asset in [
            "/app.js",
            "/a/b.CSS",
            "/x.png",
            "/x.map",
            "/data.json",
            "/a.pdf",
            "/setup.exe",
            "/.env",
            "/x.dmg",
            "/a.own",
        ] {
            assert!(is_asset(asset.as_bytes(), &types), "{asset}");
        }
        for page in [
            "/",
            "/users/7",
            "/users/jane.doe",
            "/v1.2",
            "/a.js/",
            "/a.html",
            "/a.page",
            "/.unknown",
            "/README",
            "/a.",
            "/a.\u{e9}",
        ] {
            assert!(!is_asset(page.as_bytes(), &types), "{page}");
        }
    }
}
