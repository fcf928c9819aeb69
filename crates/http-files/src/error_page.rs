//! The built-in error page: the status, one sentence about what happened and what the reader can do about it (R1945-9.4b),
//! and a link home. It repeats nothing of the request.

use http_core::Status;
use http_server::Response;

use crate::html::Html;

/// `path` is that of the request, undecoded, if there is one. The link home climbs from there, because a proxy may serve
/// the files under a longer path.
pub(crate) fn error_page(status: Status, message: &str, path: Option<&str>) -> Response {
    let mut page = Html::page(status, "");
    page.raw("<h1>").text(status).raw("</h1>\n<p>").text(message.trim_end_matches('.')).raw(advice(status));
    page.raw("</p>\n<p><a href=\"");
    match path {
        Some(path) => {
            let levels = path.bytes().filter(|&c| c == b'/').count().saturating_sub(1);
            page.raw("./").text("../".repeat(levels))
        }
        None => page.raw("/"),
    };
    page.raw("\">Go to the home page</a></p>\n");
    page.into_response(status)
}

/// The end of the sentence.
fn advice(status: Status) -> &'static str {
    match status.code() {
        401 => "; reload the page to enter them.",
        403 => "; if it should be, tell the owner of this site.",
        405 | 501 => "; files can only be read.",
        408 => "; reload the page.",
        412 => "; reload it to get its current version.",
        414 | 431 => "; shorten the address, or delete the cookies of this site.",
        416 => "; request the whole file, or a range inside it.",
        503 => "; try again in a moment.",
        505 => ".",
        500.. => "; try again later, and if it does not help, tell the owner of this site.",
        _ => ".",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_server::Body;

    #[test]
    fn every_status_has_one_sentence() {
        for code in (400..=431).chain(500..=511) {
            let status = Status::new(code).unwrap();
            let response = error_page(status, "It is so.", Some("/a/b"));
            let Body::Bytes(page) = response.body_ref() else { panic!("{response:?}") };
            let page = str::from_utf8(page).unwrap();
            let sentence = page.split("<p>").nth(1).unwrap().split("</p>").next().unwrap();
            assert!(sentence.starts_with("It is so") && sentence.ends_with('.'), "{sentence}");
            assert_eq!(sentence.matches('.').count(), 1, "{sentence}");
            assert!(page.contains(&format!("<h1>{status}</h1>")) && page.contains("<a href=\"./../\">"), "{page}");
        }
    }
}
