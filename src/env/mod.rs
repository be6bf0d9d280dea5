//! Floor 1: `KEY=value` text becomes types, pure.
