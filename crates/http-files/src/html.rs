//! HTML that escapes by default, and the frame of the pages that the server writes itself. Such a page loads nothing
//! and runs nothing.

use std::fmt::{self, Display, Write};

use http_core::Status;
use http_server::Response;

/// If a name ever escaped its quotes, it could still neither run, load nor send anything (V17).
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; \
                      form-action 'none'; frame-ancestors 'self'";

const STYLE: &str = "\
    :root{color-scheme:light dark}\
    body{font:1rem/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}\
    h1{font-size:1.4rem;overflow-wrap:anywhere}";

/// A page that is being written. Only literals of this program get into it unescaped.
#[derive(Debug)]
pub(crate) struct Html(String);

impl Html {
    /// Starts a page, up to the beginning of its main content. `style` is added to the common style.
    pub(crate) fn page(title: impl Display, style: &'static str) -> Html {
        let mut page = Html(String::new());
        page.raw("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n")
            .raw("<meta name=\"viewport\" content=\"width=device-width\">\n<title>")
            .text(title)
            // Without an icon, browsers would request one.
            .raw("</title>\n<link rel=\"icon\" href=\"data:,\">\n<style>")
            .raw(STYLE)
            .raw(style)
            .raw("</style>\n</head>\n<body>\n<main>\n");
        page
    }

    /// Adds text, escaped for an element or a quoted attribute (V17).
    pub(crate) fn text(&mut self, text: impl Display) -> &mut Html {
        let _ = write!(Escape(&mut self.0), "{text}"); // writing to a String does not fail
        self
    }

    /// Adds markup.
    pub(crate) fn raw(&mut self, markup: &'static str) -> &mut Html {
        self.0.push_str(markup);
        self
    }

    /// Bytes so far.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Ends the page.
    pub(crate) fn finish(mut self) -> String {
        self.raw("</main>\n</body>\n</html>\n");
        self.0
    }

    pub(crate) fn into_response(self, status: Status) -> Response {
        Response::html(self.finish()).status(status).header("Content-Security-Policy", POLICY)
    }
}

struct Escape<'a>(&'a mut String);

impl Write for Escape<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for c in text.chars() {
            match c {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                c => self.0.push(c),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // V17
    #[test]
    fn v17_text_is_escaped_and_markup_is_not() {
        let mut html = Html(String::new());
        html.raw("<a title=\"").text("<b>'\"&amp;").raw("\">").text(format_args!("{}>{}", '<', 7)).raw("</a>");
        assert_eq!(html.0, "<a title=\"&lt;b&gt;&#39;&quot;&amp;amp;\">&lt;&gt;7</a>");
        let page = Html::page("</title><script>", "").finish();
        assert!(page.contains("<title>&lt;/title&gt;&lt;script&gt;</title>"), "{page}");
    }
}
