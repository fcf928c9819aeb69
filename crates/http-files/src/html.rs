//! HTML that escapes by default, and the frame of the pages that the server writes itself. Such a page loads nothing, and
//! runs nothing but the script of listings.

use std::fmt::{self, Display, Write};

use http_core::Status;
use http_server::Response;

/// If a name ever escaped its quotes, it could still neither run nor load anything, nor send anything elsewhere (V17). The
/// hashes are those of the script and the styles below.
const POLICY: &str = "default-src 'none'; script-src 'sha256-SoJUCZ4yR0aym0rddLYs154K3gxcXCi2815chy1/sng='; \
                      style-src 'sha256-ZUkdcz9jLL1byTsh3Epe/OQywjggSC0HwVtkNv6DSR4=' \
                      'sha256-S0o28VPWfqR9tt99q5VxiOPQ8rqRpMAeKA3aou4eS6A='; \
                      img-src data:; base-uri 'none'; form-action 'self'; frame-ancestors 'self'";

/// The style of every page.
const STYLE: &str = include_str!("page.css");
pub(crate) const LISTING_STYLE: &str = include_str!("listing/listing.css");
pub(crate) const LISTING_SCRIPT: &str = include_str!("listing/listing.js");

/// A page that is being written. Only literals of this program get into it unescaped.
#[derive(Debug)]
pub(crate) struct Html(String);

impl Html {
    /// Starts a page, up to the beginning of its main content. `style` is added to the common one. The policy must allow
    /// it.
    pub(crate) fn page(title: impl Display, style: &'static str) -> Html {
        let mut page = Html(String::new());
        page.raw("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n")
            .raw("<meta name=\"viewport\" content=\"width=device-width\">\n<title>")
            .text(title)
            // Without an icon, browsers would request one.
            .raw("</title>\n<link rel=\"icon\" href=\"data:,\">\n<style>")
            .raw(STYLE);
        if !style.is_empty() {
            page.raw("</style>\n<style>").raw(style);
        }
        page.raw("</style>\n</head>\n<body>\n<main>\n");
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
        let mut written = 0;
        for (at, c) in text.bytes().enumerate() {
            let escaped = match c {
                b'&' => "&amp;",
                b'<' => "&lt;",
                b'>' => "&gt;",
                b'"' => "&quot;",
                b'\'' => "&#39;",
                _ => continue,
            };
            self.0.push_str(&text[written..at]);
            self.0.push_str(escaped);
            written = at + 1;
        }
        self.0.push_str(&text[written..]);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::prelude::{BASE64_STANDARD, Engine};
    use sha2::{Digest, Sha256};

    #[test]
    fn policy_allows_exactly_the_script_and_the_styles_of_this_program() {
        let hash = |text: &str| format!("'sha256-{}'", BASE64_STANDARD.encode(Sha256::digest(text)));
        let expected = format!(
            "default-src 'none'; script-src {}; style-src {} {}; img-src data:; base-uri 'none'; form-action 'self'; \
             frame-ancestors 'self'",
            hash(LISTING_SCRIPT),
            hash(STYLE),
            hash(LISTING_STYLE)
        );
        assert_eq!(POLICY, expected);
        assert!(!POLICY.contains("unsafe"));
        // They stand in the page as they are, because nothing in them ends their element.
        for text in [LISTING_SCRIPT, STYLE, LISTING_STYLE] {
            assert!(!text.contains("</style") && !text.contains("</script"), "{text}");
        }
    }

    /// The ratio of contrast between two colours of WCAG 2.
    fn contrast(a: &str, b: &str) -> f64 {
        let luminance = |colour: &str| {
            let hex = colour.strip_prefix('#').unwrap();
            let hex = if hex.len() == 3 { hex.chars().flat_map(|c| [c, c]).collect() } else { hex.to_owned() };
            let part = |n: usize| f64::from(u8::from_str_radix(&hex[2 * n..][..2], 16).unwrap()) / 255.0;
            let linear = |c: f64| if c <= 0.04045 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) };
            0.2126 * linear(part(0)) + 0.7152 * linear(part(1)) + 0.0722 * linear(part(2))
        };
        let (a, b) = (luminance(a) + 0.05, luminance(b) + 0.05);
        a.max(b) / a.min(b)
    }

    // AA of WCAG 2: 4.5 for text, 3 for the edges of what can be used. Tools cannot see the colour of visited links.
    #[test]
    fn colours_have_enough_contrast_in_light_and_dark() {
        let (light, dark) = STYLE.split_once("@media (prefers-color-scheme: dark)").unwrap();
        for scheme in [light, dark] {
            let colour = |name: &str| {
                let value = scheme.split(&format!("--{name}: ")).nth(1).unwrap_or_else(|| panic!("{name}: {scheme}"));
                value.split(';').next().unwrap()
            };
            for background in ["background", "raised"].map(colour) {
                for text in ["text", "muted", "link", "visited"] {
                    let contrast = contrast(colour(text), background);
                    assert!(contrast >= 4.5, "{text}, {} on {background}: {contrast:.2}", colour(text));
                }
                assert!(contrast(colour("edge"), background) >= 3.0, "{background}");
            }
            assert!(contrast(colour("text"), colour("line")) >= 4.5, "what is marked");
            assert_ne!(colour("visited"), colour("link"));
        }
    }

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
