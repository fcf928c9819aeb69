//! Names as text that looks like what it is: characters that are invisible, or that change the order of those around
//! them, are shown by their number. `rtl\u{202e}gpj.exe` would look like `rtlexe.jpg`.

use std::fmt::{self, Display, Write};

use crate::html::Html;

/// Adds a name, with these characters marked.
pub(super) fn push_name(page: &mut Html, name: &[u8]) {
    let name = String::from_utf8_lossy(name);
    let mut rest = &*name;
    while let Some((start, c)) = rest.char_indices().find(|(_, c)| is_hidden(*c)) {
        page.text(&rest[..start]).raw("<mark>").text(Number(c)).raw("</mark>");
        rest = &rest[start + c.len_utf8()..];
    }
    page.text(rest);
}

/// A name where no part of it can be marked.
pub(super) struct Visible<'a>(pub(super) &'a [u8]);

impl Display for Visible<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        String::from_utf8_lossy(self.0).chars().try_for_each(|c| match is_hidden(c) {
            true => Number(c).fmt(f),
            false => f.write_char(c),
        })
    }
}

/// A character as `\u202E`.
struct Number(char);

impl Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\\u{:04X}", u32::from(self.0))
    }
}

/// Whether it is a control or bidirectional character, or another one that shows nothing and has no use in a name. Those
/// that join letters or emoji have one.
fn is_hidden(c: char) -> bool {
    // Nearly all names are ASCII.
    c.is_control()
        || (!c.is_ascii()
            && matches!(c,
                '\u{ad}'
                | '\u{61c}'
                | '\u{180e}'
                | '\u{200b}'
                | '\u{200e}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_invisible_or_changes_the_order_is_shown_by_its_number() {
        for (name, shown) in [
            ("rtl\u{202e}gpj.exe", r"rtl[\u202E]gpj.exe"),
            ("a\u{2066}b\u{2069}", r"a[\u2066]b[\u2069]"),
            ("\u{200f}\u{200e}\u{61c}", r"[\u200F][\u200E][\u061C]"),
            ("\u{202a}\u{202b}\u{202c}\u{202d}", r"[\u202A][\u202B][\u202C][\u202D]"),
            ("c1\u{85}\u{9b}", r"c1[\u0085][\u009B]"),
            ("line\u{2028}\u{2029}", r"line[\u2028][\u2029]"),
            ("zero\u{200b}\u{feff}\u{2060}\u{ad}width", r"zero[\u200B][\uFEFF][\u2060][\u00AD]width"),
            ("\u{5e9}\u{5dc}\u{5d5}\u{5dd}", "\u{5e9}\u{5dc}\u{5d5}\u{5dd}"),
            ("\u{6cc}\u{200c}\u{646} \u{1f468}\u{200d}\u{1f469}", "\u{6cc}\u{200c}\u{646} \u{1f468}\u{200d}\u{1f469}"),
            (r"back\u202Eslash", r"back\u202Eslash"),
        ] {
            let mut page = Html::page("", "");
            let start = page.len();
            push_name(&mut page, name.as_bytes());
            let text = page.finish()[start..].replace("<mark>", "[").replace("</mark>", "]");
            assert!(text.starts_with(&format!("{shown}</main>")), "{text}");
            assert_eq!(Visible(name.as_bytes()).to_string(), shown.replace(['[', ']'], ""));
        }
    }
}
