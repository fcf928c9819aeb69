//! `request-target` (RFC 9112 §3.2, RFC 3986 §3): takes it apart from its end to its beginning.

/// Its authority, path and query. `*` has neither an authority nor a path that begins with a slash.
pub(crate) type Parts<'a> = (Option<&'a str>, &'a str, Option<&'a str>);

/// `origin-form / absolute-form / asterisk-form`. The authority-form is for CONNECT, which is refused (R9110-9.3.6).
pub(crate) fn read(raw: &str) -> Option<Parts<'_>> {
    // D12, D13: what must be encoded, apart from the bytes that browsers send.
    if !raw.bytes().all(|c| c.is_ascii_graphic() && !b"\"<>#".contains(&c)) {
        return None;
    }
    if raw == "*" {
        return Some((None, raw, None));
    }
    let (rest, query) = raw.split_once('?').map_or((raw, None), |(rest, query)| (rest, Some(query)));
    let (authority, path) = match rest.split_at_checked("http://".len()) {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http://") => {
            let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            is_authority(authority).then_some((Some(authority), if path.is_empty() { "/" } else { path }))?
        }
        _ => rest.starts_with('/').then_some((None, rest))?,
    };
    // D13: `\` is for a query only, and so is an incomplete `pct-encoded`.
    let mut encoded = path.split('%').skip(1);
    let is_complete = encoded.all(|text| text.len() >= 2 && text.bytes().take(2).all(|c| c.is_ascii_hexdigit()));
    (is_complete && !path.contains('\\')).then_some((authority, path, query))
}

/// `host [ ":" port ]`, here without addresses in brackets. R9110-4.2.1: the host is not empty. R9110-4.2.4: there is
/// no userinfo. Nothing in the name of an `http` host needs to be encoded.
fn is_authority(authority: &str) -> bool {
    let (host, port) = authority.split_once(':').unwrap_or((authority, ""));
    let is_reg_name = |c: u8| c.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=".contains(&c);
    let is_port = port.is_empty() || (port.bytes().all(|c| c.is_ascii_digit()) && port.parse::<u16>().is_ok());
    !host.is_empty() && host.bytes().all(is_reg_name) && is_port
}
