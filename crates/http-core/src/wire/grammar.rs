//! The character classes of the grammar, and lists of elements between commas. It knows no field and no message.

/// Which bytes may stand where; one bit a class.
const TCHAR: u8 = 1; // RFC 9110 §5.6.2
const TARGET: u8 = 2; // in a request-target, D13: what browsers send as it is
const VALUE: u8 = 4; // in a field value: HTAB, SP, VCHAR, obs-text (RFC 9110 §5.5)
const REG_NAME: u8 = 8; // in a host: unreserved and sub-delims (RFC 3986 §3.2.2)
const UNRESERVED: u8 = 16; // RFC 3986 §2.3
const PLAIN: u8 = 32; // in a request-target, and in its path it stands for itself

const CLASSES: [u8; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let c = byte as u8;
        let alphanumeric = c.is_ascii_alphanumeric();
        if alphanumeric || is_one_of(c, b"!#$%&'*+-.^_`|~") {
            table[byte] |= TCHAR;
        }
        if c > b' ' && c < 0x7f && !is_one_of(c, b"\"<>#") {
            table[byte] |= TARGET;
            if !is_one_of(c, b"%\\") {
                table[byte] |= PLAIN;
            }
        }
        if c == b'\t' || (c >= b' ' && c != 0x7f) {
            table[byte] |= VALUE;
        }
        if alphanumeric || is_one_of(c, b"-._~!$&'()*+,;=") {
            table[byte] |= REG_NAME;
        }
        if alphanumeric || is_one_of(c, b"-._~") {
            table[byte] |= UNRESERVED;
        }
        byte += 1;
    }
    table
};

const fn is_one_of(c: u8, set: &[u8]) -> bool {
    let mut i = 0;
    while i < set.len() {
        if set[i] == c {
            return true;
        }
        i += 1;
    }
    false
}

/// Looks at each byte, whatever the others are: that is half of the work, since few texts fail.
const fn all(text: &[u8], class: u8) -> bool {
    let mut common = class;
    let mut i = 0;
    while i < text.len() {
        common &= CLASSES[text[i] as usize];
        i += 1;
    }
    common != 0
}

/// `token = 1*tchar` (RFC 9110 §5.6.2)
pub(crate) const fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && all(text, TCHAR)
}

/// The bytes that a request-target may hold (D12, D13).
pub(crate) const fn is_target_text(text: &[u8]) -> bool {
    all(text, TARGET)
}

/// The same without `%`, of which the path may need decoding, and `\`, which it may not hold.
pub(crate) const fn is_plain_target_text(text: &[u8]) -> bool {
    all(text, PLAIN)
}

/// The bytes that a field value may hold: no control but HTAB, so no CR, LF, NUL (R9110-5.5).
pub(crate) const fn is_value_text(text: &[u8]) -> bool {
    all(text, VALUE)
}

/// `reg-name` without percent-encodings, which no host of an `http` URI needs (RFC 3986 §3.2.2).
pub(crate) const fn is_reg_name_octet(c: u8) -> bool {
    CLASSES[c as usize] & REG_NAME != 0
}

/// `unreserved` (RFC 3986 §2.3): what never needs percent-encoding.
pub(crate) const fn is_unreserved(c: u8) -> bool {
    CLASSES[c as usize] & UNRESERVED != 0
}

/// SP or HTAB.
pub(crate) const fn is_blank(c: &u8) -> bool {
    matches!(*c, b' ' | b'\t')
}

/// The text without blanks at its ends (OWS, R9112-5.1b).
pub(crate) const fn trim(mut text: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = text
        && is_blank(first)
    {
        text = rest;
    }
    while let [rest @ .., last] = text
        && is_blank(last)
    {
        text = rest;
    }
    text
}

/// The elements of `#rule`: between commas, trimmed; empty ones do not count (R1945-2.1, R9110-5.6.1).
pub(crate) fn elements(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    list.split(|&c| c == b',').map(trim).filter(|element| !element.is_empty())
}

/// `1*DIGIT` that fits into 64 bits; no sign, no blank, no overflow (R1945-10.4, R9110-8.6b).
pub(crate) fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0u64, |sum, &digit| match digit {
        b'0'..=b'9' => sum.checked_mul(10)?.checked_add(u64::from(digit - b'0')),
        _ => None,
    })
}

/// The value of one hexadecimal digit.
pub(crate) const fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    // R1945-10.4, R9110-8.6b, V31
    #[test]
    fn decimals_are_digits_that_fit() {
        assert_eq!(decimal(b"0"), Some(0));
        assert_eq!(decimal(b"007"), Some(7));
        assert_eq!(decimal(b"18446744073709551615"), Some(u64::MAX));
        for bad in ["", "+5", "-1", "0x5", "1_0", " 1", "1 ", "1.0", "18446744073709551616", "99999999999999999999999"]
        {
            assert_eq!(decimal(bad.as_bytes()), None, "{bad}");
        }
    }

    // R1945-2.1, R9110-5.6.1, V32
    #[test]
    fn lists_may_have_empty_elements() {
        let list: Vec<_> = elements(b",TE,, close ,\t,").collect();
        assert_eq!(list, [&b"TE"[..], b"close"]);
        assert_eq!(elements(b" , ,").count(), 0);
    }

    #[test]
    fn classes() {
        assert!(is_value_text(b"a\tb \x80\xff"));
        for c in (0..0x20).chain([0x7f]).filter(|&c| c != b'\t') {
            assert!(!is_value_text(&[c]) && !is_target_text(&[c]) && !is_token(&[c]), "{c}");
        }
        assert!(is_target_text(b"/a^{|}[]`\\%?&'();="));
        for c in b" \"<>#\x7f\x80\xff" {
            assert!(!is_target_text(&[*c]) && !is_plain_target_text(&[*c]), "{c}");
        }
        assert!(
            is_plain_target_text(b"/a^{|}[]`?&'();=") && ![b'%', b'\\'].iter().any(|c| is_plain_target_text(&[*c]))
        );
        assert_eq!(trim(b" \t a b \t"), b"a b");
        assert_eq!(trim(b" \t "), b"");
        assert_eq!((hex(b'f'), hex(b'F'), hex(b'g')), (Some(15), Some(15), None));
    }
}
