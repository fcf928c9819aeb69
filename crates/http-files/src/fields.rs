//! Adding headers to a block.

use http_core::{FieldBlock, FieldName, FieldValue, header};

/// Adds a header that is not reserved for http-core, so that it cannot fail.
pub(crate) fn push(fields: &mut FieldBlock, name: FieldName<'_>, value: FieldValue<'_>) {
    let pushed = fields.push(name, value);
    debug_assert_eq!(pushed, Ok(()));
}

/// Adds the headers whose names the block does not have yet, and every Vary, which is a list. Names may repeat.
pub(crate) fn push_missing<'a>(
    fields: &mut FieldBlock,
    headers: impl IntoIterator<Item = (FieldName<'a>, FieldValue<'a>)>,
) {
    let own = fields.iter().count();
    for (name, value) in headers {
        if name == header::VARY || !fields.iter().take(own).any(|(own, _)| own == name) {
            push(fields, name, value);
        }
    }
}
