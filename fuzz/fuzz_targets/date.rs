//! Any bytes are the date that a naive reader finds, and it prints as a date that parses as the same.
#![no_main]

#[path = "../../crates/http-core/tests/worlds/naive/date.rs"]
mod naive;

use http_core::{Civil, Date};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (i64, &[u8])| {
    let (seconds, bytes) = input;
    // Any time that a date can express.
    let now = Date::from_unix(seconds % 253_402_300_800).or(Date::from_unix(0)).unwrap();
    let Civil { year, month, day, hour, minute, second, .. } = now.civil();
    let stamp = [year.into(), month.into(), day.into(), hour.into(), minute.into(), second.into()];
    let expected = str::from_utf8(bytes).ok().and_then(|text| naive::read(text, stamp));
    let date = Date::parse(bytes, now).ok();
    assert_eq!(date.map(Date::unix), expected);
    let Some(date) = date else { return };

    let text = date.text();
    assert_eq!(Date::parse(text.as_bytes(), now), Ok(date));
    assert_eq!(Date::from_unix(date.unix()), Some(date));
    assert!(text.as_bytes().iter().all(|c| (b' '..=b'z').contains(c)));
});
