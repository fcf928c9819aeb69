//! The name under which a browser saves a response: Content-Disposition (RFC 6266), for a name of any bytes.

/// The value of a header that has the response saved under this name. Clients that know only `filename` get a name in
/// ASCII; others read `filename*` (RFC 8187), where what is not UTF-8 is U+FFFD.
pub(super) fn attachment(name: &[u8]) -> String {
    let name = String::from_utf8_lossy(name);
    // RFC 6266 appendix D: some clients decode percent signs, some do not know escapes.
    let is_plain = |c: char| matches!(c, ' '..='~') && !matches!(c, '"' | '%' | '/' | '\\');
    let plain: String = name.chars().map(|c| if is_plain(c) { c } else { '_' }).collect();
    let mut value = format!("attachment; filename=\"{plain}\"");
    if plain != name {
        value.push_str("; filename*=UTF-8''");
        for byte in name.bytes() {
            // RFC 8187 section 3.2.1, attr-char.
            if byte.is_ascii_alphanumeric() || b"!#$&+-.^_`|~".contains(&byte) {
                value.push(byte.into());
            } else {
                value.push_str(&format!("%{byte:02X}"));
            }
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_core::FieldValue;

    #[test]
    fn name_is_told_in_ascii_and_if_that_is_another_one_in_utf8() {
        for (name, value) in [
            (&b"many.tar"[..], "filename=\"many.tar\""),
            (b"a b'(1).tar", "filename=\"a b'(1).tar\""),
            (b"50%25.tar", "filename=\"50_25.tar\"; filename*=UTF-8''50%2525.tar"),
            (b"a\"b\\c;.tar", "filename=\"a_b_c;.tar\"; filename*=UTF-8''a%22b%5Cc%3B.tar"),
            ("Äpfel.tar".as_bytes(), "filename=\"_pfel.tar\"; filename*=UTF-8''%C3%84pfel.tar"),
            (b"\xff\n\x7f", "filename=\"___\"; filename*=UTF-8''%EF%BF%BD%0A%7F"),
        ] {
            assert_eq!(attachment(name), format!("attachment; {value}"));
        }
    }

    #[test]
    fn any_bytes_are_a_valid_value_that_tells_the_name() {
        for byte in 0..=255 {
            let name = [b"a", &[byte][..], b".tar"].concat();
            let value = attachment(&name);
            assert!(FieldValue::new(value.as_bytes()).is_ok() && value.is_ascii(), "{value}");
            let (plain, extended) = value.split_once("; filename*=UTF-8''").unwrap_or((&value, ""));
            let plain = plain.strip_prefix("attachment; filename=\"").unwrap().strip_suffix('"').unwrap();
            assert!(!plain.contains(['"', '\\']), "{value}");
            let mut told = Vec::new();
            match extended {
                "" => told.extend_from_slice(plain.as_bytes()),
                _ => {
                    let mut parts = extended.split('%');
                    told.extend_from_slice(parts.next().unwrap().as_bytes());
                    for part in parts {
                        told.push(u8::from_str_radix(&part[..2], 16).unwrap());
                        told.extend_from_slice(&part.as_bytes()[2..]);
                    }
                }
            }
            assert_eq!(told, String::from_utf8_lossy(&name).as_bytes(), "{value}");
        }
    }
}
