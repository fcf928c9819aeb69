//! `HTTP-date` (RFC 9110 §5.6.7): splits at the separators and adds up days.

const NAMES: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const LONG_NAMES: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
pub(crate) const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Year, month, day, hour, minute, second.
pub(crate) type Stamp = [i64; 6];

/// Seconds since 1970-01-01 00:00:00. The name of the day need not be that of the date: recipients disagree about
/// such dates (see `Date::parse`).
pub(crate) fn read(text: &str, now: Stamp) -> Option<i64> {
    seconds(imf_fixdate(text).or_else(|| rfc850_date(text, now)).or_else(|| asctime_date(text))?)
}

/// `Sun, 06 Nov 1994 08:49:37 GMT`
fn imf_fixdate(text: &str) -> Option<Stamp> {
    let (name, rest) = text.split_once(", ")?;
    let [day, month, year, time, "GMT"] = rest.split(' ').collect::<Vec<_>>()[..] else { return None };
    NAMES.contains(&name).then_some(())?;
    stamp(number(year, 4)?, month, number(day, 2)?, time)
}

/// `Sunday, 06-Nov-94 08:49:37 GMT`
fn rfc850_date(text: &str, now: Stamp) -> Option<Stamp> {
    let (name, rest) = text.split_once(", ")?;
    let [date, time, "GMT"] = rest.split(' ').collect::<Vec<_>>()[..] else { return None };
    let [day, month, year] = date.split('-').collect::<Vec<_>>()[..] else { return None };
    LONG_NAMES.contains(&name).then_some(())?;
    // "a timestamp … that appears to be more than 50 years in the future" is in the past.
    let of_year = |year| stamp(year, month, number(day, 2)?, time);
    let [this_year, rest @ ..] = now;
    let is_near = |stamp: Stamp| (stamp[0], &stamp[1..]) <= (this_year + 50, &rest[..]);
    let year = number(year, 2)?;
    (0..=100).rev().filter_map(|century| of_year(100 * century + year)).find(|&stamp| is_near(stamp))
}

/// `Sun Nov  6 08:49:37 1994`
fn asctime_date(text: &str) -> Option<Stamp> {
    let (name, month, day, time, year) = match text.split(' ').collect::<Vec<_>>()[..] {
        [name, month, "", day, time, year] => (name, month, number(day, 1)?, time, year),
        [name, month, day, time, year] => (name, month, number(day, 2)?, time, year),
        _ => return None,
    };
    NAMES.contains(&name).then_some(())?;
    stamp(number(year, 4)?, month, day, time)
}

fn stamp(year: i64, month: &str, day: i64, time: &str) -> Option<Stamp> {
    let month = 1 + MONTHS.iter().position(|name| *name == month)? as i64;
    let [hour, minute, second] = time.split(':').collect::<Vec<_>>()[..] else { return None };
    Some([year, month, day, number(hour, 2)?, number(minute, 2)?, number(second, 2)?])
}

/// So many digits.
fn number(text: &str, digits: usize) -> Option<i64> {
    (text.len() == digits && text.bytes().all(|c| c.is_ascii_digit())).then(|| text.parse().unwrap())
}

/// `None` for a day or a time that does not exist, and beyond the year 9999. Second 60 is a leap second.
fn seconds([year, month, day, hour, minute, second]: Stamp) -> Option<i64> {
    let exists = 1 <= day && day <= days_of_month(year, month) && hour <= 23 && minute <= 59 && second <= 60;
    let of_year: i64 = (1..month).map(|month| days_of_month(year, month)).sum();
    let days = days_before(year) - days_before(1970) + of_year + day - 1;
    let seconds = ((days * 24 + hour) * 60 + minute) * 60 + second;
    (exists && seconds < (days_before(10_000) - days_before(1970)) * 86_400).then_some(seconds)
}

fn days_of_month(year: i64, month: i64) -> i64 {
    let is_leap_year = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    [31, if is_leap_year { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month as usize - 1]
}

/// Days in the years from 0 on that precede this one.
fn days_before(year: i64) -> i64 {
    let multiples = |n: i64| (year + n - 1) / n; // from 0 on, below `year`
    365 * year + multiples(4) - multiples(100) + multiples(400)
}
