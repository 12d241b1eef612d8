//! The time of a line, in UTC.

use std::{
    fmt,
    time::{SystemTime, UNIX_EPOCH},
};

/// A moment, taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Moment {
    year: u64,
    month: u64,
    day: u64,
    hour: u64,
    minute: u64,
    second: u64,
    milli: u32,
}

impl Moment {
    pub(super) fn now() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self::new(since.as_secs(), since.subsec_millis())
    }

    fn new(seconds: u64, milli: u32) -> Self {
        let (year, month, day) = date(seconds / 86_400);
        let of_day = seconds % 86_400;
        let (hour, minute, second) = (of_day / 3_600, of_day / 60 % 60, of_day % 60);
        Self { year, month, day, hour, minute, second, milli }
    }

    /// `11-21|01:32:23.973`.
    pub(super) fn short(self) -> impl fmt::Display {
        let Self { month, day, hour, minute, second, milli, .. } = self;
        format!("{month:02}-{day:02}|{hour:02}:{minute:02}:{second:02}.{milli:03}")
    }
}

/// RFC 3339: `2026-11-21T01:32:23.973Z`.
impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { year, month, day, hour, minute, second, milli } = self;
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z")
    }
}

/// The date of a day since 1970, in the Gregorian calendar: years are counted from March, so that the
/// day that is there only sometimes is the last of its year.
fn date(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_have_their_dates() {
        for (days, expected) in [
            (0, (1970, 1, 1)),
            (59, (1970, 3, 1)),
            (11_016, (2000, 2, 29)),
            (11_017, (2000, 3, 1)),
            (20_778, (2026, 11, 21)),
            (47_540, (2100, 2, 28)),
            (47_541, (2100, 3, 1)),
        ] {
            assert_eq!(date(days), expected);
        }
    }

    #[test]
    fn a_moment_is_written_in_both_forms() {
        let moment = Moment::new(20_778 * 86_400 + 5_543, 73);

        assert_eq!(moment.to_string(), "2026-11-21T01:32:23.073Z");
        assert_eq!(format!("{}", moment.short()), "11-21|01:32:23.073");
    }
}
