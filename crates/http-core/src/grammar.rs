//! The character classes of the grammar, and comma-separated lists. It knows no header and no message.

// The classes that a byte may belong to; one bit each.
pub(crate) const TCHAR: u8 = 1; // RFC 9110 §5.6.2
const TARGET: u8 = 2; // request-target, with the bytes that browsers send unencoded (D13)
pub(crate) const VALUE: u8 = 4; // field value: HTAB, SP, VCHAR, obs-text (RFC 9110 §5.5)
pub(crate) const REG_NAME: u8 = 8; // host: unreserved and sub-delims, without %, which no http URI needs (RFC 3986 §3.2.2)
const UNRESERVED: u8 = 16; // RFC 3986 §2.3
const PLAIN: u8 = 32; // request-target bytes that a path may hold and that need no decoding

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

/// Whether every byte is of the class. It does not stop at the first byte that is not: few texts fail, and a loop
/// without an exit needs half the time.
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

/// How many of the first bytes are of the class.
#[inline]
pub(crate) fn span<const CLASS: u8>(text: &[u8]) -> usize {
    let mut rest = text;
    while let Some((block, after)) = rest.split_first_chunk::<8>() {
        for (i, &c) in block.iter().enumerate() {
            if CLASSES[c as usize] & CLASS == 0 {
                return text.len() - rest.len() + i;
            }
        }
        rest = after;
    }
    text.len() - rest.len() + rest.iter().take_while(|c| CLASSES[**c as usize] & CLASS != 0).count()
}

/// Whether the text holds only bytes that a request-target may hold (D12, D13).
pub(crate) const fn is_target_text(text: &[u8]) -> bool {
    all(text, TARGET)
}

/// Like [`is_target_text`], but also without `%`, which may need decoding, and without `\`, which no path may hold.
pub(crate) const fn is_plain_target_text(text: &[u8]) -> bool {
    all(text, PLAIN)
}

/// Whether the text holds only bytes that a field value may hold: no control byte except HTAB, so no CR, LF or NUL
/// (R9110-5.5).
pub(crate) const fn is_value_text(text: &[u8]) -> bool {
    all(text, VALUE)
}

/// A byte of `reg-name`, except `%`.
pub(crate) const fn is_reg_name_byte(c: u8) -> bool {
    CLASSES[c as usize] & REG_NAME != 0
}

/// `unreserved`: bytes that never need percent-encoding (RFC 3986 §2.3).
pub(crate) const fn is_unreserved(c: u8) -> bool {
    CLASSES[c as usize] & UNRESERVED != 0
}

/// SP or HTAB.
pub(crate) const fn is_blank(c: &u8) -> bool {
    matches!(*c, b' ' | b'\t')
}

/// The text without leading and trailing spaces and tabs (OWS, R9112-5.1b).
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

/// The elements of a comma-separated list (`#rule`), trimmed. Empty elements are skipped (R1945-2.1, R9110-5.6.1).
pub(crate) fn elements(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    list.split(|&c| c == b',').map(trim).filter(|element| !element.is_empty())
}

/// Parses `1*DIGIT`. `None` for a sign, a space or a number that does not fit into 64 bits (R1945-10.4, R9110-8.6b).
pub(crate) fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0u64, |sum, &digit| match digit {
        b'0'..=b'9' => sum.checked_mul(10)?.checked_add(u64::from(digit - b'0')),
        _ => None,
    })
}

/// Parses `1*DIGIT` where a number beyond 64 bits means the same as the largest. `None` for anything else.
pub(crate) fn saturating_decimal(digits: &[u8]) -> Option<u64> {
    let numeric = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    numeric.then(|| decimal(digits).unwrap_or(u64::MAX))
}

/// The value of a hexadecimal digit.
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
    fn decimal_accepts_only_digits_that_fit_into_64_bits() {
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
    fn elements_skips_empty_elements() {
        let list: Vec<_> = elements(b",TE,, close ,\t,").collect();
        assert_eq!(list, [&b"TE"[..], b"close"]);
        assert_eq!(elements(b" , ,").count(), 0);
    }

    #[test]
    fn bytes_belong_to_their_classes() {
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
