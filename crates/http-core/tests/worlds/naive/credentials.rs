//! Basic credentials (RFC 7617 §2, RFC 9110 §11.4, RFC 4648 §4): writes the base64 out as bits.

const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// `"Basic" 1*SP token68`: the user and the password.
pub(crate) fn read(value: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let (scheme, rest) = value.split_at_checked(b"Basic".len())?;
    let spaces = rest.iter().take_while(|&&c| c == b' ').count();
    let pair = base64(&rest[spaces..])?;
    let colon = pair.iter().position(|&c| c == b':')?;
    let is_valid = scheme.eq_ignore_ascii_case(b"Basic") && spaces > 0 && !pair.iter().any(u8::is_ascii_control);
    is_valid.then(|| (pair[..colon].to_vec(), pair[colon + 1..].to_vec()))
}

/// Groups of four digits. One or two `=` complete the last one, and the bits that no byte needs are 0.
fn base64(text: &[u8]) -> Option<Vec<u8>> {
    let padding = text.iter().rev().take_while(|&&c| c == b'=').count();
    if !text.len().is_multiple_of(4) || padding > 2 {
        return None;
    }
    let mut bits = Vec::new();
    for digit in &text[..text.len() - padding] {
        let value = DIGITS.iter().position(|c| c == digit)?;
        bits.extend((0..6).rev().map(|place| value >> place & 1));
    }
    let (bytes, unused) = bits.as_chunks::<8>();
    let byte = |bits: &[usize; 8]| bits.iter().fold(0, |byte, bit| byte << 1 | *bit) as u8;
    unused.iter().all(|&bit| bit == 0).then(|| bytes.iter().map(byte).collect())
}
