//! The path of a URI (RFC 3986 §3.3, §2.1, §5.2.4): splits into segments, then decodes their bytes, then resolves dot
//! segments.

/// The segments below the root, joined by slashes. `None` if the path is rejected.
pub(crate) fn read(raw: &[u8]) -> Option<Vec<u8>> {
    let mut stack: Vec<Vec<u8>> = Vec::new();
    for segment in raw.split(|&c| c == b'/') {
        let decoded = percent_decoded(segment)?;
        // D14
        if decoded.iter().any(|&c| c == b'/' || c < b' ' || c == 0x7f) {
            return None;
        }
        match &decoded[..] {
            b"" | b"." => {}
            b".." => drop(stack.pop()?), // R3986-5.2.4: it is rejected above the root
            _ => stack.push(decoded),
        }
    }
    Some(stack.join(&b'/'))
}

/// `pct-encoded = "%" HEXDIG HEXDIG`
fn percent_decoded(segment: &[u8]) -> Option<Vec<u8>> {
    let mut decoded = Vec::new();
    let mut rest = segment;
    while let [first, after @ ..] = rest {
        rest = after;
        if *first != b'%' {
            decoded.push(*first);
            continue;
        }
        let (digits, after) = rest.split_at_checked(2)?;
        let digits = str::from_utf8(digits).ok().filter(|digits| !digits.starts_with('+'))?;
        decoded.push(u8::from_str_radix(digits, 16).ok()?);
        rest = after;
    }
    Some(decoded)
}
