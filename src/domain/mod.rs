//! Floor 0: the words of the trade and the rules over them, pure.
//!
//! Here is no clock, no I/O, no randomness and no `async`: time and identity come in as arguments, decisions go out as
//! values. What carries them out lives in `engine`.

pub mod alarm;
pub mod backoff;
pub mod environment;
pub mod evidence;
pub mod expiry;
pub mod flap;
pub mod guard;
pub mod heat;
pub mod judge;
pub mod ladder;
pub mod maintenance;
pub mod memory;
pub mod millis;
pub mod moment;
pub mod name;
pub mod notice;
pub mod outage;
pub mod push;
pub mod reading;
pub mod record;
pub mod recovery;
pub mod refusal;
pub mod remedy;
pub mod report;
pub mod step;
pub mod stop;
pub mod storm;
