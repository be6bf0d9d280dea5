//! What waits for a channel: how much, and which of it is not worth telling any more. How it is sent lives in `delivery`.

use std::collections::{HashMap, VecDeque};

use crate::domain::notice::{News, Notice};
use crate::domain::remedy::NoticeId;

/// How one channel fares.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ChannelHealth {
    /// The channel's name.
    pub channel: String,
    /// Notices that wait.
    pub waiting: usize,
    /// Notices delivered since the start.
    pub delivered: u64,
    /// Why the last try failed; empty when it did not.
    pub trouble: String,
}

/// Takes out every repeat that a later notice of the same incident replaces; gives what was taken out.
pub fn thin(queue: &mut VecDeque<Notice>) -> Vec<NoticeId> {
    let last: HashMap<_, _> = queue.iter().map(|notice| (notice.incident, notice.id)).collect();
    let mut stale = Vec::new();
    queue.retain(|notice| {
        let repeat = matches!(&notice.news, News::Failed(failed) if failed.failures > 1);
        let replaced = last.get(&notice.incident).is_some_and(|last| *last != notice.id);
        if repeat && replaced {
            stale.push(notice.id);
        }
        !(repeat && replaced)
    });
    stale
}
