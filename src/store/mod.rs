//! Floor 2: what survives a restart.
