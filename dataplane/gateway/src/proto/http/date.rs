//! The time of day as HTTP writes it, and as clients write it.

/// Bytes of a date: `Sun, 06 Nov 1994 08:49:37 GMT`.
pub(crate) const DATE_LEN: usize = 29;

const WEEKDAYS: &[u8; 21] = b"ThuFriSatSunMonTueWed";
const WEEKDAYS_WHOLE: [&[u8]; 7] =
    [b"Thursday", b"Friday", b"Saturday", b"Sunday", b"Monday", b"Tuesday", b"Wednesday"];
const MONTHS: &[u8; 36] = b"JanFebMarAprMayJunJulAugSepOctNovDec";

/// The last second of the year 9999, the last one with four digits.
const LAST: u64 = 253_402_300_799;

/// Writes `unix_seconds` (UTC, since 1970).
//= https://www.rfc-editor.org/rfc/rfc9110#section-5.6.7
//# IMF-fixdate = day-name "," SP date1 SP time-of-day SP GMT
pub(crate) fn write(unix_seconds: u64, out: &mut [u8; DATE_LEN]) {
    let seconds = unix_seconds.min(LAST);
    let (days, of_day) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = civil(days);
    out.copy_from_slice(b"Thu, 00 Jan 0000 00:00:00 GMT");
    copy_name(&mut out[..3], WEEKDAYS, days % 7);
    put_two(&mut out[5..], day);
    copy_name(&mut out[8..11], MONTHS, month - 1);
    put_two(&mut out[12..], year / 100);
    put_two(&mut out[14..], year % 100);
    put_two(&mut out[17..], of_day / 3_600);
    put_two(&mut out[20..], of_day / 60 % 60);
    put_two(&mut out[23..], of_day % 60);
}

/// Seconds since 1970 (UTC) of a date in any of the three forms that there have been; `None` if it
/// is none. `now` says which century a year of two digits is of.
//= https://www.rfc-editor.org/rfc/rfc9110#section-5.6.7
//# A recipient that parses a timestamp value in an HTTP field MUST accept all three HTTP-date formats
pub(crate) fn read(text: &[u8], now: u64) -> Option<u64> {
    match text {
        // Sun, 06 Nov 1994 08:49:37 GMT
        [w0, w1, w2, b',', b' ', d0, d1, b' ', rest @ ..] => {
            let (month, rest) = rest.split_at_checked(3)?;
            let (year, rest) = rest.strip_prefix(b" ")?.split_at_checked(4)?;
            let time = rest.strip_prefix(b" ")?.strip_suffix(b" GMT")?;
            Parts { weekday: &[*w0, *w1, *w2], day: [*d0, *d1], month, year: number(year)?, time }
                .seconds()
        }
        // Sun Nov  6 08:49:37 1994
        [w0, w1, w2, b' ', m0, m1, m2, b' ', d0, d1, b' ', rest @ ..] => {
            let (time, year) = rest.split_at_checked(8)?;
            let year = number(year.strip_prefix(b" ").filter(|year| year.len() == 4)?)?;
            let day = [if *d0 == b' ' { b'0' } else { *d0 }, *d1];
            Parts { weekday: &[*w0, *w1, *w2], day, month: &[*m0, *m1, *m2], year, time }.seconds()
        }
        // Sunday, 06-Nov-94 08:49:37 GMT
        _ => {
            let comma = text.iter().position(|&byte| byte == b',')?;
            let weekday = WEEKDAYS_WHOLE.into_iter().find(|&name| name == &text[..comma])?;
            let [b',', b' ', d0, d1, b'-', m0, m1, m2, b'-', y0, y1, b' ', rest @ ..] =
                &text[comma..]
            else {
                return None;
            };
            let year = whole_year(number(&[*y0, *y1])?, now);
            let time = rest.strip_suffix(b" GMT")?;
            let month = &[*m0, *m1, *m2];
            Parts { weekday: &weekday[..3], day: [*d0, *d1], month, year, time }.seconds()
        }
    }
}

//= https://www.rfc-editor.org/rfc/rfc9110#section-5.6.7
//# a timestamp that appears to be more than 50 years in the future as representing the most recent
//# year in the past that had the same last two digits
fn whole_year(last_digits: u64, now: u64) -> u64 {
    let (this_year, ..) = civil(now.min(LAST) / 86_400);
    let year = this_year / 100 * 100 + last_digits;
    if year > this_year + 50 { year - 100 } else { year }
}

/// A date whose parts have been found.
struct Parts<'t> {
    weekday: &'t [u8],
    day: [u8; 2],
    month: &'t [u8],
    year: u64,
    time: &'t [u8],
}

impl Parts<'_> {
    /// The date's second, if there is such a date. It is written again, and must be what was read:
    /// so a wrong weekday is found as well as a 31st of June.
    fn seconds(&self) -> Option<u64> {
        let &Self { weekday, day, month, year, time } = self;
        let &[h0, h1, b':', m0, m1, b':', s0, s1] = time else {
            return None;
        };
        let month_index = MONTHS.chunks(3).position(|name| name == month)?;
        let month_number = u64::try_from(month_index).ok()? + 1;
        let day_number = number(&day).filter(|&day| day > 0)?;
        let of_day = number(&[h0, h1])? * 3_600 + number(&[m0, m1])? * 60 + number(&[s0, s1])?;
        // What is older than the count of seconds is older than every document.
        let Some(days) = days(year, month_number, day_number) else {
            return Some(0);
        };
        let seconds = days * 86_400 + of_day;
        let mut again = [0; DATE_LEN];
        write(seconds, &mut again);
        let is_same = &again[..3] == weekday
            && again[5..7] == day
            && &again[8..11] == month
            && number(&again[12..16]) == Some(year)
            && &again[17..25] == time;
        is_same.then_some(seconds)
    }
}

/// Digits as a number.
fn number(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0, |sum, digit| {
        digit.is_ascii_digit().then(|| sum * 10 + u64::from(digit - b'0'))
    })
}

/// Days since 1970; the inverse of [`civil`]. `None` for a day before.
fn days(year: u64, month: u64, day: u64) -> Option<u64> {
    let year = if month <= 2 { year.checked_sub(1)? } else { year };
    let month_from_march = (month + 9) % 12;
    let of_year = (153 * month_from_march + 2) / 5 + day.checked_sub(1)?;
    let days = year * 365 + year / 4 - year / 100 + year / 400 + of_year;
    days.checked_sub(719_468)
}

/// Year, month (from 1) and day (from 1) of a day since 1970.
///
/// Years are counted from March, so that the day that leap years add is a year's last; then 400
/// years are 146,097 days, and the months' lengths follow 153 days in five.
fn civil(days: u64) -> (u64, u64, u64) {
    let from_march = days + 719_468;
    let (era, of_era) = (from_march / 146_097, from_march % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    (year, month, day)
}

fn copy_name(out: &mut [u8], names: &[u8], number: u64) {
    let at = usize::try_from(number * 3).expect("a weekday or a month");
    out.copy_from_slice(&names[at..at + 3]);
}

fn put_two(out: &mut [u8], number: u64) {
    out[0] = b'0' + u8::try_from(number / 10).expect("two digits");
    out[1] = b'0' + u8::try_from(number % 10).expect("two digits");
}

#[cfg(test)]
mod tests {
    use super::{DATE_LEN, LAST, civil, days, read, write};

    /// 2026.
    const NOW: u64 = 1_790_000_000;

    fn date(unix_seconds: u64) -> String {
        let mut out = [0; DATE_LEN];
        write(unix_seconds, &mut out);
        String::from_utf8(out.to_vec()).unwrap()
    }

    #[test]
    fn dates_are_written_as_rfc_9110_writes_them() {
        assert_eq!(date(784_111_777), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(date(0), "Thu, 01 Jan 1970 00:00:00 GMT");
        assert_eq!(date(951_782_400), "Tue, 29 Feb 2000 00:00:00 GMT");
        assert_eq!(date(1_709_251_199), "Thu, 29 Feb 2024 23:59:59 GMT");
        assert_eq!(date(4_107_542_400), "Mon, 01 Mar 2100 00:00:00 GMT");
        assert_eq!(date(LAST), "Fri, 31 Dec 9999 23:59:59 GMT");
        assert_eq!(date(u64::MAX), date(LAST));
    }

    #[test]
    fn every_day_follows_the_one_before() {
        let (mut year, mut month, mut day) = (1970, 1, 1);
        for days in 0..(LAST / 86_400) {
            assert_eq!(civil(days), (year, month, day), "day {days}");
            assert_eq!(super::days(year, month, day), Some(days));
            let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            let length = match month {
                2 => 28 + u64::from(is_leap),
                4 | 6 | 9 | 11 => 30,
                _ => 31,
            };
            day += 1;
            if day > length {
                (day, month) = (1, month + 1);
            }
            if month > 12 {
                (month, year) = (1, year + 1);
            }
        }
    }

    #[test]
    fn each_form_of_a_date_is_read() {
        for text in [
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
        ] {
            assert_eq!(read(text.as_bytes(), NOW), Some(784_111_777), "{text}");
        }
        assert_eq!(read(b"Wed Nov 16 08:49:37 1994", NOW), Some(784_975_777));
        assert_eq!(read(date(0).as_bytes(), NOW), Some(0));
        assert_eq!(read(date(LAST).as_bytes(), NOW), Some(LAST));
        // Older than the count.
        assert_eq!(read(b"Mon, 01 Jan 1900 00:00:00 GMT", NOW), Some(0));
    }

    #[test]
    fn a_year_of_two_digits_is_at_most_fifty_years_ahead() {
        for (text, year) in [
            (b"Wednesday, 01-Jan-76 00:00:00 GMT".as_slice(), 2076),
            (b"Saturday, 01-Jan-77 00:00:00 GMT", 1977),
            (b"Friday, 01-Jan-99 00:00:00 GMT", 1999),
            (b"Saturday, 01-Jan-00 00:00:00 GMT", 2000),
        ] {
            let seconds = days(year, 1, 1).unwrap() * 86_400;
            assert_eq!(read(text, NOW), Some(seconds), "{year}");
        }
    }

    #[test]
    fn what_is_no_date_is_not_read() {
        for text in [
            "",
            "0",
            "784111777",
            "Mon, 06 Nov 1994 08:49:37 GMT",
            "Sun, 6 Nov 1994 08:49:37 GMT",
            "Sun, 06 nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:37 UTC",
            "Sun, 06 Nov 1994 08:49:37 +0000",
            "Sun, 06 Nov 1994 8:49:37 GMT",
            "Sun, 06 Nov 1994 24:00:00 GMT",
            "Sun, 06 Nov 1994 08:60:37 GMT",
            "Sun, 06 Nov 1994 08:49:60 GMT",
            "Sun, 06 Nov 1994 08:49:37 GMT ",
            "Sun,  06 Nov 1994 08:49:37 GMT",
            "Thu, 31 Jun 1994 08:49:37 GMT",
            "Sun, 00 Nov 1994 08:49:37 GMT",
            "Sun, 06-Nov-94 08:49:37 GMT",
            "Monday, 06-Nov-94 08:49:37 GMT",
            "Sunday, 06-Nov-1994 08:49:37 GMT",
            "Sun Nov 06 8:49:37 1994",
            "Sun Nov  6 08:49:37 94",
            "Mon Nov  6 08:49:37 1994",
            "Sun, 06 Nov +994 08:49:37 GMT",
        ] {
            assert_eq!(read(text.as_bytes(), NOW), None, "{text}");
        }
    }
}
