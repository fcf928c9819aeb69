//! Dates in all three formats, as the library and a naive reader understand them: every day, every value of a few parts,
//! and every change of a byte.

use http_core::Date;

use crate::naive::date::{MONTHS, Stamp, read};
use crate::sequences::length;

/// 2026-06-15 12:00:00
const NOW: i64 = 1_781_524_800;
const NOW_STAMP: Stamp = [2026, 6, 15, 12, 0, 0];

/// Also reads what the library writes.
fn compare(text: &[u8]) {
    let expected = str::from_utf8(text).ok().and_then(|text| read(text, NOW_STAMP));
    let date = Date::parse(text, Date::from_unix(NOW).unwrap()).ok();
    assert_eq!(date.map(Date::unix), expected, "{}", text.escape_ascii());
    if let Some(date) = date {
        assert_eq!(read(date.text().as_str(), NOW_STAMP), expected, "{}", date.text());
    }
}

// R1945-3.3a, R9110-5.6.7
#[test]
fn every_day_is_read_as_by_a_naive_reader() {
    let mut count = 0u64;
    // The unit tests count through all years. Here are the first, the last, and those around now.
    for year in [0..=4, 1899..=1901, 1969..=2101, 9999..=9999].into_iter().flatten() {
        for (month, day) in MONTHS.iter().flat_map(|month| (0..=32).map(move |day| (month, day))) {
            compare(format!("Sun, {day:02} {month} {year:04} 08:49:37 GMT").as_bytes());
            compare(format!("Sunday, {day:02}-{month}-{:02} 08:49:37 GMT", year % 100).as_bytes());
            compare(format!("Sun {month} {day:2} 08:49:37 {year:04}").as_bytes());
            count += 3;
        }
    }
    println!("{count} dates");
    assert!(count > 100_000);
}

/// What may or just may not stand in each part of a date. The first of each is valid.
#[rustfmt::skip]
const PARTS: [&[&str]; 8] = [
    &["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sunday", "Wednesday", "sun", "Su", "Sum", ""],
    &[", ", ",", " ", ",  ", ""],
    &["01", "00", "06", " 6", "6", "28", "29", "30", "31", "32", "99", "+1", "1x", "001"],
    &["Nov", "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Dec", "nov", "No", "Foo", "11"],
    &["1994", "0000", "1900", "2000", "2024", "2100", "9999", "94", "00", "24", "76", "77", "199", "01994", "-999"],
    &["08:49:37", "00:00:00", "23:59:59", "23:59:60", "24:00:00", "12:60:00", "12:00:61", "8:49:37", "08:49", "08-49-37"],
    &["GMT", "gmt", "UTC", "", "+0000", "GMT "],
    &[" ", "-", "  ", ""],
];

// R1945-3.3a, R9110-5.6.7
#[test]
fn every_few_unusual_parts_of_a_date_are_read_as_by_a_naive_reader() {
    let (mut choices, mut count) = (vec![[0; PARTS.len()]], 0u64);
    // Another part is unusual in each round.
    for _ in 0..=length([2, 4]) {
        for choice in &choices {
            let [name, comma, day, month, year, time, zone, space] =
                std::array::from_fn(|part| PARTS[part][choice[part]]);
            compare(format!("{name}{comma}{day}{space}{month}{space}{year} {time} {zone}").as_bytes());
            compare(
                format!("{name}day{comma}{day}-{month}-{}{space}{time} {zone}", &year[year.len() - 2..]).as_bytes(),
            );
            compare(format!("{name}{space}{month} {day}{space}{time} {year}").as_bytes());
            count += 3;
        }
        choices = choices.iter().flat_map(with_another).collect();
    }
    println!("{count} dates");
    assert!(count > 5_000);
}

/// Changes one part behind the last that was changed, so that no choice comes twice.
fn with_another(choice: &[usize; PARTS.len()]) -> Vec<[usize; PARTS.len()]> {
    let from = choice.iter().rposition(|&value| value > 0).map_or(0, |part| part + 1);
    let changed = |part: usize, value| {
        let mut choice = *choice;
        choice[part] = value;
        choice
    };
    (from..PARTS.len()).flat_map(|part| (1..PARTS[part].len()).map(move |value| changed(part, value))).collect()
}

// R1945-3.3a, R9110-5.6.7
#[test]
fn every_change_of_a_byte_of_a_date_is_read_as_by_a_naive_reader() {
    let mut count = 0u64;
    for date in ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"] {
        for (place, byte) in (0..=date.len()).flat_map(|place| (0..=u8::MAX).map(move |byte| (place, byte))) {
            // It stands before the next byte, or instead of one or two.
            for removed in 0..=2.min(date.len() - place) {
                let mut text = date.as_bytes().to_vec();
                text.splice(place..place + removed, [byte]);
                compare(&text);
                count += 1;
            }
        }
        for place in 0..date.len() {
            compare(&[&date.as_bytes()[..place], &date.as_bytes()[place + 1..]].concat());
            count += 1;
        }
    }
    println!("{count} dates");
    assert!(count > 50_000);
}
