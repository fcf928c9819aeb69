//! What a query asks of a listing: `sort=name`, `size` or `time`, `order=asc` or `desc`, `format=html` or `json`. What is
//! unknown is as if it were not there; of two the last counts.

use super::sort::{Key, Order};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Query {
    pub(crate) order: Order,
    pub(crate) format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Html,
    Json,
}

impl Query {
    /// Reads what stands behind the `?`. By name, ascending, as HTML if it says nothing.
    pub(crate) fn new(query: &str) -> Query {
        let order = Order { by: Key::Name, is_descending: false };
        let mut known = Query { order, format: Format::Html };
        for pair in query.split('&') {
            match pair {
                "sort=name" => known.order.by = Key::Name,
                "sort=size" => known.order.by = Key::Size,
                "sort=time" => known.order.by = Key::Time,
                "order=asc" => known.order.is_descending = false,
                "order=desc" => known.order.is_descending = true,
                "format=html" => known.format = Format::Html,
                "format=json" => known.format = Format::Json,
                _ => {}
            }
        }
        known
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_unknown_is_ignored() {
        use Format::{Html, Json};
        use Key::{Name, Size, Time};
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
            assert_eq!(Query::new(query), Query { order: Order { by, is_descending }, format }, "{query}");
        }
    }
}
