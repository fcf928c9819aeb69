//! Range (RFC 9110 §14.1, §14.2): marks each byte that is asked for.

use http_core::range::{ByteRange, RangeOutcome};

/// `ranges-specifier = range-unit "=" range-set`, `range-set = 1#range-spec`
pub(crate) fn read(value: &str, length: usize) -> RangeOutcome {
    let Some((unit, set)) = value.split_once('=') else { return RangeOutcome::Full };
    // R1945-2.1: blanks are accepted around all elements, empty ones do not count.
    let specs: Vec<_> =
        set.split(',').map(|spec| spec.trim_matches([' ', '\t'])).filter(|spec| !spec.is_empty()).collect();
    if !unit.eq_ignore_ascii_case("bytes") || specs.is_empty() {
        return RangeOutcome::Full;
    }
    let mut asked = vec![false; length];
    for spec in specs {
        // R9110-14.2b: with an invalid range, all of them are ignored.
        let Some(is_asked) = range_spec(spec) else { return RangeOutcome::Full };
        for (place, asked) in asked.iter_mut().enumerate() {
            *asked |= is_asked(place as u128, length as u128);
        }
    }
    let (Some(first), Some(last)) = (asked.iter().position(|&asked| asked), asked.iter().rposition(|&asked| asked))
    else {
        // R9110-14.1.2: of an empty representation there is no range to send, so it is sent whole.
        return if length == 0 { RangeOutcome::Full } else { RangeOutcome::NotSatisfiable };
    };
    // D11: one range or everything.
    match asked[first..=last].contains(&false) {
        true => RangeOutcome::Full,
        false => RangeOutcome::Partial(ByteRange::new(first as u64, last as u64 + 1, length as u64).unwrap()),
    }
}

/// `int-range = first-pos "-" [ last-pos ]`, `suffix-range = "-" suffix-length`: whether a byte is in it.
fn range_spec(spec: &str) -> Option<Box<dyn Fn(u128, u128) -> bool>> {
    let (first, last) = spec.split_once('-')?;
    Some(match (first, last) {
        ("", suffix) => {
            let suffix = number(suffix)?;
            Box::new(move |place, length| place + suffix >= length)
        }
        (first, "") => {
            let first = number(first)?;
            Box::new(move |place, _| place >= first)
        }
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            if last < first {
                return None;
            }
            Box::new(move |place, _| first <= place && place <= last)
        }
    })
}

/// `1*DIGIT`. R9110-14.1.2, V9: numbers beyond 64 bits count as the largest one.
fn number(digits: &str) -> Option<u128> {
    let is_number = !digits.is_empty() && digits.chars().all(|c| c.is_ascii_digit());
    is_number.then(|| digits.parse().map_or(u64::MAX, |number: u128| number.min(u64::MAX.into()) as u64).into())
}
