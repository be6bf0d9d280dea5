//! Floor 7: builds everything in order, stops it in reverse order.

/// The log: format, rotation, redaction at the sink.
pub mod log;
