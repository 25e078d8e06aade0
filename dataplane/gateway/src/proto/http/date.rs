//! The time of day as HTTP writes it.

/// Bytes of a date: `Sun, 06 Nov 1994 08:49:37 GMT`.
pub(crate) const DATE_LEN: usize = 29;

const WEEKDAYS: &[u8; 21] = b"ThuFriSatSunMonTueWed";
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
    use super::{DATE_LEN, LAST, civil, write};

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
}
