//! Floor 4: all keys become one `Config`.
