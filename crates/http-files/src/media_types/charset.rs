//! Whether an HTML file declares its encoding itself: the prescan of the HTML standard, section 13.2.3.2.

/// Whether a browser would find a declaration in these first bytes: `<meta charset>`, `<meta http-equiv>`, or XML's.
pub(super) fn is_declared(start: &[u8]) -> bool {
    find_meta(start).is_some() || find_in_xml(start).is_some()
}

/// `None` also if the bytes end within a comment or a tag.
fn find_meta(mut rest: &[u8]) -> Option<()> {
    while let Some(at) = find(rest, b"<") {
        rest = &rest[at + 1..];
        match *rest {
            [b'!', b'-', b'-', ..] => rest = &rest[find(&rest[1..], b"-->")? + 4..], // also the shortest, `<!-->`
            [b'/', b'a'..=b'z' | b'A'..=b'Z', ..] | [b'a'..=b'z' | b'A'..=b'Z', ..] => {
                let is_meta = |name: &[u8]| name.eq_ignore_ascii_case(b"meta");
                if rest.get(..4).is_some_and(is_meta) && rest.get(4).is_some_and(|&c| is_space(c) || c == b'/') {
                    rest = &rest[4..];
                    if declares(&mut rest)? {
                        return Some(());
                    }
                    continue;
                }
                rest = &rest[rest.iter().position(|&c| is_space(c) || c == b'>')?..];
                while next_attribute(&mut rest)?.is_some() {}
            }
            [b'!' | b'/' | b'?', ..] => rest = &rest[find(rest, b">")?..],
            _ => {}
        }
    }
    None
}

/// Whether the attributes of a `meta` declare an encoding.
fn declares(rest: &mut &[u8]) -> Option<bool> {
    let (mut charset, mut content, mut http_equiv) = (None, None, None);
    while let Some((name, value)) = next_attribute(rest)? {
        match &*name {
            b"charset" => charset.get_or_insert(value),
            b"content" => content.get_or_insert(value),
            b"http-equiv" => http_equiv.get_or_insert(value),
            _ => continue,
        };
    }
    Some(match charset {
        Some(charset) => is_label(&charset),
        None => {
            http_equiv.is_some_and(|value| value == b"content-type") && content.is_some_and(|value| has_label(&value))
        }
    })
}

/// The name and the value of a tag's next attribute in lower case, or `Some(None)` at the tag's end.
#[expect(clippy::option_option, reason = "the bytes may end first")]
fn next_attribute(rest: &mut &[u8]) -> Option<Option<(Vec<u8>, Vec<u8>)>> {
    *rest = &rest[rest.iter().position(|&c| !is_space(c) && c != b'/')?..];
    if rest[0] == b'>' {
        return Some(None);
    }
    // A name may begin with `=`.
    let end = 1 + rest[1..].iter().position(|&c| is_space(c) || matches!(c, b'=' | b'/' | b'>'))?;
    let name = take(rest, end);
    skip_spaces(rest);
    if *rest.first()? != b'=' {
        return Some(Some((name, Vec::new())));
    }
    *rest = &rest[1..];
    skip_spaces(rest);
    let value = match *rest.first()? {
        quote @ (b'"' | b'\'') => {
            *rest = &rest[1..];
            let value = take(rest, rest.iter().position(|&c| c == quote)?);
            *rest = &rest[1..];
            value
        }
        _ => take(rest, rest.iter().position(|&c| is_space(c) || c == b'>')?),
    };
    Some(Some((name, value)))
}

/// Whether the content of a `meta` names a charset: "extracting a character encoding from a meta element".
fn has_label(mut content: &[u8]) -> bool {
    while let Some(at) = find(content, b"charset") {
        content = &content[at + 7..];
        skip_spaces(&mut content);
        let Some(mut value) = content.strip_prefix(b"=") else { continue };
        skip_spaces(&mut value);
        return match value {
            [quote @ (b'"' | b'\''), value @ ..] => {
                value.iter().position(|c| c == quote).is_some_and(|end| is_label(&value[..end]))
            }
            _ => value.split(|&c| is_space(c) || c == b';').next().is_some_and(is_label),
        };
    }
    false
}

/// `<?xml version="1.0" encoding="koi8-r"?>`, which browsers heed in HTML, too.
fn find_in_xml(start: &[u8]) -> Option<()> {
    let declaration = &start[..find(start, b">")?];
    let mut rest = declaration.strip_prefix(b"<?xml")?;
    rest = &rest[find(rest, b"encoding")? + 8..];
    skip_spaces(&mut rest);
    rest = rest.strip_prefix(b"=")?;
    skip_spaces(&mut rest);
    let (quote, value) = rest.split_first().filter(|(c, _)| matches!(c, b'"' | b'\''))?;
    is_label(&value[..value.iter().position(|c| c == quote)?]).then_some(())
}

/// Whether it looks like a charset's name. A browser ignores any other, such as the placeholder of a template.
fn is_label(label: &[u8]) -> bool {
    let label = label.trim_ascii();
    !label.is_empty() && label.iter().all(|c| c.is_ascii_alphanumeric() || b"-_:.+()".contains(c))
}

fn is_space(c: u8) -> bool {
    matches!(c, b'\t' | b'\n' | b'\x0c' | b'\r' | b' ')
}

fn skip_spaces(rest: &mut &[u8]) {
    while let [c, behind @ ..] = *rest
        && is_space(*c)
    {
        *rest = behind;
    }
}

/// Takes these many bytes, in lower case.
fn take(rest: &mut &[u8], bytes: usize) -> Vec<u8> {
    let (taken, behind) = rest.split_at(bytes);
    *rest = behind;
    taken.to_ascii_lowercase()
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoding_is_declared_as_browsers_find_it() {
        for (html, expected) in [
            ("<meta charset=koi8-r>", true),
            ("<!DOCTYPE html>\n<html lang=ru><head><META\tCharset = 'KOI8-R' /><title>a</title>", true),
            ("<meta name=viewport content='width=device-width'><meta charset=\"windows-1251\">", true),
            ("<meta/charset=utf-8>", true),
            ("<meta charset=\" koi8-r \">", true),
            ("<title>a > b</title><meta charset=koi8-r>", true),
            ("<script>if (a<b) c</script><meta charset=koi8-r>", true),
            ("<!----><meta charset=koi8-r>", true),
            ("<!--><meta charset=koi8-r>", true),
            ("<!-- a --> b --><meta charset=koi8-r>", true),
            ("<?php echo 1 ?><meta charset=koi8-r>", true),
            ("< <meta charset=koi8-r>", true),
            ("<meta http-equiv=Content-Type content='text/html; charset=koi8-r'>", true),
            ("<meta content='text/html;CHARSET = \"koi8-r\"' http-equiv='content-type'>", true),
            ("<meta content=\"text/html; charset='koi8-r'\" http-equiv='content-type'>", true),
            ("<meta content='charset charset=koi8-r;' http-equiv=content-type>", true),
            ("<?xml version='1.0' encoding=\"windows-1251\"?><html>", true),
            ("", false),
            ("<p>text", false),
            ("<meta>", false),
            ("<meta charset=koi8-r", false), // the tag does not end
            ("<meta charset='koi8-r>", false),
            ("<meta charset=''>", false),
            ("<meta charset>", false),
            ("<meta charset={{charset}}>", false),
            ("<metaphor charset=koi8-r>", false),
            ("<!-- <meta charset=koi8-r> -->", false),
            ("<!-- <meta charset=koi8-r>", false),
            ("<!<meta charset=koi8-r>", false),
            ("</<meta charset=koi8-r>", false),
            ("<a title='<meta charset=koi8-r>'>", false),
            ("<a title=\"'\" href='<meta charset=koi8-r>'>", false),
            ("<meta charset='' charset=koi8-r>", false), // the first counts
            ("<meta http-equiv=refresh content='text/html; charset=koi8-r'>", false),
            ("<meta content='text/html; charset=koi8-r'>", false),
            ("<meta http-equiv=content-type content='text/html'>", false),
            ("<meta http-equiv=content-type content='charset=\"koi8-r'>", false),
            ("<meta name=charset content=koi8-r>", false),
            (" <?xml version='1.0' encoding='windows-1251'?>", false),
            ("<?xml version='1.0'?><a encoding='windows-1251'>", false),
        ] {
            assert_eq!(is_declared(html.as_bytes()), expected, "{html}");
        }
    }

    #[test]
    fn every_start_of_a_page_is_read_without_panic() {
        let page = "<?xml encoding='a'?><!-- a --><!x><a b='c' d=e f / g = \"h\"></a><meta http-equiv=content-type \
                    content='charset=\"koi8-r\"'>";
        let first = (0..=page.len()).find(|&end| find_meta(&page.as_bytes()[..end]).is_some());
        assert_eq!(first, Some(page.len()));
        for (at, byte) in (0..page.len()).flat_map(|at| b"<>/=' \"-!".iter().map(move |byte| (at, byte))) {
            let mut other = page.as_bytes().to_vec();
            other[at] = *byte;
            is_declared(&other);
        }
    }
}
