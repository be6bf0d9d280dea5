//! How a window is written: `NAME, NAME: WHEN ZONE`. Names are looked up by the caller.

use jiff::SignedDuration;
use jiff::civil::{Date, DateTime, Time, Weekday};
use jiff::tz::TimeZone;

use crate::domain::maintenance::{Cron, Days, Kind, Once, Weekly};
use crate::env::duration;
use crate::env::problem::shown;

use super::zone;

/// What a window looks like, for hints.
const EXPECTED: &str =
    "write `Sun 02:00-04:00`, `0 3 * * * 30m` or `2026-12-01 02:00-04:00`, and a time zone behind it if need be";

/// The longest window from a cron pattern: a month.
const LONGEST_CRON: std::time::Duration = std::time::Duration::from_hours(31 * 24);
/// The longest window of one time: a year; what is longer has a slip in its dates.
const LONGEST_ONCE: SignedDuration = SignedDuration::from_hours(366 * 24);

/// What is wrong with a window and what to do, as clauses.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Bad {
    pub(super) what: String,
    pub(super) hint: String,
}

impl Bad {
    fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), hint: EXPECTED.to_owned() }
    }

    fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: hint.into(), ..self }
    }
}

/// Parts the names before `:` from the rest. The colons of a pair and of a time are not that one: it has a blank behind it,
/// or stands in the first word, which then is no time.
pub(super) fn split(text: &str) -> (Vec<&str>, &str) {
    let blank = |index: &usize| text.get(index + 1..).is_some_and(|rest| rest.starts_with(char::is_whitespace));
    let spaced = text.match_indices(':').map(|(index, _)| index).rfind(blank);
    let first = text.split_whitespace().next().unwrap_or_default();
    let glued = || first.rfind(':').filter(|_| !first.split('-').any(|part| clock(part).is_some()));
    match spaced.or_else(glued).and_then(|index| Some((text.get(..index)?, text.get(index + 1..)?))) {
        Some((names, when)) => (names.split(',').map(str::trim).collect(), when.trim()),
        None => (Vec::new(), text),
    }
}

/// Reads when a window is open; one that names no zone goes by `zone`.
pub(super) fn kind(text: &str, zone: &TimeZone) -> Result<Kind, Bad> {
    let text = text.replace(['–', '—'], "-");
    let text = tight(&tight(&text, '-'), ',');
    let words: Vec<&str> = text.split_whitespace().collect();
    let first = words.first().copied().unwrap_or_default();
    if first.is_empty() {
        return Err(Bad::new("no time is given"));
    }
    if first.split('-').all(|part| clock(part).is_some()) {
        return Err(Bad::new("no day is given").hint(format!("write `daily {first}`, or the days: `Sat,Sun {first}`")));
    }
    if is_like_a_date(first) {
        once(&words, zone)
    } else if first.starts_with(|c: char| c.is_ascii_digit() || c == '*') {
        cron(&words, zone)
    } else {
        weekly(&words, zone)
    }
}

/// Takes the blanks around a sign away.
fn tight(text: &str, sign: char) -> String {
    let parts: Vec<&str> = text.split(sign).map(str::trim).collect();
    parts.join(sign.to_string().as_str())
}

/// Three numbers with one sign between them, one of them a year: a date, if not always one of ours.
fn is_like_a_date(word: &str) -> bool {
    ['-', '/', '.'].into_iter().any(|sign| {
        let parts: Vec<&str> = word.split(sign).collect();
        let number = |part: &&str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        parts.len() == 3 && parts.iter().all(number) && parts.iter().any(|part| part.len() == 4)
    })
}

fn weekly(words: &[&str], zone: &TimeZone) -> Result<Kind, Bad> {
    let [days, times, rest @ ..] = words else { return Err(Bad::new("there are no days, or no times")) };
    let days = self::days(days)?;
    let (from, to) = times.split_once('-').ok_or_else(|| not_times(times))?;
    let (from, to) = span(from, to).ok_or_else(|| not_times(times))?;
    let zone = zone_of(rest, zone)?;
    if from == to.time && !to.midnight {
        return Err(same(times).hint("write `00:00-24:00` for a whole day"));
    }
    Ok(Kind::Weekly(Weekly { days, from, to: to.time, zone }))
}

fn once(words: &[&str], zone: &TimeZone) -> Result<Kind, Bad> {
    let [first, times, rest @ ..] = words else { return Err(Bad::new("there is a date, and no times")) };
    let first = date(first)?;
    let (from, behind) = times.split_once('-').ok_or_else(|| not_times(times))?;
    // `22:00-04:00`, or `22:00-2026-12-02` and a time after it.
    let (last, to, rest) = match (is_like_a_date(behind), rest) {
        (false, rest) => (None, behind, rest),
        (true, [to, rest @ ..]) => (Some(self::date(behind)?), *to, rest),
        (true, []) => return Err(Bad::new("there is a second date, and no time after it")),
    };
    let (from, to) = span(from, to).ok_or_else(|| not_times(times))?;
    let zone = zone_of(rest, zone)?;
    let begin = first.to_datetime(from);
    let once = match last {
        None if from == to.time && !to.midnight => return Err(same(times)),
        None => Once::on(&zone, begin, to.time),
        Some(last) => {
            let end = to.on(last).filter(|end| *end > begin);
            let end = end.ok_or_else(|| Bad::new("the end is not later than the beginning").hint("mend the dates"))?;
            Once::new(&zone, begin, end)
        }
    };
    let once = once.ok_or_else(|| Bad::new("the date is too far away").hint("write another"))?;
    if once.end.duration_since(once.begin) > LONGEST_ONCE {
        return Err(Bad::new("it lasts longer than a year").hint("mend the dates"));
    }
    Ok(Kind::Once(once))
}

fn cron(words: &[&str], zone: &TimeZone) -> Result<Kind, Bad> {
    let [minute, hour, day, month, weekday, rest @ ..] = words else {
        return Err(Bad::new("there is no day, no date, and a cron pattern has five fields"));
    };
    let fields = [*minute, hour, day, month, weekday].join(" ");
    let named = rest.iter().position(|word| !word.starts_with(|c: char| c.is_ascii_digit())).unwrap_or(rest.len());
    let (lasts, rest) = rest.split_at_checked(named).unwrap_or((rest, &[]));
    if lasts.is_empty() {
        let what = "after the five fields of the cron pattern there is no duration";
        return Err(Bad::new(what).hint(format!("write how long it lasts, such as `{} 30m`", shown(&fields))));
    }
    let text = lasts.join(" ");
    let lasts = duration::parse(&text).ok();
    let lasts = lasts.filter(|lasts| *lasts >= std::time::Duration::from_mins(1) && *lasts <= LONGEST_CRON);
    let lasts = lasts.and_then(|lasts| SignedDuration::try_from(lasts).ok()).ok_or_else(|| {
        let what = format!("`{}` is no duration of 1m to 31d", shown(&text));
        Bad::new(what).hint("after the five fields of a cron pattern write how long it lasts, such as `30m` or `2h`")
    })?;
    let zone = zone_of(rest, zone)?;
    let fix = "minute, hour, day of month, month and day of week are expected, such as `0 3 * * Sun`";
    let pattern = croner::parser::CronParser::new().parse(&fields).map_err(|error| {
        let what = format!("the cron pattern `{}` cannot be read: {}", shown(&fields), shown(&error.to_string()));
        Bad::new(what).hint(fix)
    })?;
    let never = || Bad::new(format!("the cron pattern `{}` has no time at all", shown(&fields))).hint(fix);
    Ok(Kind::Cron(Box::new(Cron::new(pattern, lasts, zone).ok_or_else(never)?)))
}

fn days(text: &str) -> Result<Days, Bad> {
    if text.eq_ignore_ascii_case("daily") {
        return Ok(Days::ALL);
    }
    let one = |text: &str| {
        day(text).ok_or_else(|| {
            let what = format!("`{}` is no day of the week", shown(text));
            Bad::new(what).hint("write Mon, Tue, Wed, Thu, Fri, Sat, Sun, a range such as `Mon-Fri`, or `daily`")
        })
    };
    let mut days = Days::default();
    for item in text.split(',') {
        let (first, last) = match item.split_once('-') {
            Some((first, last)) => (one(first)?, one(last)?),
            None => (one(item)?, one(item)?),
        };
        let mut day = first;
        for _ in 0..7 {
            days = days.with(day);
            if day == last {
                break;
            }
            day = day.next();
        }
    }
    Ok(days)
}

fn day(text: &str) -> Option<Weekday> {
    const NAMES: [(&str, Weekday); 7] = [
        ("monday", Weekday::Monday),
        ("tuesday", Weekday::Tuesday),
        ("wednesday", Weekday::Wednesday),
        ("thursday", Weekday::Thursday),
        ("friday", Weekday::Friday),
        ("saturday", Weekday::Saturday),
        ("sunday", Weekday::Sunday),
    ];
    let text = text.to_ascii_lowercase();
    NAMES.iter().find(|(name, _)| *name == text || name.get(..3) == Some(&text)).map(|(_, day)| *day)
}

fn date(text: &str) -> Result<Date, Bad> {
    let plain = || text.len() == 10 && text.chars().all(|c| c.is_ascii_digit() || c == '-');
    text.parse().ok().filter(|_| plain()).ok_or_else(|| {
        Bad::new(format!("`{}` is no date", shown(text))).hint("write year, month and day: `2026-12-01`")
    })
}

/// When a window closes, as it is written.
#[derive(Clone, Copy)]
struct End {
    time: Time,
    /// `24:00`.
    midnight: bool,
}

impl End {
    fn on(self, date: Date) -> Option<DateTime> {
        let date = if self.midnight { date.tomorrow().ok()? } else { date };
        Some(date.to_datetime(self.time))
    }
}

/// A time of the day, and one at which it ends, which may be `24:00`.
fn span(from: &str, to: &str) -> Option<(Time, End)> {
    let from = clock(from).filter(|(_, midnight)| !midnight).map(|(time, _)| time)?;
    clock(to).map(|(time, midnight)| (from, End { time, midnight }))
}

/// Reads `2:05`, `02:05` or `24:00`; the latter is midnight, and says so.
fn clock(text: &str) -> Option<(Time, bool)> {
    let (hour, minute) = text.split_once(':')?;
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if !(1..=2).contains(&hour.len()) || minute.len() != 2 || !digits(hour) || !digits(minute) {
        return None;
    }
    match (hour.parse().ok()?, minute.parse().ok()?) {
        (24, 0) => Some((Time::midnight(), true)),
        (hour, minute) => Time::new(hour, minute, 0, 0).ok().map(|time| (time, false)),
    }
}

fn not_times(text: &str) -> Bad {
    Bad::new(format!("`{}` are no times", shown(text))).hint("write from and to, `02:00-04:00`; the end may be `24:00`")
}

fn same(text: &str) -> Bad {
    Bad::new(format!("`{}` ends when it begins", shown(text)))
}

fn zone_of(words: &[&str], zone: &TimeZone) -> Result<TimeZone, Bad> {
    let name = words.join(" ");
    if name.is_empty() {
        return Ok(zone.clone());
    }
    zone::find(&name).map_err(|near| {
        let bad = Bad::new(format!("there is no time zone `{}`", shown(&name)));
        match near {
            Some(near) => bad.hint(format!("did you mean `{near}`?")),
            None => bad.hint("write one of the IANA database, such as Europe/Moscow"),
        }
    })
}
