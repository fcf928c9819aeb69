//! The query of a listing: `sort=name`, `size` or `time`, `order=asc` or `desc`, `format=html` or `json`, `q=` and a part
//! of the names. Unknown parts are ignored. If a part is repeated, the last one counts.

use super::filter::Filter;
use super::sort::{SortKey, SortOrder};

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Query {
    pub(crate) order: SortOrder,
    pub(crate) filter: Filter,
    pub(crate) format: Format,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Format {
    #[default]
    Html,
    Json,
}

impl Query {
    /// Parses what follows the `?`. Default: by name, ascending, as HTML.
    pub(crate) fn new(query: &str) -> Query {
        let mut parsed = Query::default();
        for pair in query.split('&') {
            match pair {
                "sort=name" => parsed.order.by = SortKey::Name,
                "sort=size" => parsed.order.by = SortKey::Size,
                "sort=time" => parsed.order.by = SortKey::Time,
                "order=asc" => parsed.order.is_descending = false,
                "order=desc" => parsed.order.is_descending = true,
                "format=html" => parsed.format = Format::Html,
                "format=json" => parsed.format = Format::Json,
                _ => {
                    if let Some(value) = pair.strip_prefix("q=") {
                        parsed.filter = Filter::from_form(value);
                    }
                }
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
            let expected = Query { order: SortOrder { by, is_descending }, filter: Filter::default(), format };
            assert_eq!(Query::new(query), expected, "{query}");
        }
        for (query, text) in [("q=a+b&sort=name", "a b"), ("q=a&q=b", "b"), ("q=a&q=", ""), ("Q=a&xq=b&q", "")] {
            assert_eq!(Query::new(query).filter.text(), text, "{query}");
        }
    }
}
