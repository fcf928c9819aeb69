//! The server's own pages: their frame, the page that says what is wrong, and how text becomes HTML.

use http_core::{FieldValue, Status};

use crate::handler::Reply;

const HTML: FieldValue<'static> = FieldValue::from_static("text/html; charset=utf-8");

const STYLE: &str = "body{font:1rem/1.5 system-ui,sans-serif;max-width:50rem;margin:2rem auto;padding:0 1rem}\
    :root{color-scheme:light dark}ul{list-style:none;padding:0}";

/// A whole page; `main` is HTML already, `title` is text.
pub(super) fn frame(title: &str, main: &str) -> String {
    let title = escape(title);
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>{title}</title>\n<style>{STYLE}</style>\n\
         </head>\n<body>\n<h1>{title}</h1>\n{main}</body>\n</html>\n"
    )
}

/// A page as a reply.
pub(super) fn reply(status: Status, page: String) -> Reply {
    Reply { status, ..Reply::octets(HTML, page.into_bytes()) }
}

/// A page that says what happened (R1945-9.4b). Nothing of the request is repeated in it.
pub(super) fn error(status: Status, why: &str) -> Reply {
    reply(status, frame(&status.to_string(), &format!("<p>{}</p>\n", escape(why))))
}

/// Text as HTML, in an element or between quotes (V17).
pub(super) fn escape(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
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
    html
}
