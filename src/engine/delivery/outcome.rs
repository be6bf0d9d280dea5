//! What became of a message: struck off, kept for later, or given up.

use std::collections::hash_map::Entry;
use std::time::Duration;

use super::{closes, opens};
use crate::message::Line;
use crate::notify::Receipt;
use crate::store::Write;

use super::{Delivery, WAIT};

impl Delivery {
    /// Strikes off what the channel took.
    pub(super) fn delivered(&mut self, count: usize, digested: bool, receipt: &Receipt) {
        let at = self.clock.now();
        if let Some(chat) = receipt.moved.as_ref().filter(|chat| self.moved.as_ref() != Some(chat)) {
            self.narrator.warn(&Line::ChatMoved { channel: &self.name, chat });
            self.journal.record(vec![Write::ChannelMoved {
                channel: self.name.clone(),
                from: self.address.clone(),
                to: chat.clone(),
            }]);
            self.moved = Some(chat.clone());
        }
        self.singly = self.singly.saturating_sub(count);
        if self.failures > 0 {
            self.narrator.info(&Line::ChannelBack { channel: &self.name });
            self.failures = 0;
        }
        let mut writes = Vec::new();
        for notice in self.queue.drain(..count.min(self.queue.len())) {
            let opens = !digested && opens(&notice.news);
            if closes(&notice.news) {
                self.threads.remove(&notice.incident);
            } else if opens && let Entry::Vacant(first) = self.threads.entry(notice.incident) {
                first.insert(receipt.message_ref.clone());
                writes.push(Write::Thread {
                    incident: notice.incident,
                    channel: self.name.clone(),
                    message_ref: receipt.message_ref.clone(),
                });
            }
            writes.push(Write::NoticeDelivered {
                id: notice.id,
                channel: self.name.clone(),
                at,
                message_ref: Some(receipt.message_ref.clone()),
            });
        }
        self.journal.record(writes);
        self.health.send_modify(|health| {
            health.delivered += 1;
            health.trouble.clear();
        });
    }

    /// Keeps what the channel did not take this time; gives the wait before the next try.
    pub(super) fn later(&mut self, wait: Option<Duration>, why: &str) -> Duration {
        let grown = WAIT.0.saturating_mul(1 << self.failures.min(10)).min(WAIT.1);
        let wait = wait.unwrap_or(grown);
        if let Some(head) = self.queue.front() {
            let pair = head.pair.clone();
            let said = Line::NoticeUndelivered { channel: &self.name.clone(), pair: pair.as_ref(), why, next: wait };
            self.trouble(&said, why);
        }
        wait
    }

    /// Says once that the channel is in trouble, and again when it has been for long.
    pub(super) fn trouble(&mut self, said: &Line<'_>, why: &str) {
        if self.failures == 0 || self.failures.is_power_of_two() {
            self.narrator.error(said);
        }
        self.failures = self.failures.saturating_add(1);
        self.health.send_modify(|health| why.clone_into(&mut health.trouble));
    }

    /// Gives up what the channel will never take; the channel itself works.
    pub(super) fn dropped(&mut self, count: usize, why: &str) {
        let at = self.clock.now();
        let mut writes = Vec::new();
        self.singly = self.singly.saturating_sub(count);
        for notice in self.queue.drain(..count.min(self.queue.len())) {
            self.narrator.error(&Line::NoticeDropped { channel: &self.name, pair: notice.pair.as_ref(), why });
            writes.push(Write::NoticeDead { id: notice.id, channel: self.name.clone(), at, why: why.to_owned() });
        }
        self.journal.record(writes);
        self.health.send_modify(|health| health.trouble.clear());
    }
}
