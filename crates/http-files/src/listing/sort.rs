//! The order of a listing: directories first, then by name, size or time. Names are in natural order: `file2` comes
//! before `file10`.

use std::cmp::Ordering;

use super::entry::Entry;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct SortOrder {
    pub(crate) by: SortKey,
    pub(crate) is_descending: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum SortKey {
    #[default]
    Name,
    Size,
    Time,
}

impl SortOrder {
    /// As the value of `sort` in a query.
    pub(crate) fn key(self) -> &'static str {
        match self.by {
            SortKey::Name => "name",
            SortKey::Size => "size",
            SortKey::Time => "time",
        }
    }

    /// As the value of `order` in a query.
    pub(crate) fn direction(self) -> &'static str {
        if self.is_descending { "desc" } else { "asc" }
    }
}

/// Sorts the entries. Directories always come first, and have no size. Entries with equal keys are by name, ascending.
pub(crate) fn sort(entries: &mut [Entry], order: SortOrder) {
    entries.sort_unstable_by(|a, b| {
        let by_key = match order.by {
            SortKey::Name => natural_cmp(&a.name, &b.name),
            SortKey::Size if a.is_directory() => Ordering::Equal,
            SortKey::Size => a.length.cmp(&b.length),
            SortKey::Time => a.modified.cmp(&b.modified),
        };
        let by_key = if order.is_descending { by_key.reverse() } else { by_key };
        b.is_directory().cmp(&a.is_directory()).then(by_key).then_with(|| natural_cmp(&a.name, &b.name))
    });
}

/// Compares names: digits as numbers, ASCII letters without regard to case. Only identical names are equal.
pub(crate) fn natural_cmp(a: &[u8], b: &[u8]) -> Ordering {
    let (mut rest_a, mut rest_b) = (a, b);
    while let ([first_a, ..], [first_b, ..]) = (rest_a, rest_b) {
        let order = if first_a.is_ascii_digit() && first_b.is_ascii_digit() {
            let (a, b) = (number(&mut rest_a), number(&mut rest_b));
            a.len().cmp(&b.len()).then_with(|| a.cmp(b))
        } else {
            (rest_a, rest_b) = (&rest_a[1..], &rest_b[1..]);
            first_a.to_ascii_lowercase().cmp(&first_b.to_ascii_lowercase())
        };
        if order.is_ne() {
            return order;
        }
    }
    rest_a.len().cmp(&rest_b.len()).then_with(|| a.cmp(b))
}

/// Removes the leading digits and returns them without leading zeros.
fn number<'a>(rest: &mut &'a [u8]) -> &'a [u8] {
    let end = rest.iter().position(|c| !c.is_ascii_digit()).unwrap_or(rest.len());
    let (digits, after) = rest.split_at(end);
    *rest = after;
    let zeros = digits.iter().take_while(|&&c| c == b'0').count();
    &digits[zeros..]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stamp::FileKind;

    fn entry(name: &str, kind: FileKind, length: u64, modified: i128) -> Entry {
        Entry { name: name.as_bytes().into(), kind, is_symlink: false, length, modified }
    }

    #[test]
    fn names_are_in_natural_order() {
        let ordered: [&[u8]; 22] = [
            b"",
            b" a",
            b"-a",
            b"0",
            b"00",
            b"01",
            b"1",
            b"1.txt",
            b"2",
            b"10",
            b"18446744073709551616",
            b"20000000000000000000",
            b"A",
            b"a",
            b"b",
            b"file1",
            b"File2",
            b"file2a",
            b"file10",
            b"v1.9.0",
            b"v1.10.0",
            b"\xff",
        ];
        for (i, a) in ordered.iter().enumerate() {
            for (j, b) in ordered.iter().enumerate() {
                assert_eq!(natural_cmp(a, b), i.cmp(&j), "{} {}", a.escape_ascii(), b.escape_ascii());
            }
        }
    }

    // A sort may panic if the comparison is not a total order.
    #[test]
    fn natural_cmp_is_a_total_order() {
        let letters = b"01aA.";
        let mut names: Vec<Vec<u8>> = vec![Vec::new()];
        for n in 0..31 {
            let longer = letters.map(|c| [&names[n][..], &[c]].concat());
            names.extend(longer);
        }
        assert_eq!(names.len(), 156, "all of three bytes or fewer");
        for a in &names {
            for b in &names {
                let order = natural_cmp(a, b);
                assert_eq!(order.is_eq(), a == b);
                assert_eq!(order, natural_cmp(b, a).reverse());
                assert!(order.is_gt() || names.iter().all(|c| natural_cmp(b, c).is_gt() || natural_cmp(a, c).is_le()));
            }
        }
    }

    #[test]
    fn directories_come_first_and_equal_keys_are_by_name() {
        use SortKey::{Name, Size, Time};
        let mut entries = [
            entry("b10", FileKind::File, 1, 30),
            entry("b9", FileKind::File, 1, 20),
            entry("a", FileKind::File, 7, 20),
            entry("y", FileKind::Directory, 5, 20),
            entry("x", FileKind::Directory, 9, 30),
        ];
        for (by, is_descending, expected) in [
            (Name, false, ["x", "y", "a", "b9", "b10"]),
            (Name, true, ["y", "x", "b10", "b9", "a"]),
            (Size, false, ["x", "y", "b9", "b10", "a"]),
            (Size, true, ["x", "y", "a", "b9", "b10"]),
            (Time, false, ["y", "x", "a", "b9", "b10"]),
            (Time, true, ["x", "y", "b10", "a", "b9"]),
        ] {
            for _ in 0..entries.len() {
                entries.rotate_left(1);
                sort(&mut entries, SortOrder { by, is_descending });
                let names: Vec<_> = entries.iter().map(|entry| str::from_utf8(&entry.name).unwrap()).collect();
                assert_eq!(names, expected, "{by:?} {is_descending}");
            }
        }
    }
}
