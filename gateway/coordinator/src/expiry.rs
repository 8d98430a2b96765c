//! Offsets that nobody uses any longer, and groups that have nothing left (KIP-211).
//!
//! An offset's retention begins when its group lost its last member, or, if that is later, when the
//! offset was committed. While a `consumer` group is stable, offsets of topics that no member reads
//! are kept for a retention from their commit, and all others for as long as they are read. Members
//! that speak any other protocol read nobody knows what, so nothing of theirs expires. A client that
//! named a retention of its own with a commit (OffsetCommit 2 to 4) is given that instead.
//!
//! A group without members and offsets is gone.
use crate::{
    CommittedOffset, GroupId, Groups, Output, Record, Timer, TimerChange,
    classic::State,
    hard::GroupOffsets,
    subscription::{Subscribed, Subscription},
};

/// Records of one look at most, so that a shard with very many offsets is not busy with them for long.
/// More of them are dealt with right after those are written.
const MOST_TOMBSTONES: usize = 10_000;

/// When a group's offsets expire, its members' wishes apart.
struct Rule {
    /// No retention begins before this, in milliseconds since the epoch.
    not_before: i64,
    /// What is read, and therefore kept.
    subscribed: Subscription,
}

impl Rule {
    fn is_expired(&self, offset: &CommittedOffset, now: i64, retention: i64) -> bool {
        match offset.expire_timestamp {
            Some(at) => now >= at,
            None => {
                let since = self.not_before.max(offset.commit_timestamp);
                now.saturating_sub(since) >= retention
            }
        }
    }
}

impl Groups {
    /// Writes tombstones for all that has outlived its retention, and sets the time of the next look.
    pub(crate) fn expire(&self, now: u64, out: &mut Output) {
        let before = out.records.len();
        let mut next = now.saturating_add(self.config.offset_retention_check_ms);
        for id in self.hard.ids() {
            self.expire_group(now, id, out);
            if out.records.len() - before >= MOST_TOMBSTONES {
                next = now;
                break;
            }
        }
        out.timers.push(TimerChange::Set(Timer::Expiry, next));
    }

    fn expire_group(&self, now: u64, id: &GroupId, out: &mut Output) {
        let Some(rule) = self.rule(id) else {
            return;
        };
        let known = self.hard.offsets(id);
        let mut left = known.map_or(0, GroupOffsets::len);
        let now = i64::try_from(now).unwrap_or(i64::MAX);
        let retention = i64::try_from(self.config.offset_retention_ms).unwrap_or(i64::MAX);
        for (topic, partitions) in known.into_iter().flat_map(GroupOffsets::topics) {
            if rule.subscribed.includes(topic) {
                continue;
            }
            for (partition, offset) in partitions {
                if rule.is_expired(offset, now, retention) {
                    left -= 1;
                    out.counts.expired_offsets += 1;
                    out.records.push(Record::Offset {
                        group: id.clone(),
                        topic: topic.clone(),
                        partition: *partition,
                        value: None,
                    });
                }
            }
        }
        // Whoever has been given an id, or has joined, keeps the group.
        if left == 0 && !self.live.contains_key(id) && self.hard.group(id).is_some() {
            out.records.push(Record::Group {
                group: id.clone(),
                value: None,
            });
        }
    }

    /// `None` where nothing expires.
    fn rule(&self, id: &GroupId) -> Option<Rule> {
        let unread = Subscription::default();
        let live = self.live.get(id).map(|group| group.state());
        match (live, self.subscribed(id)) {
            (None | Some(State::Empty), _) => {
                let since = self.hard.group(id).and_then(|group| group.state_timestamp);
                Some(Rule {
                    not_before: since.unwrap_or(i64::MIN),
                    subscribed: unread,
                })
            }
            (Some(State::Stable), Subscribed::To(subscribed)) => Some(Rule {
                not_before: i64::MIN,
                subscribed,
            }),
            _ => None,
        }
    }
}
