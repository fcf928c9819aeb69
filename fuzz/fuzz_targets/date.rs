//! Any bytes that parse as a date print as a date that parses as the same, and agree with the input.
#![no_main]

use http_core::Date;
use libfuzzer_sys::fuzz_target;

const FIFTY_YEARS: i64 = 50 * 366 * 86_400;

fuzz_target!(|input: (i64, &[u8])| {
    let (seconds, bytes) = input;
    // Any time that a date can express.
    let now = Date::from_unix(seconds % 253_402_300_800).or(Date::from_unix(0)).unwrap();
    let Ok(date) = Date::parse(bytes, now) else { return };

    let text = date.text();
    assert_eq!(Date::parse(text.as_bytes(), now), Ok(date));
    assert_eq!(Date::from_unix(date.unix()), Some(date));
    assert!(text.as_bytes().iter().all(|c| (b' '..=b'z').contains(c)));

    let leap_second = bytes.windows(3).any(|part| part == b":60");
    let printed = text.as_str();
    let input = |from: usize, to: usize| str::from_utf8(&bytes[from..to]).unwrap();
    match bytes[3] {
        _ if leap_second => {}
        // Sun, 06 Nov 1994 08:49:37 GMT
        b',' => assert_eq!(input(3, bytes.len()), &printed[3..]),
        // Sun Nov  6 08:49:37 1994
        b' ' => {
            assert_eq!(
                (input(4, 7), input(11, 19), input(20, 24)),
                (&printed[8..11], &printed[17..25], &printed[12..16])
            );
            assert_eq!(input(8, 10).trim_start().parse::<u8>(), printed[5..7].parse());
        }
        // Sunday, 06-Nov-94 08:49:37 GMT
        _ => {
            let day = bytes.iter().position(|&c| c == b' ').unwrap() + 1;
            assert_eq!((input(day, day + 2), input(day + 3, day + 6)), (&printed[5..7], &printed[8..11]));
            assert_eq!((input(day + 7, day + 9), input(day + 10, day + 18)), (&printed[14..16], &printed[17..25]));
            let ahead = date.unix() - now.unix();
            assert!((-FIFTY_YEARS..=FIFTY_YEARS).contains(&ahead), "{ahead} seconds ahead");
        }
    }
});
