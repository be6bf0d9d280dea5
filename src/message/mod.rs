//! Floor 1: languages; a notice or a log line becomes text, pure.
//!
//! Here are the words people read, in every [`Language`]. When a message is sent and over which channel is decided in
//! `engine` and `notify`; nothing here knows a clock, a socket or a limit of any messenger but the length of a text.

mod alarm;
mod catalogue;
mod compose;
mod deed;
mod digest;
mod field;
mod heat;
mod language;
mod line;
mod log;
mod rich;
mod span;

pub use compose::{Facts, compose};
pub use deed::why_not;
pub use digest::digest;
pub use field::one_line;
pub use heat::{HeatAbout, heat};
pub use language::{BadLanguage, Language};
pub use line::{Line, SaferDefault};
pub use log::line;
pub use rich::{Rich, Row, Span};

#[cfg(test)]
mod tests;
