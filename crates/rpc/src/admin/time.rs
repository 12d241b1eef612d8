//! Points in time as text: RFC 3339, in UTC, to the millisecond.
//!
//! ```text
//!   2026-02-28T23:59:59.999Z
//! ```

use std::time::Duration;

/// The text of a point in time, given as the time since the beginning of 1970. The year has four
/// digits, so what lies after 9999 becomes the last millisecond before it ends.
pub(super) fn rfc3339(since_1970: Duration) -> String {
    let since_1970 = since_1970.min(LAST);
    let (mut day, second) = (since_1970.as_secs() / DAY, since_1970.as_secs() % DAY);
    let mut year = 1970;
    while day >= days_of_year(year) {
        day -= days_of_year(year);
        year += 1;
    }
    let mut month = 1;
    while day >= days_of_month(month, year) {
        day -= days_of_month(month, year);
        month += 1;
    }
    let (day, milli) = (day + 1, since_1970.subsec_millis());
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z")
}

fn days_of_year(year: u64) -> u64 {
    if is_leap(year) { 366 } else { 365 }
}

/// `month` counts from 1.
fn days_of_month(month: u64, year: u64) -> u64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

/// Seconds of a day; Unix time knows no others.
const DAY: u64 = 86_400;

/// 9999-12-31T23:59:59.999Z.
const LAST: Duration = Duration::from_millis(253_402_300_799_999);

#[cfg(test)]
mod tests {
    use super::*;

    fn check(seconds: u64, expected: &str) {
        assert_eq!(rfc3339(Duration::from_secs(seconds)), format!("{expected}.000Z"));
    }

    #[test]
    fn known_points_in_time_are_written_as_everyone_writes_them() {
        check(0, "1970-01-01T00:00:00");
        check(1_000_000_000, "2001-09-09T01:46:40");
        check(1_785_715_199, "2026-08-02T23:59:59");
        check(1_785_715_200, "2026-08-03T00:00:00");
    }

    #[test]
    fn a_leap_year_has_a_29th_of_february() {
        check(1_709_164_799, "2024-02-28T23:59:59");
        check(1_709_164_800, "2024-02-29T00:00:00");
        check(1_709_251_200, "2024-03-01T00:00:00");
        check(1_735_689_599, "2024-12-31T23:59:59");
        check(1_740_787_200, "2025-03-01T00:00:00");
    }

    #[test]
    fn of_the_full_centuries_one_in_four_is_a_leap_year() {
        check(951_782_400, "2000-02-29T00:00:00");
        check(4_107_456_000, "2100-02-28T00:00:00");
        check(4_107_542_400, "2100-03-01T00:00:00");
        check(13_574_563_200, "2400-02-29T00:00:00");
    }

    #[test]
    fn milliseconds_are_cut_off_and_not_rounded() {
        assert_eq!(rfc3339(Duration::new(0, 999_999_999)), "1970-01-01T00:00:00.999Z");
        assert_eq!(rfc3339(Duration::new(59, 1_000_000)), "1970-01-01T00:00:59.001Z");
    }

    #[test]
    fn a_time_without_end_is_the_last_that_can_be_written() {
        check(253_402_300_799, "9999-12-31T23:59:59");
        assert_eq!(rfc3339(Duration::MAX), "9999-12-31T23:59:59.999Z");
    }

    #[test]
    fn the_days_of_four_hundred_years_follow_each_other() {
        // After which the calendar repeats.
        let date = |day: u64| rfc3339(Duration::from_secs(day * DAY))[..10].to_owned();
        for day in 0..146_097 {
            let (today, tomorrow) = (date(day), date(day + 1));
            let same_month = today[..8] == tomorrow[..8];
            assert_eq!(same_month, tomorrow[8..] != *"01", "{today}, {tomorrow}");
            assert!(today < tomorrow, "{today}, {tomorrow}");
        }
    }
}
