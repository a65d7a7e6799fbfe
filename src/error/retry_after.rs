//! When to come back: `Retry-After` (RFC 9110, section 10.2.3), and the dates of HTTP (section 5.6.7).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::Refusal;

const DAY: u64 = 24 * 60 * 60;
const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

impl Refusal {
    /// How long the server wants to be left alone: its `Retry-After`, as a number of seconds or as a date. The date is compared
    /// with the server's own clock if it told its `Date`, else with `now`; one that is past is zero. `None` where the header is
    /// missing or makes no sense.
    ///
    /// ```no_run
    /// use std::time::SystemTime;
    ///
    /// use websocket_sync::{Error, create_connection};
    ///
    /// if let Err(Error::Refused(refusal)) = create_connection("wss://feed.example/")
    ///     && let Some(pause) = refusal.retry_after(SystemTime::now())
    /// {
    ///     std::thread::sleep(pause);
    /// }
    /// ```
    pub fn retry_after(&self, now: SystemTime) -> Option<Duration> {
        let value = self.headers.text("retry-after")?;
        if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
            return value.parse().ok().map(Duration::from_secs);
        }
        let now = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let now = self.headers.text("date").and_then(|date| seconds(&date, now)).unwrap_or(now);
        Some(Duration::from_secs(seconds(&value, now)?.saturating_sub(now)))
    }
}

/// A date in one of the three forms, in seconds since 1970. `now` says which century two digits belong to.
fn seconds(date: &str, now: u64) -> Option<u64> {
    let parts: Vec<&str> = date.split(' ').collect();
    match parts[..] {
        // Sun, 06 Nov 1994 08:49:37 GMT
        [day, date, month, year, time, "GMT"] if is_day(day.strip_suffix(',')?) => {
            at(number(year, 4)?, month, number(date, 2)?, time)
        }
        // Sunday, 06-Nov-94 08:49:37 GMT
        [day, date, time, "GMT"] if day.ends_with("day,") && is_day(day.get(..3)?) => {
            let [date, month, year] = date.split('-').collect::<Vec<_>>().try_into().ok()?;
            in_century(number(year, 2)?, month, number(date, 2)?, time, now)
        }
        // Sun Nov  6 08:49:37 1994
        [day, month, "", date, time, year] if is_day(day) => at(number(year, 4)?, month, number(date, 1)?, time),
        [day, month, date, time, year] if is_day(day) => at(number(year, 4)?, month, number(date, 2)?, time),
        _ => None,
    }
}

fn is_day(name: &str) -> bool {
    DAYS.contains(&name)
}

/// Exactly so many digits.
fn number(digits: &str, length: usize) -> Option<u64> {
    let is_number = digits.len() == length && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse().ok()).flatten()
}

/// A year of two digits is the last such one that is not more than 50 years ahead.
fn in_century(year: u64, month: &str, date: u64, time: &str, now: u64) -> Option<u64> {
    let this_year = 1970 + now / (DAY * 1461 / 4);
    let latest = this_year + 50;
    let year = latest - (latest - year) % 100;
    at(year, month, date, time)
}

fn at(year: u64, month: &str, date: u64, time: &str) -> Option<u64> {
    let month = MONTHS.iter().position(|name| *name == month)?;
    let [hours, minutes, seconds] = time.split(':').collect::<Vec<_>>().try_into().ok()?;
    let (hours, minutes, seconds) = (number(hours, 2)?, number(minutes, 2)?, number(seconds, 2)?);
    // A leap second is the last of its minute (RFC 9110, section 5.6.7).
    if year < 1970 || !(1..=days_of(month, year)).contains(&date) || hours > 23 || minutes > 59 || seconds > 60 {
        return None;
    }
    let days = days_before(year) + (0..month).map(|month| days_of(month, year)).sum::<u64>() + date - 1;
    Some(days * DAY + hours * 3600 + minutes * 60 + seconds)
}

/// From 1970 to the beginning of this year.
const fn days_before(year: u64) -> u64 {
    const fn leap_days(before: u64) -> u64 {
        let last = before - 1;
        last / 4 - last / 100 + last / 400
    }
    (year - 1970) * 365 + leap_days(year) - leap_days(1970)
}

/// How many days a month has, counted from 0.
const fn days_of(month: usize, year: u64) -> u64 {
    match month {
        1 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => 29,
        1 => 28,
        3 | 5 | 8 | 10 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::protocol::handshake::{ClientHandshake, ClientRequest, HandshakeOutcome, HeadLimits};

    /// 6 November 1994, 08:49:37.
    const THEN: u64 = 784_111_777;

    fn refusal(fields: &str) -> Refusal {
        let request = ClientRequest::new("h", "/");
        let (mut handshake, _) = ClientHandshake::new(&request, HeadLimits::default(), [0; 16]).unwrap();
        let answer = format!("HTTP/1.1 503 Busy\r\n{fields}Content-Length: 0\r\n\r\n");
        match handshake.receive(answer.as_bytes()) {
            Ok(Some(HandshakeOutcome::Refused(refusal))) => refusal,
            other => panic!("{other:?}"),
        }
    }

    fn retry_after(value: &str) -> Option<u64> {
        let refusal = refusal(&format!("Retry-After: {value}\r\n"));
        refusal.retry_after(UNIX_EPOCH + Duration::from_secs(THEN)).map(|pause| pause.as_secs())
    }

    #[test]
    fn it_is_a_number_of_seconds_or_a_date_in_three_forms() {
        let table = [
            ("120", Some(120)),
            ("0", Some(0)),
            ("007", Some(7)),
            ("18446744073709551615", Some(u64::MAX)),
            ("18446744073709551616", None),
            ("-1", None),
            ("+1", None),
            ("1.5", None),
            ("", None),
            ("soon", None),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(0)),
            ("Sun, 06 Nov 1994 08:50:37 GMT", Some(60)),
            ("Sun, 06 Nov 1994 08:49:60 GMT", Some(23)),
            ("Sunday, 06-Nov-94 08:49:40 GMT", Some(3)),
            ("Sun Nov  6 08:49:38 1994", Some(1)),
            ("Wed Nov 16 08:49:37 1994", Some(10 * DAY)),
            ("Sat, 05 Nov 1994 08:49:37 GMT", Some(0)),
            ("Thu, 01 Jan 1970 00:00:00 GMT", Some(0)),
            ("Sun, 06 Nov 1994 08:49:37", None),
            ("Sun, 06 Nov 1994 08:49:37 UTC", None),
            ("Sun,  06 Nov 1994 08:49:37 GMT", None),
            ("Foo, 06 Nov 1994 08:49:37 GMT", None),
            ("Sun, 06 Foo 1994 08:49:37 GMT", None),
            ("Sun, 6 Nov 1994 08:49:37 GMT", None),
            ("Sun, 31 Nov 1994 08:49:37 GMT", None),
            ("Sun, 00 Nov 1994 08:49:37 GMT", None),
            ("Sun, 29 Feb 1995 08:49:37 GMT", None),
            ("Sun, 06 Nov 1969 08:49:37 GMT", None),
            ("Sun, 06 Nov 1994 24:00:00 GMT", None),
            ("Sun, 06 Nov 1994 08:60:00 GMT", None),
            ("Sun, 06 Nov 1994 08:49:61 GMT", None),
            ("Sun, 06 Nov 1994 08:49 GMT", None),
            ("S\u{e9}, 06-Nov-94 08:49:37 GMT", None),
        ];
        for (value, expected) in table {
            assert_eq!(retry_after(value), expected, "{value}");
        }
        assert_eq!(refusal("").retry_after(SystemTime::now()), None);
    }

    #[test]
    fn days_are_counted_by_the_gregorian_calendar() {
        let table = [
            ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
            ("Tue, 29 Feb 2000 00:00:00 GMT", 951_782_400),
            ("Tue, 19 Jan 2038 03:14:08 GMT", 2_147_483_648),
            ("Mon, 01 Mar 2100 00:00:00 GMT", 4_107_542_400),
            ("Fri, 31 Dec 9999 23:59:59 GMT", 253_402_300_799),
        ];
        for (date, expected) in table {
            assert_eq!(seconds(date, 0), Some(expected), "{date}");
        }
    }

    #[test]
    fn years_of_two_digits_are_not_far_ahead() {
        let year_2026 = 1_790_000_000;
        let table = [("26", "2026"), ("76", "2076"), ("77", "1977"), ("99", "1999"), ("00", "2000")];
        for (two, four) in table {
            let short = seconds(&format!("Sunday, 06-Nov-{two} 08:49:37 GMT"), year_2026);
            assert_eq!(short, seconds(&format!("Sun, 06 Nov {four} 08:49:37 GMT"), 0), "{two}");
            assert!(short.is_some());
        }
    }

    proptest! {
        #[test]
        fn no_value_makes_it_panic(
            value in "(Sun|Sunday,|Sun,)? ?[0-9]{0,2}[ -]{0,2}(Nov|Feb)?[ -][0-9]{1,5} [0-9:]{0,9}( GMT)?|[ -~\u{e9}]{0,30}",
            now in any::<u64>(),
        ) {
            let _ = seconds(&value, now);
        }
    }

    #[test]
    fn the_clock_of_the_server_counts_more_than_ours() {
        let refusal = refusal("Date: Sun, 06 Nov 1994 08:49:37 GMT\r\nRetry-After: Sun, 06 Nov 1994 08:49:47 GMT\r\n");
        for now in [UNIX_EPOCH, UNIX_EPOCH + Duration::from_secs(THEN), SystemTime::now()] {
            assert_eq!(refusal.retry_after(now), Some(Duration::from_secs(10)));
        }
    }
}
