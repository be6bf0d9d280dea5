//! Many notices become one message: a storm, or a backlog after the messenger was away.

use jiff::Timestamp;

use super::catalogue::{Catalogue, count, fields, own};
use super::compose::Facts;
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
    let totals = words.text("digest", &fields([("down", count(down.len())), ("up", count(up.len()))]));
    let mut rows = vec![Row::Line(vec![Span::Bold(totals.clone())])];
    if let Some((from, to)) = period(notices) {
        let period = [("from", own(moment(from, &facts.zone))), ("to", own(moment(to, &facts.zone)))];
        rows.push(text(words.text("digest-span", &fields(period))));
    }
    let pairs = down.len() + up.len();
    rows.extend(down.into_iter().chain(up).take(MAX_PAIRS).map(|notice| text(pair_line(notice, words))));
    if let Some(more) = pairs.checked_sub(MAX_PAIRS).filter(|more| *more > 0) {
        rows.push(text(words.text("digest-more", &fields([("more", count(more))]))));
    }
    Rich::new(rows, totals)
}

fn last_of_each_pair(notices: &[Notice]) -> Vec<&Notice> {
    let mut seen = std::collections::HashSet::new();
    let mut last: Vec<&Notice> = notices.iter().rev().filter(|notice| seen.insert(&notice.pair)).collect();
    last.reverse();
    last
}

fn period(notices: &[Notice]) -> Option<(Timestamp, Timestamp)> {
    let moments = || notices.iter().map(|notice| notice.at);
    Some((moments().min()?, moments().max()?))
}

fn pair_line(notice: &Notice, words: &Catalogue) -> String {
    let pair = own(notice.pair.to_string());
    match &notice.news {
        News::Failed(failed) => {
            words.text("digest-down", &fields([("pair", pair), ("cause", own(cause(&failed.fault, words)))]))
        }
        News::Recovered(recovered) => {
            let span = own(span(recovered.down_for, words));
            words.text("digest-up", &fields([("pair", pair), ("span", span)]))
        }
    }
}

fn text(line: String) -> Row {
    Row::Line(vec![Span::Text(line)])
}
