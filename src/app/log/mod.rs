//! The log: format, rotation, redaction at the sink.
