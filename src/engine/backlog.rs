//! What waits for a channel: which of it is not worth telling any more. How it is sent lives in `delivery`.

use std::collections::{HashMap, VecDeque};

use crate::domain::notice::{News, Notice};
use crate::domain::remedy::NoticeId;

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
