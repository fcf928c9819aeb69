//! The server's own pages: their frame, the page that says what is wrong, and how text becomes HTML. A page asks for
//! nothing else and runs nothing.

use http_core::{FieldName, FieldValue, Status};

use crate::push;
use http_server::Response;

const HTML: FieldValue<'static> = FieldValue::from_static("text/html; charset=utf-8");

/// Should a name ever get out of its quotes, it could neither run, nor load, nor send anything (V17).
const POLICY: FieldValue<'static> = FieldValue::from_static(
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'self'",
);

const STYLE: &str = "\
    :root{color-scheme:light dark}\
    body{font:1rem/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}\
    h1{font-size:1.4rem;overflow-wrap:anywhere}";

/// A whole page; `main` is HTML already, `title` is text and the heading too.
pub(crate) fn frame(title: &str, main: &str) -> String {
    let heading = format!("<h1>{}</h1>\n", escape(title));
    end(begin(title, "") + &heading + main)
}

/// A page up to its heading, with more style.
pub(crate) fn begin(title: &str, style: &str) -> String {
    let title = escape(title);
    // The icon is there so that browsers do not ask for one.
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>{title}</title>\n\
         <link rel=\"icon\" href=\"data:,\">\n<style>{STYLE}{style}</style>\n</head>\n<body>\n<main>\n"
    )
}

/// A page to its end.
pub(crate) fn end(page: String) -> String {
    page + "</main>\n</body>\n</html>\n"
}

/// A page as a reply.
pub(crate) fn reply(status: Status, page: String) -> Response {
    let mut reply = Response::bytes(HTML, page).status(status);
    push(reply.headers_mut(), FieldName::from_static("Content-Security-Policy"), POLICY);
    reply
}

/// A page that says what happened, and what can be done (R1945-9.4b). Nothing of the request is repeated in it.
pub(crate) fn error(status: Status, why: &str) -> Response {
    let advice = advice(status);
    reply(status, frame(&status.to_string(), &format!("<p>{}</p>\n<p>{advice}</p>\n", escape(why))))
}

/// What a reader can do about it, as HTML.
fn advice(status: Status) -> &'static str {
    match status.code() {
        401 => "Load the page again to give a name and a password.",
        403 => "If it should be open to you, tell whoever runs this server.",
        404 => "Is the address spelt right? The <a href=\"/\">first page</a> may lead to it.",
        405 | 501 => "Files are here to be read: with GET or HEAD.",
        408 => "Load the page again.",
        412 => "Load the file again to see its present state.",
        416 => "Ask for the whole file, or for a part that it has.",
        431 | 414 => "Make the address shorter, or remove the cookies of this site.",
        503 => "In a moment it will work again.",
        500.. => "Try again later. If it stays so, tell whoever runs this server.",
        _ => "The program that asked has made a mistake; another one may do better.",
    }
}

/// Text as HTML, in an element or between quotes (V17).
pub(crate) fn escape(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    push_escaped(&mut html, text);
    html
}

/// Appends text as HTML, likewise.
pub(crate) fn push_escaped(html: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            c => html.push(c),
        }
    }
}
