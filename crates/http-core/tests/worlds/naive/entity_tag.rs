//! Entity tags, and lists of them (RFC 9110 §8.8.3, §5.6.1, §13.1): tries every comma as the end of an element.

/// Whether it is weak, and the bytes between its quotes.
pub(crate) type Tag<'a> = (bool, &'a [u8]);

/// `entity-tag = [ %s"W/" ] DQUOTE *etagc DQUOTE`, `etagc = %x21 / %x23-7E / obs-text`
pub(crate) fn read(text: &[u8]) -> Option<Tag<'_>> {
    let (is_weak, quoted) = text.strip_prefix(b"W/").map_or((false, text), |quoted| (true, quoted));
    let opaque = quoted.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    let is_etagc = |&c: &u8| c == 0x21 || (0x23..=0x7e).contains(&c) || c >= 0x80;
    opaque.iter().all(is_etagc).then_some((is_weak, opaque))
}

/// Whether `"*" / #entity-tag` names this tag. A malformed list names none (see `conditional::evaluate`).
pub(crate) fn names(list: &[u8], (is_weak, opaque): Tag<'_>, weakly: bool) -> bool {
    let is_same = |tag: &Tag<'_>| tag.1 == opaque && (weakly || !(tag.0 || is_weak));
    list == b"*" || read_list(list).is_some_and(|tags| tags.iter().any(is_same))
}

/// `#element = [ element ] *( OWS "," OWS [ element ] )`
fn read_list(text: &[u8]) -> Option<Vec<Tag<'_>>> {
    let ends = (0..=text.len()).filter(|&end| text.get(end).is_none_or(|&c| c == b','));
    ends.filter_map(|end| {
        let mut tags = match trim(&text[..end]) {
            [] => Vec::new(),
            element => vec![read(element)?],
        };
        if end < text.len() {
            tags.extend(read_list(&text[end + 1..])?);
        }
        Some(tags)
    })
    .next()
}

fn trim(text: &[u8]) -> &[u8] {
    let is_ows = |c: &u8| *c == b' ' || *c == b'\t';
    let from = text.iter().position(|c| !is_ows(c)).unwrap_or(text.len());
    let to = text.iter().rposition(|c| !is_ows(c)).map_or(from, |last| last + 1);
    &text[from..to]
}
