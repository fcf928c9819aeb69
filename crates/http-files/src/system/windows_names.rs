//! Which names of files mean something else to Windows. It asks no system, so that it is tested on any. `webclient` has the
//! same rule for the names that it gives to files.

/// Whether Windows takes a name in a directory as it is: not as a device, a stream, a path, a pattern or another name.
pub(super) fn is_plain(name: &[u8]) -> bool {
    let is_taken = |byte: &u8| byte.is_ascii_control() || br#"<>:"/\|?*"#.contains(byte);
    !name.is_empty()
        && !name.iter().any(is_taken)
        && !name.ends_with(b".") // dots and blanks at the end are dropped
        && !name.ends_with(b" ")
        && !is_device(name)
        && !is_short(name)
}

/// Whether a name is that of a device, in any directory and with any extension, as in `nul.txt` and `COM1 .log`.
fn is_device(name: &[u8]) -> bool {
    const DEVICES: [&str; 6] = ["CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"];
    let stem = name.split(|byte| b".:".contains(byte)).next().unwrap_or_default().trim_ascii();
    let is_number = |digit: &[u8]| matches!(digit, [b'0'..=b'9'] | b"\xc2\xb9" | b"\xc2\xb2" | b"\xc2\xb3"); // ¹ ² ³
    let is_port = |port: &[u8; 3]| port.eq_ignore_ascii_case(b"COM") || port.eq_ignore_ascii_case(b"LPT");
    DEVICES.iter().any(|device| stem.eq_ignore_ascii_case(device.as_bytes()))
        || stem.split_first_chunk().is_some_and(|(port, digit)| is_port(port) && is_number(digit))
}

/// Whether a name may be the short one of another file, as in `PROGRA~1` and `INDEX~1.HTM`.
fn is_short(name: &[u8]) -> bool {
    let stem = name.split(|byte| *byte == b'.').next().unwrap_or_default();
    let Some(tilde) = stem.iter().rposition(|byte| *byte == b'~') else { return false };
    let digits = &stem[tilde + 1..];
    name.len() <= 12 && stem.len() <= 8 && !digits.is_empty() && digits.iter().all(u8::is_ascii_digit)
}

#[cfg(test)]
mod tests {
    use super::*;

    // V3
    #[test]
    fn names_that_windows_takes_otherwise_are_not_plain() {
        for name in [
            "",
            ".",
            "..",
            "...",
            "a.",
            "a ",
            "a. .",
            "index.html.",
            "index.html ",
            "CON",
            "con",
            "Con.txt",
            "nul",
            "NUL.tar.gz",
            "aux ",
            "aux .txt",
            "prn",
            "COM1",
            "com9.log",
            "com0",
            "COM\u{b9}",
            "COM\u{b2}.txt",
            "lpt\u{b2}.txt",
            "LPT\u{b3}",
            "CONIN$",
            "conout$.x",
            "a:b",
            "a.txt::$DATA",
            "a::$INDEX_ALLOCATION",
            "C:",
            "c:a",
            "NUL:",
            "a\\b",
            "..\\a",
            "\\",
            "\\\\host\\share",
            "\\\\?\\C:",
            "\\\\.\\pipe",
            "a/b",
            "a*",
            "a?",
            "<a>",
            "a|b",
            "\"a\"",
            "a\0",
            "a\n",
            "\u{1b}",
            "PROGRA~1",
            "progra~1",
            "INDEX~1.HTM",
            "index~12.htm",
            "~1",
        ] {
            assert!(!is_plain(name.as_bytes()), "{name:?}");
        }
        for name in [
            "a",
            "a.txt",
            ".hidden",
            "a b",
            " a",
            "console",
            "com",
            "com10",
            "comb",
            "lpt",
            "nullify.txt",
            "auxiliary",
            "COM\u{b4}",
            "\u{e9}",
            "a~",
            "a~1b",
            "backup~1.tar.gz",
            "long-name~1",
            "a;b&c=d",
            "$DATA",
            "a%20b",
        ] {
            assert!(is_plain(name.as_bytes()), "{name:?}");
        }
    }
}
