//! Floor 3: where notices go, one file per kind.
