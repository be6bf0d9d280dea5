//! Many notices become one message: a storm, or a backlog after the messenger was away.

use std::collections::HashSet;

use jiff::Timestamp;

use super::catalogue::{Catalogue, count, fields, own};
use super::compose::{Facts, compose};
use super::deed::cause;
use super::language::Language;
use super::rich::{Rich, Row, Span};
use super::span::{moment, span};
use crate::domain::notice::{News, Notice};

/// Pairs shown by name. The longest line of the longest names takes about 170 UTF-16 units, so 20 fit a message.
const MAX_PAIRS: usize = 20;

/// Words many notices as one message: the last state of each pair, those that are down first, then "and N more".
/// The notices come in the order of their ids.
pub fn digest(notices: &[Notice], language: Language, facts: &Facts) -> Rich {
    let words = Catalogue::of(language);
    let last = last_of_each_pair(notices);
    let (down, up): (Vec<&Notice>, Vec<&Notice>) =
        last.into_iter().partition(|notice| matches!(notice.news, News::Failed(_)));
    let restored = up.iter().filter(|notice| matches!(notice.news, News::Recovered(_))).count();
    let totals = words.text("digest", &fields([("down", count(down.len())), ("up", count(restored))]));
    let mut rows = vec![Row::Line(vec![Span::Bold(totals.clone())])];
    if let Some((from, to)) = period(notices) {
        let period = [("from", own(moment(from, &facts.zone))), ("to", own(moment(to, &facts.zone)))];
        rows.push(text(words.text("digest-span", &fields(period))));
    }
    let pairs = down.len() + up.len();
    rows.extend(down.into_iter().chain(up).take(MAX_PAIRS).map(|notice| text(pair_line(notice, language, facts))));
    if let Some(more) = pairs.checked_sub(MAX_PAIRS).filter(|more| *more > 0) {
        rows.push(text(words.text("digest-more", &fields([("more", count(more))]))));
    }
    Rich::new(rows, totals)
}

fn last_of_each_pair(notices: &[Notice]) -> Vec<&Notice> {
    let mut seen = HashSet::new();
    let mut last: Vec<&Notice> = Vec::new();
    for notice in notices.iter().rev() {
        // What is about the agent itself is kept by its kind: the end of a storm is no end of being cut off.
        if seen.insert((&notice.pair, notice.pair.is_none().then_some(notice.incident))) {
            last.push(notice);
        }
    }
    last.reverse();
    last
}

fn period(notices: &[Notice]) -> Option<(Timestamp, Timestamp)> {
    let moments = || notices.iter().map(|notice| notice.at);
    Some((moments().min()?, moments().max()?))
}

fn pair_line(notice: &Notice, language: Language, facts: &Facts) -> String {
    let words = Catalogue::of(language);
    let name = notice.pair.as_ref().map(ToString::to_string);
    match &notice.news {
        News::Failed(failed) => {
            let pair = own(name.unwrap_or_default());
            words.text("digest-down", &fields([("pair", pair), ("cause", own(cause(&failed.fault, words)))]))
        }
        News::Recovered(recovered) => {
            let pair = own(name.unwrap_or_default());
            let span = own(span(recovered.down_for, words));
            words.text("digest-up", &fields([("pair", pair), ("span", span)]))
        }
        _ => compose(notice, language, facts).minimal().to_owned(),
    }
}

fn text(line: String) -> Row {
    Row::Line(vec![Span::Text(line)])
}
