//! HTTP dates: parses three formats, writes one, and caches the last one written. It reads no clock: the caller passes
//! the time.

use core::fmt;

use thiserror::Error;

use crate::message::field::FieldValue;

/// A time in UTC, to the second, from 0000-01-01 00:00:00 to 9999-12-31 23:59:59 (RFC 9110 §5.6.7).
///
/// ```
/// use http_core::Date;
/// let now = Date::from_unix(1_000_000_000).unwrap();
/// assert_eq!(now.text().as_str(), "Sun, 09 Sep 2001 01:46:40 GMT");
/// assert_eq!(Date::parse(b"Sunday, 09-Sep-01 01:46:40 GMT", now), Ok(now));
/// assert_eq!(Date::parse(b"Sun Sep  9 01:46:40 2001", now), Ok(now));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date(i64);

const FIRST: i64 = -62_167_219_200;
const LAST: i64 = 253_402_300_799;
const DAY: i64 = 86_400;

impl Date {
    /// Creates a date from seconds since 1970-01-01 00:00:00 UTC, not counting leap seconds.
    ///
    /// `None` if the year does not have four digits. From a clock:
    ///
    /// ```
    /// use std::time::{SystemTime, UNIX_EPOCH};
    /// use http_core::Date;
    ///
    /// let since = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    /// let now = i64::try_from(since).ok().and_then(Date::from_unix);
    /// assert!(now.is_some());
    /// # Ok::<(), std::time::SystemTimeError>(())
    /// ```
    pub const fn from_unix(seconds: i64) -> Option<Date> {
        if FIRST <= seconds && seconds <= LAST { Some(Date(seconds)) } else { None }
    }

    /// Seconds since 1970-01-01 00:00:00 UTC, not counting leap seconds; negative for earlier dates.
    pub const fn unix(self) -> i64 {
        self.0
    }

    /// The date as it is sent, in the format of RFC 1123 and in GMT (R1945-3.3b). It does not allocate.
    pub fn text(self) -> DateText {
        let civil = self.civil();
        let mut text = *b"Sun, 00 Jan 0000 00:00:00 GMT";
        text[..3].copy_from_slice(civil.weekday_name().as_bytes());
        text[8..11].copy_from_slice(civil.month_name().as_bytes());
        for (at, value) in [
            (5, civil.day),
            (12, (civil.year / 100) as u8),
            (14, (civil.year % 100) as u8),
            (17, civil.hour),
            (20, civil.minute),
            (23, civil.second),
        ] {
            text[at] = b'0' + value / 10;
            text[at + 1] = b'0' + value % 10;
        }
        DateText(text)
    }

    /// The date as calendars and clocks show it, in UTC.
    ///
    /// ```
    /// use http_core::Date;
    /// let date = Date::from_unix(1_000_000_000).unwrap().civil();
    /// assert_eq!((date.year, date.month, date.day), (2001, 9, 9));
    /// assert_eq!((date.hour, date.minute, date.second), (1, 46, 40));
    /// assert_eq!((date.weekday_name(), date.month_name()), ("Sun", "Sep"));
    /// ```
    pub fn civil(self) -> Civil {
        let days = self.0.div_euclid(DAY);
        let second = self.0.rem_euclid(DAY) as u32;
        let (year, month, day) = civil_of_days(days);
        Civil {
            year: year as u16,
            month: month as u8,
            day: day as u8,
            hour: (second / 3600) as u8,
            minute: (second / 60 % 60) as u8,
            second: (second % 60) as u8,
            weekday: (days + 4).rem_euclid(7) as u8, // 1970-01-01 was a Thursday
        }
    }

    /// Parses a date in one of three formats: RFC 1123, RFC 850 or asctime (R1945-3.3a, R9110-5.6.7).
    ///
    /// `now` decides the century of a two-digit year: a date more than 50 years in the future belongs to the past.
    ///
    /// Second 60 is a leap second and counts as the second after it. The name of the weekday must be valid, but it need
    /// not match the date: recipients disagree about dates where it does not.
    ///
    /// # Errors
    /// [`InvalidDate`] for any other form, and for a date or time that does not exist: 30 February, hour 24, second 61.
    pub fn parse(text: &[u8], now: Date) -> Result<Date, InvalidDate> {
        Date::read(text, now).ok_or(InvalidDate)
    }

    fn read(text: &[u8], now: Date) -> Option<Date> {
        let mut rest = Reader(text);
        let stamp = match text.get(3)? {
            b',' => rest.rfc_1123()?,
            b' ' => rest.asctime()?,
            _ => rest.rfc_850(now)?,
        };
        if rest.0.is_empty() { stamp.date() } else { None }
    }
}

/// A date and a time of day in UTC. Only [`Date::civil`] makes one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Civil {
    /// 0 to 9999.
    pub year: u16,
    /// 1 to 12.
    pub month: u8,
    /// 1 to 31.
    pub day: u8,
    /// 0 to 23.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
    /// 0 to 59.
    pub second: u8,
    /// Days since Sunday, 0 to 6.
    pub weekday: u8,
}

impl Civil {
    /// The name of the month, such as `Jan`.
    pub fn month_name(&self) -> &'static str {
        MONTHS.get(usize::from(self.month).wrapping_sub(1)).copied().unwrap_or_default()
    }

    /// The short name of the weekday, such as `Sun`.
    pub fn weekday_name(&self) -> &'static str {
        WEEKDAYS.get(usize::from(self.weekday)).map_or("", |name| &name[..3])
    }
}

/// The error for a text that is not a [`Date`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[error("invalid date: expected one like \"Sun, 06 Nov 1994 08:49:37 GMT\"")]
pub struct InvalidDate;

/// A date as it is sent: 29 ASCII bytes, such as `Sun, 06 Nov 1994 08:49:37 GMT`. Only [`Date::text`] makes one.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct DateText([u8; 29]);

impl DateText {
    /// The text as bytes.
    pub const fn as_bytes(&self) -> &[u8; 29] {
        &self.0
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        str::from_utf8(&self.0).unwrap_or_default() // it is ASCII
    }

    /// The text as a field value.
    ///
    /// ```
    /// use http_core::{Date, FieldBlock, header};
    /// let mut fields = FieldBlock::new();
    /// let modified = Date::from_unix(0).unwrap().text();
    /// fields.push(header::LAST_MODIFIED, modified.value())?;
    /// assert_eq!(fields.as_bytes(), b"Last-Modified: Thu, 01 Jan 1970 00:00:00 GMT\r\n");
    /// # Ok::<(), http_core::ReservedField>(())
    /// ```
    pub fn value(&self) -> FieldValue<'_> {
        FieldValue::new(&self.0).unwrap_or(FieldValue::from_static("")) // it holds no control byte
    }
}

impl fmt::Display for DateText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for DateText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.as_str())
    }
}

/// A cache of the last formatted date, so that many responses within one second format it once.
///
/// ```
/// use http_core::{Date, DateCache};
/// let mut cache = DateCache::new();
/// let now = Date::from_unix(784_111_777).unwrap();
/// assert_eq!(cache.text(now), now.text());
/// assert_eq!(cache.text(now), now.text());   // copied
/// ```
#[derive(Clone, Debug, Default)]
pub struct DateCache(Option<(Date, DateText)>);

impl DateCache {
    /// Creates an empty cache. Use one per thread.
    pub const fn new() -> DateCache {
        DateCache(None)
    }

    /// The text of this date, copied from the cache if the last call had the same second.
    pub fn text(&mut self, now: Date) -> DateText {
        match self.0 {
            Some((date, text)) if date == now => text,
            _ => self.0.insert((now, now.text())).1,
        }
    }
}

const WEEKDAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Date fields as parsed, not yet checked against the calendar. A later stamp compares greater.
#[derive(Clone, Copy, PartialEq, PartialOrd)]
struct Stamp {
    year: i64,
    month: i64,
    day: i64,
    time: [i64; 3],
}

impl Stamp {
    fn date(self) -> Option<Date> {
        let [hour, minute, second] = self.time;
        let days = days(self.year, self.month, self.day);
        // A day that the month does not have is converted back to a day of the next month.
        if civil_of_days(days) != (self.year, self.month, self.day) || hour > 23 || minute > 59 || second > 60 {
            return None;
        }
        Date::from_unix(days * DAY + hour * 3600 + minute * 60 + second)
    }
}

/// The rest of the text. Every method consumes from its front.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    /// `Sun, 06 Nov 1994 08:49:37 GMT`
    fn rfc_1123(&mut self) -> Option<Stamp> {
        self.one_of(&WEEKDAYS.map(|name| &name[..3]))?;
        self.literal(b", ")?;
        let day = self.number(2)?;
        self.literal(b" ")?;
        let month = self.month()?;
        self.literal(b" ")?;
        let year = self.number(4)?;
        self.literal(b" ")?;
        let time = self.time()?;
        self.literal(b" GMT")?;
        Some(Stamp { year, month, day, time })
    }

    /// `Sunday, 06-Nov-94 08:49:37 GMT`
    fn rfc_850(&mut self, now: Date) -> Option<Stamp> {
        self.one_of(&WEEKDAYS)?;
        self.literal(b", ")?;
        let day = self.number(2)?;
        self.literal(b"-")?;
        let month = self.month()?;
        self.literal(b"-")?;
        let year = self.number(2)?;
        self.literal(b" ")?;
        let time = self.time()?;
        self.literal(b" GMT")?;

        // The latest year with these digits that is at most 50 years in the future (R9110-5.6.7).
        let now = now.civil();
        let horizon = Stamp {
            year: i64::from(now.year) + 50,
            month: now.month.into(),
            day: now.day.into(),
            time: [now.hour.into(), now.minute.into(), now.second.into()],
        };
        let mut stamp = Stamp { year: horizon.year - (horizon.year - year).rem_euclid(100), month, day, time };
        if stamp > horizon {
            stamp.year -= 100;
        }
        Some(stamp)
    }

    /// `Sun Nov  6 08:49:37 1994`
    fn asctime(&mut self) -> Option<Stamp> {
        self.one_of(&WEEKDAYS.map(|name| &name[..3]))?;
        self.literal(b" ")?;
        let month = self.month()?;
        self.literal(b" ")?;
        let day = if self.literal(b" ").is_some() { self.number(1)? } else { self.number(2)? };
        self.literal(b" ")?;
        let time = self.time()?;
        self.literal(b" ")?;
        let year = self.number(4)?;
        Some(Stamp { year, month, day, time })
    }

    fn time(&mut self) -> Option<[i64; 3]> {
        let hour = self.number(2)?;
        self.literal(b":")?;
        let minute = self.number(2)?;
        self.literal(b":")?;
        Some([hour, minute, self.number(2)?])
    }

    fn month(&mut self) -> Option<i64> {
        self.one_of(&MONTHS).map(|index| index as i64 + 1)
    }

    /// Matches one of the names, which are case-sensitive (RFC 9110 §5.6.7).
    fn one_of(&mut self, names: &[&str]) -> Option<usize> {
        names.iter().position(|name| self.literal(name.as_bytes()).is_some())
    }

    fn literal(&mut self, expected: &[u8]) -> Option<()> {
        self.0 = self.0.strip_prefix(expected)?;
        Some(())
    }

    /// A number of exactly this many digits, without a sign or space.
    fn number(&mut self, digits: usize) -> Option<i64> {
        let (number, rest) = self.0.split_at_checked(digits)?;
        self.0 = rest;
        number.iter().try_fold(0, |sum, digit| digit.is_ascii_digit().then(|| sum * 10 + i64::from(digit - b'0')))
    }
}

/// Days from 1970-01-01 to a day of the Gregorian calendar.
///
/// The year begins in March here, so the leap day is the last of the year. The lengths of the months before it, twice
/// 31 30 31 30 31, are the steps of a line with slope 153/5.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let of_year = (153 * month + 2) / 5 + day - 1;
    365 * year + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + of_year - MARCH_0000_TO_1970
}

/// The inverse of [`days`]: year, month and day.
fn civil_of_days(days: i64) -> (i64, i64, i64) {
    let days = days + MARCH_0000_TO_1970;
    let cycle = days.div_euclid(146_097); // 400 years
    let day = days.rem_euclid(146_097);
    // Without the leap days before it, each year has 365 days.
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let of_year = day - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let year = cycle * 400 + year;
    if month < 10 { (year, month + 3, day) } else { (year + 1, month - 9, day) }
}

/// Days from 0000-03-01 to 1970-01-01.
const MARCH_0000_TO_1970: i64 = 719_468;

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use alloc::string::String;
    use proptest::prelude::*;
    use std::time::{Duration, UNIX_EPOCH};

    fn date(seconds: i64) -> Date {
        Date::from_unix(seconds).unwrap()
    }

    /// 2026-06-15 12:00:00
    const NOW: i64 = 1_781_524_800;

    fn parse(text: &str) -> Option<String> {
        Date::parse(text.as_bytes(), date(NOW)).ok().map(|date| String::from(date.text().as_str()))
    }

    // R1945-3.3a, R1945-3.3b, R9110-5.6.7
    #[test]
    fn three_formats_are_read_and_one_is_written() {
        assert_eq!(date(NOW).text().as_str(), "Mon, 15 Jun 2026 12:00:00 GMT");
        for (text, expected) in [
            ("Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:37 GMT"),
            ("Sunday, 06-Nov-94 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:37 GMT"),
            ("Sun Nov  6 08:49:37 1994", "Sun, 06 Nov 1994 08:49:37 GMT"),
            ("Sun Nov 06 08:49:37 1994", "Sun, 06 Nov 1994 08:49:37 GMT"),
            ("Wed Nov 16 08:49:37 1994", "Wed, 16 Nov 1994 08:49:37 GMT"),
            // The wrong day of the week, but a valid one.
            ("Mon, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:37 GMT"),
            ("Thu, 29 Feb 2024 00:00:00 GMT", "Thu, 29 Feb 2024 00:00:00 GMT"),
            ("Tue, 29 Feb 2000 00:00:00 GMT", "Tue, 29 Feb 2000 00:00:00 GMT"),
            // A leap second counts as the following second.
            ("Sat, 31 Dec 2016 23:59:60 GMT", "Sun, 01 Jan 2017 00:00:00 GMT"),
            ("Wed, 31 Dec 1969 23:59:59 GMT", "Wed, 31 Dec 1969 23:59:59 GMT"),
            ("Mon, 01 Jan 1601 00:00:00 GMT", "Mon, 01 Jan 1601 00:00:00 GMT"),
            ("Sat, 01 Jan 0000 00:00:00 GMT", "Sat, 01 Jan 0000 00:00:00 GMT"),
            ("Tue, 29 Feb 0000 00:00:00 GMT", "Tue, 29 Feb 0000 00:00:00 GMT"),
            ("Fri, 31 Dec 9999 23:59:59 GMT", "Fri, 31 Dec 9999 23:59:59 GMT"),
        ] {
            assert_eq!(parse(text).as_deref(), Some(expected), "{text}");
        }
    }

    // R9110-5.6.7
    #[test]
    fn invalid_dates_are_rejected() {
        for text in [
            "",
            "Sun",
            "Sun,",
            "Sun ",
            "0",
            "784111777",
            "Sun, 06 Nov 1994 08:49:37",
            "Sun, 06 Nov 1994 08:49:37 ",
            "Sun, 06 Nov 1994 08:49:37 GM",
            "Sun, 06 Nov 1994 08:49:37 UTC",
            "Sun, 06 Nov 1994 08:49:37 gmt",
            "Sun, 06 Nov 1994 08:49:37 +0000",
            "Sun, 06 Nov 1994 08:49:37 GMT ",
            " Sun, 06 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:37 GMT; length=5",
            "Sun,06 Nov 1994 08:49:37 GMT",
            "Sun, 6 Nov 1994 08:49:37 GMT",
            "Sun,  6 Nov 1994 08:49:37 GMT",
            "Sun, +6 Nov 1994 08:49:37 GMT",
            "Sun, -6 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov +994 08:49:37 GMT",
            "Sun, 06 Nov -994 08:49:37 GMT",
            "Sun, 06 Nov 94 08:49:37 GMT",
            "Sun, 06 Nov 10000 08:49:37 GMT",
            "Sun, 06 Nov 1994 8:49:37 GMT",
            "Sun, 06 Nov 1994 08:49 GMT",
            "Sun, 06 Nov 1994 08.49.37 GMT",
            "Sun, 06-Nov-1994 08:49:37 GMT",
            "sun, 06 Nov 1994 08:49:37 GMT",
            "Son, 06 Nov 1994 08:49:37 GMT",
            "Sun, 06 nov 1994 08:49:37 GMT",
            "Sun, 06 Nev 1994 08:49:37 GMT",
            "Sun, 00 Nov 1994 08:49:37 GMT",
            "Sun, 31 Nov 1994 08:49:37 GMT",
            "Sun, 32 Jan 1994 08:49:37 GMT",
            "Sun, 30 Feb 2024 08:49:37 GMT",
            "Sun, 29 Feb 2023 08:49:37 GMT",
            "Sun, 29 Feb 1900 08:49:37 GMT",
            "Sun, 06 Nov 1994 24:00:00 GMT",
            "Sun, 06 Nov 1994 08:60:00 GMT",
            "Sun, 06 Nov 1994 08:49:61 GMT",
            "Fri, 31 Dec 9999 23:59:60 GMT",
            "Sunday, 6-Nov-94 08:49:37 GMT",
            "Sunday, 06-Nov-994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37",
            "Sunday 06-Nov-94 08:49:37 GMT",
            "Someday, 06-Nov-94 08:49:37 GMT",
            "Sun, 06-Nov-94 08:49:37 GMT",
            "Monday, 29-Feb-23 08:49:37 GMT",
            "Sun Nov 6 08:49:37 1994",
            "Sun Nov   6 08:49:37 1994",
            "Sun Nov  0 08:49:37 1994",
            "Sun Nov  6 08:49:37 94",
            "Sun Nov  6 08:49:37 10000",
            "Sun Nov  6 08:49:37 1994 GMT",
            "Sun Nov  6 08:49:37 GMT 1994",
            "Sunday Nov  6 08:49:37 1994",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
        for form in ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"] {
            for end in 0..form.len() {
                assert_eq!(parse(&form[..end]), None, "{}", &form[..end]);
            }
            assert_eq!(parse(&format!("{form}0")), None);
        }
    }

    // R9110-5.6.7
    #[test]
    fn two_digit_year_is_at_most_50_years_ahead() {
        for (now, text, year) in [
            (NOW, "15-Jun-26 12:00:00", "2026"),
            (NOW, "31-Dec-99 00:00:00", "1999"),
            (NOW, "01-Jan-00 00:00:00", "2000"),
            (NOW, "14-Jun-76 12:00:00", "2076"),
            (NOW, "15-Jun-76 12:00:00", "2076"),
            (NOW, "15-Jun-76 12:00:01", "1976"),
            (NOW + 1230, "15-Jun-76 12:20:30", "2076"),
            (NOW + 1230, "15-Jun-76 12:20:31", "1976"),
            (NOW, "01-Jan-77 00:00:00", "1977"),
            (784_111_777, "01-Jan-10 00:00:00", "2010"), // 1994
            (784_111_777, "01-Jan-45 00:00:00", "1945"),
            (3_786_912_000, "01-Jan-10 00:00:00", "2110"), // 2090
            (951_782_400, "29-Feb-50 00:00:00", ""),       // 2000-02-29: no such day in 2050
            (2_524_608_000, "29-Feb-00 00:00:00", "2000"), // 2050-01-01: 2100 is too far
            (LAST, "01-Jan-00 00:00:00", ""),              // 10000
            (FIRST, "01-Jan-99 00:00:00", ""),             // -1
        ] {
            let got = Date::parse(format!("Monday, {text} GMT").as_bytes(), date(now));
            let got = got.map(|date| String::from(&date.text().as_str()[12..16])).unwrap_or_default();
            assert_eq!(got, year, "{text}");
        }
    }

    // V29
    #[test]
    fn year_has_four_digits() {
        assert_eq!(Date::from_unix(FIRST - 1), None);
        assert_eq!(Date::from_unix(LAST + 1), None);
        assert_eq!(Date::from_unix(i64::MIN), None);
        assert_eq!(Date::from_unix(i64::MAX), None);
        assert_eq!(date(FIRST).text().as_str(), "Sat, 01 Jan 0000 00:00:00 GMT");
        assert_eq!(date(LAST).text().as_str(), "Fri, 31 Dec 9999 23:59:59 GMT");
        assert_eq!(date(-1).text().as_str(), "Wed, 31 Dec 1969 23:59:59 GMT");
    }

    #[test]
    fn every_day_follows_the_day_before() {
        let (mut year, mut month, mut day) = (0, 1, 1);
        for days_since in FIRST / DAY..=LAST / DAY {
            assert_eq!(civil_of_days(days_since), (year, month, day));
            assert_eq!(days(year, month, day), days_since);
            let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            let length = match month {
                2 => 28 + i64::from(leap),
                4 | 6 | 9 | 11 => 30,
                _ => 31,
            };
            (year, month, day) = match (month, day) {
                (12, 31) => (year + 1, 1, 1),
                _ if day == length => (year, month + 1, 1),
                _ => (year, month, day + 1),
            };
        }
        assert_eq!((year, month, day), (10_000, 1, 1));
    }

    #[test]
    fn date_shows_its_text_and_its_seconds() {
        let (date, text) = (date(784_111_777), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!((format!("{}", date.text()), format!("{:?}", date.text())), (text.into(), format!("{text:?}")));
        assert_eq!(date.unix(), 784_111_777);
    }

    #[test]
    fn cache_is_never_a_second_old() {
        let mut cache = DateCache::new();
        for seconds in [NOW, NOW, NOW + 1, NOW, 0] {
            assert_eq!(cache.text(date(seconds)), date(seconds).text());
        }
    }

    proptest! {
        #[test]
        fn parsing_undoes_writing(seconds in FIRST..=LAST, now in FIRST..=LAST) {
            prop_assert_eq!(Date::parse(date(seconds).text().as_bytes(), date(now)), Ok(date(seconds)));
        }

        #[test]
        fn httpdate_agrees(seconds in 0..=LAST) {
            let theirs = UNIX_EPOCH + Duration::from_secs(seconds as u64);
            let text = httpdate::fmt_http_date(theirs);
            let ours = date(seconds).text();
            prop_assert_eq!(ours.as_str(), &text);
            prop_assert_eq!(httpdate::parse_http_date(&text).unwrap(), theirs);

            let (weekday, month, year, time) = (&text[..3], &text[8..11], &text[12..16], &text[17..25]);
            let day = text[5..7].trim_start_matches('0');
            let asctime = format!("{weekday} {month} {day:>2} {time} {year}");
            prop_assert_eq!(httpdate::parse_http_date(&asctime).unwrap(), theirs);
            prop_assert_eq!(Date::parse(asctime.as_bytes(), date(NOW)), Ok(date(seconds)));
        }

        #[test]
        fn parse_never_panics(text in proptest::collection::vec(any::<u8>(), 0..40), now in FIRST..=LAST) {
            let _ = Date::parse(&text, date(now));
        }
    }
}
