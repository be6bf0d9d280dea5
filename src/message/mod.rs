//! Floor 1: languages; a notice or a log line becomes text, pure.
