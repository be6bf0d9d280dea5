//! Floor 2: where a command runs.
