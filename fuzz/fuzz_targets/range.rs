//! Any Range for a file of any length agrees with a naive parser, and a partial range lies in the file.
#![no_main]

use http_core::range::{ByteRange, RangeOutcome, parse};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u64, &[u8])| {
    let (length, value) = input;
    let outcome = parse(value, length);
    if let RangeOutcome::Partial(part) = outcome {
        assert!(part.start() < part.end() && part.end() <= length && part.complete_length() == length);
        assert_eq!(part.length(), part.end() - part.start());
        let expected = format!("bytes {}-{}/{length}", part.start(), part.end() - 1);
        assert_eq!(part.content_range().as_str(), expected);
        assert_eq!(part.content_range().value().as_bytes(), expected.as_bytes());
    }
    assert_eq!(outcome, naive(value, length.into()), "{} of {length}", value.escape_ascii());
});

/// A slow parser with 128-bit numbers, which cannot overflow.
fn naive(value: &[u8], length: u128) -> RangeOutcome {
    if length == 0 {
        return RangeOutcome::Full;
    }
    let Some(set) = value.to_ascii_lowercase().strip_prefix(b"bytes=").map(<[u8]>::to_vec) else {
        return RangeOutcome::Full;
    };
    let specs: Vec<&[u8]> = set.split(|&c| c == b',').map(trim).filter(|spec| !spec.is_empty()).collect();
    if specs.is_empty() || specs.len() > 16 {
        return RangeOutcome::Full;
    }
    let mut ranges = Vec::new();
    for spec in specs {
        let dash = spec.iter().position(|&c| c == b'-').unwrap_or(0);
        let (from, to) = match (number(&spec[..dash]), number(&spec[dash..][1..])) {
            _ if spec[dash] != b'-' => return RangeOutcome::Full,
            (Number::Wrong, _) | (_, Number::Wrong) | (Number::None, Number::None) => return RangeOutcome::Full,
            (Number::None, Number::Some(0)) => continue,
            (Number::None, Number::Some(last)) => (length.saturating_sub(last), length),
            (Number::Some(first), Number::None) => (first, length),
            (Number::Some(first), Number::Some(last)) if first > last => return RangeOutcome::Full,
            (Number::Some(first), Number::Some(last)) => (first, length.min(last + 1)),
        };
        if from < length {
            ranges.push((from, to));
        }
    }
    let (Some(&(start, _)), Some(&(_, end))) = (ranges.iter().min(), ranges.iter().max_by_key(|range| range.1)) else {
        return RangeOutcome::NotSatisfiable;
    };
    // They form one range if there is no gap: each except the first begins inside or at the end of an earlier one.
    let one = ranges.iter().all(|&(from, _)| from == start || ranges.iter().any(|&(f, to)| f < from && to >= from));
    let part = ByteRange::new(start as u64, end as u64, length as u64);
    part.filter(|_| one).map_or(RangeOutcome::Full, RangeOutcome::Partial)
}

enum Number {
    None,
    Wrong,
    Some(u128),
}

/// A number beyond 64 bits counts as the largest of 64 bits.
fn number(digits: &[u8]) -> Number {
    if digits.is_empty() {
        return Number::None;
    }
    let mut sum = 0u128;
    for digit in digits {
        if !digit.is_ascii_digit() {
            return Number::Wrong;
        }
        sum = (sum * 10 + u128::from(digit - b'0')).min(u64::MAX.into());
    }
    Number::Some(sum)
}

fn trim(text: &[u8]) -> &[u8] {
    let blank = |c: &u8| matches!(c, b' ' | b'\t');
    let from = text.iter().position(|c| !blank(c)).unwrap_or(text.len());
    let to = text.iter().rposition(|c| !blank(c)).map_or(from, |last| last + 1);
    &text[from..to]
}
