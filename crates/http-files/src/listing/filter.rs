//! Which names are listed: those that contain a text, without regard to case.

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Filter {
    text: String,
    lower_case: String,
}

impl Filter {
    /// Decodes the value that a form sent. The page shows it, and HTML has no control characters, which a terminal would
    /// obey.
    pub(crate) fn from_form(value: &str) -> Filter {
        let text = decode(value.as_bytes()).replace(char::is_control, "\u{fffd}");
        let lower_case = text.to_lowercase();
        Filter { text, lower_case }
    }

    /// As it was typed. If it is empty, every name matches.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn matches(&self, name: &[u8]) -> bool {
        self.lower_case.is_empty() || String::from_utf8_lossy(name).to_lowercase().contains(&self.lower_case)
    }
}

/// Decodes `application/x-www-form-urlencoded`. A `%` without two hexadecimal digits behind it stands for itself.
fn decode(value: &[u8]) -> String {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value;
    while let [first, after @ ..] = rest {
        rest = after;
        bytes.push(match (first, after) {
            (b'+', _) => b' ',
            (b'%', [high, low, after @ ..]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                rest = after;
                digit(*high) << 4 | digit(*low)
            }
            (&other, _) => other,
        });
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn digit(hex: u8) -> u8 {
    match hex {
        b'0'..=b'9' => hex - b'0',
        _ => (hex | 0x20) - b'a' + 10,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn form_value_is_decoded() {
        for (value, text) in [
            ("", ""),
            ("a+b", "a b"),
            ("a%20b%2B", "a b+"),
            ("%", "%"),
            ("%4", "%4"),
            ("%4g%+1%%41", "%4g% 1%A"),
            ("gr%C3%BC%C3%9Fe", "grüße"),
            ("%ff%c3", "\u{fffd}\u{fffd}"),
            ("%3cb%3E%22%26", "<b>\"&"),
            ("a%00%1b[2J%7f%0a%c2%9bm", "a\u{fffd}\u{fffd}[2J\u{fffd}\u{fffd}\u{fffd}m"),
        ] {
            assert_eq!(Filter::from_form(value).text(), text, "{value}");
        }
    }

    #[test]
    fn filter_finds_a_part_of_a_name_without_regard_to_case() {
        for (value, name, matches) in [
            ("", "anything", true),
            ("read", "README.md", true),
            ("ME.M", "README.md", true),
            ("readme.md.", "README.md", false),
            ("%C3%9CBER", "vorüber.txt", true),
            ("*.md", "README.md", false),
            (".", "README", false),
        ] {
            assert_eq!(Filter::from_form(value).matches(name.as_bytes()), matches, "{value} in {name}");
        }
        assert!(Filter::from_form("b").matches(b"\xffB"), "a name that is not UTF-8");
    }
}
