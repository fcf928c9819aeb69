//! The built-in error page: what happened, and what the reader can do about it (R1945-9.4b). It repeats nothing of the
//! request.

use http_core::Status;
use http_server::Response;

use crate::html::Html;

/// `path` is that of the request, undecoded, if there is one. The link home climbs from there, because a proxy may serve
/// the files under a longer path.
pub(crate) fn error_page(status: Status, message: &str, path: Option<&str>) -> Response {
    let mut page = Html::page(status, "");
    page.raw("<h1>").text(status).raw("</h1>\n<p>").text(message).raw("</p>\n<p>").raw(advice(status));
    if let (404, Some(path)) = (status.code(), path) {
        let levels = path.bytes().filter(|&c| c == b'/').count().saturating_sub(1);
        page.raw(" Or start at the <a href=\"./").text("../".repeat(levels)).raw("\">home page</a>.");
    }
    page.raw("</p>\n");
    page.into_response(status)
}

fn advice(status: Status) -> &'static str {
    match status.code() {
        401 => "Reload the page to enter a user name and a password.",
        403 => "If you should have access, contact the administrator.",
        404 => "Check the address.",
        405 | 501 => "Files can only be read: use GET or HEAD.",
        408 => "Reload the page.",
        412 => "Reload the file to get its current version.",
        414 | 431 => "Shorten the address, or delete the cookies of this site.",
        416 => "Request the whole file, or a range inside it.",
        503 => "Try again in a moment.",
        500.. => "Try again later. If the error persists, contact the administrator.",
        _ => "The request was malformed.",
    }
}
