//! The query of a listing: `sort=name`, `size` or `time`, `order=asc` or `desc`, `format=html` or `json`. Unknown parts
//! are ignored. If a part is repeated, the last one counts.

use super::sort::{SortKey, SortOrder};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Query {
    pub(crate) order: SortOrder,
    pub(crate) format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Html,
    Json,
}

impl Query {
    /// Parses what follows the `?`. Default: by name, ascending, as HTML.
    pub(crate) fn new(query: &str) -> Query {
        let order = SortOrder { by: SortKey::Name, is_descending: false };
        let mut parsed = Query { order, format: Format::Html };
        for pair in query.split('&') {
            match pair {
                "sort=name" => parsed.order.by = SortKey::Name,
                "sort=size" => parsed.order.by = SortKey::Size,
                "sort=time" => parsed.order.by = SortKey::Time,
                "order=asc" => parsed.order.is_descending = false,
                "order=desc" => parsed.order.is_descending = true,
                "format=html" => parsed.format = Format::Html,
                "format=json" => parsed.format = Format::Json,
                _ => {}
            }
        }
        parsed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_parts_are_ignored() {
        use Format::{Html, Json};
        use SortKey::{Name, Size, Time};
        for (query, by, is_descending, format) in [
            ("", Name, false, Html),
            ("sort=name", Name, false, Html),
            ("sort=size", Size, false, Html),
            ("sort=time&order=desc", Time, true, Html),
            ("order=desc", Name, true, Html),
            ("order=desc&order=asc&sort=time&sort=size", Size, false, Html),
            ("format=json", Name, false, Json),
            ("format=json&sort=size&order=desc", Size, true, Json),
            ("format=json&format=html", Name, false, Html),
            ("sort=length&order=up&format=xml", Name, false, Html),
            ("sort&order&format&=&&=json", Name, false, Html),
            ("SORT=size", Name, false, Html),
            ("sort=size%20", Name, false, Html),
            ("xsort=size", Name, false, Html),
            ("sort=size;order=desc", Name, false, Html),
        ] {
            assert_eq!(Query::new(query), Query { order: SortOrder { by, is_descending }, format }, "{query}");
        }
    }
}
