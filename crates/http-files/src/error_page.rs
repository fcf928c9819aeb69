//! The built-in error page: what happened, and what the reader can do about it (R1945-9.4b). It repeats nothing of the
//! request, so the advice can be markup.

use http_core::Status;
use http_server::Response;

use crate::html::Html;

pub(crate) fn error_page(status: Status, message: &str) -> Response {
    let mut page = Html::page(status, "");
    page.raw("<h1>").text(status).raw("</h1>\n<p>").text(message).raw("</p>\n<p>").raw(advice(status)).raw("</p>\n");
    page.into_response(status)
}

fn advice(status: Status) -> &'static str {
    match status.code() {
        401 => "Reload the page to enter a user name and a password.",
        403 => "If you should have access, contact the administrator.",
        404 => "Check the address, or start at the <a href=\"/\">home page</a>.",
        405 | 501 => "Files can only be read: use GET or HEAD.",
        408 => "Reload the page.",
        412 => "Reload the file to get its current version.",
        414 | 431 => "Shorten the address, or delete the cookies of this site.",
        416 => "Request the whole file, or a range inside it.",
        503 => "The server is busy. Try again in a moment.",
        500.. => "Try again later. If the error persists, contact the administrator.",
        _ => "The request was malformed.",
    }
}
