//! Dates in cookies, which come in more forms than HTTP knows (RFC 6265, section 5.1.1).

/// Seconds since 1970 of a cookie's date, 0 for what lies before; `None` if it is none.
pub(super) fn parse(text: &str) -> Option<u64> {
    let (mut time, mut day, mut month, mut year) = (None, None, None, None);
    for token in text.split(is_delimiter).filter(|token| !token.is_empty()) {
        // The first that looks like one is the one, and each token is one thing.
        if time.is_none() && token_time(token).is_some() {
            time = token_time(token);
        } else if day.is_none() && token_number(token, 1..=2).is_some() {
            day = token_number(token, 1..=2);
        } else if month.is_none() && token_month(token).is_some() {
            month = token_month(token);
        } else if year.is_none() {
            year = token_number(token, 2..=4);
        }
    }
    let year = match year? {
        year @ 70..=99 => year + 1900,
        year @ 0..70 => year + 2000,
        year => year,
    };
    let (day, month, [hour, minute, second]) = (day?, month?, time?);
    let in_range = year >= 1601 && (1..=days_in(year, month)).contains(&day) && hour < 24 && minute < 60 && second < 60;
    in_range.then(|| {
        let seconds = days_since_1970(year, month, day) * 86_400 + i64::from(hour * 3600 + minute * 60 + second);
        u64::try_from(seconds).unwrap_or(0)
    })
}

const fn is_delimiter(c: char) -> bool {
    matches!(c, '\t' | ' '..='/' | ';'..='@' | '['..='`' | '{'..='~')
}

/// `hour:minute:second`, each of one or two digits; what follows the last does not count.
fn token_time(token: &str) -> Option<[u32; 3]> {
    let mut parts = token.splitn(3, ':');
    let mut exactly = || parts.next().filter(|part| part.len() <= 2 && part.bytes().all(|byte| byte.is_ascii_digit()));
    let (hour, minute) = (exactly()?.parse().ok()?, exactly()?.parse().ok()?);
    Some([hour, minute, token_number(parts.next()?, 1..=2)?])
}

/// The number that a token begins with, of so many digits; what follows does not count unless it is one more digit.
fn token_number(token: &str, digits: std::ops::RangeInclusive<usize>) -> Option<u32> {
    let length = token.bytes().take_while(u8::is_ascii_digit).count();
    token.get(..length).filter(|_| digits.contains(&length))?.parse().ok()
}

/// The month whose first three letters these are, from 1.
fn token_month(token: &str) -> Option<u32> {
    const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
    let name = token.get(..3)?;
    (1..).zip(MONTHS).find_map(|(number, month)| month.eq_ignore_ascii_case(name).then_some(number))
}

const fn days_in(year: u32, month: u32) -> u32 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

const fn is_leap(year: u32) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

/// Days from the first of January 1970 in the Gregorian calendar.
fn days_since_1970(year: u32, month: u32, day: u32) -> i64 {
    let before_year = i64::from(year) - 1;
    let leap_days = before_year / 4 - before_year / 100 + before_year / 400;
    let before_month: u32 = (1..month).map(|month| days_in(year, month)).sum();
    before_year * 365 + leap_days + i64::from(before_month + day - 1) - 719_162
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_in_all_their_forms() {
        let sample = 784_111_777;
        let table = [
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(sample)),
            ("Sunday, 06-Nov-94 08:49:37 GMT", Some(sample)),
            ("Sun Nov  6 08:49:37 1994", Some(sample)),
            ("sun, 6-nov-1994 8:49:37", Some(sample)),
            ("1994 November 06th 08:49:37Z", Some(sample)),
            ("08:49:37 06 Nov 94", Some(sample)),
            ("Sun, 06 Nov 1994 08:49:37 +0500", Some(sample)),
            ("Thu, 01 Jan 1970 00:00:00 GMT", Some(0)),
            ("Thu, 01 Jan 1970 00:00:01 GMT", Some(1)),
            ("Wed, 31 Dec 1969 23:59:59 GMT", Some(0)),
            ("Mon, 01 Jan 1601 00:00:00 GMT", Some(0)),
            ("Tue, 29 Feb 2000 00:00:00 GMT", Some(951_782_400)),
            ("Thu, 31 Dec 2099 23:59:59 GMT", Some(4_102_444_799)),
            ("Fri, 31 Dec 9999 23:59:59 GMT", Some(253_402_300_799)),
            ("01 Jan 69 00:00:00", Some(3_124_224_000)),
            ("01 Jan 70 00:00:00", Some(0)),
            ("", None),
            ("0", None),
            ("tomorrow", None),
            ("Sun, 06 Nov 1994", None),
            ("06 Nov 08:49:37", None),
            ("Nov 1994 08:49:37", None),
            ("06 1994 08:49:37", None),
            ("06 Nov 1600 08:49:37", None),
            ("06 Nov 19944 08:49:37", None),
            ("32 Nov 1994 08:49:37", None),
            ("00 Nov 1994 08:49:37", None),
            ("31 Nov 1994 08:49:37", None),
            ("29 Feb 1900 00:00:00", None),
            ("06 Nov 1994 24:00:00", None),
            ("06 Nov 1994 23:60:00", None),
            ("06 Nov 1994 23:59:60", None),
            ("06 Nov 1994 008:49:37", None),
            ("06 N\u{f6}v 1994 08:49:37", None),
        ];
        for (text, seconds) in table {
            assert_eq!(parse(text), seconds, "{text}");
        }
    }

    #[test]
    fn days_follow_each_other() {
        let mut expected = days_since_1970(1601, 1, 1);
        for year in 1601..=2500 {
            for month in 1..=12 {
                for day in 1..=days_in(year, month) {
                    assert_eq!(days_since_1970(year, month, day), expected, "{year}-{month}-{day}");
                    expected += 1;
                }
            }
        }
        assert_eq!(days_since_1970(1970, 1, 1), 0);
    }
}
