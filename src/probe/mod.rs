//! Floor 3: what is probed, one file per kind.
