//! Floor 3: what is run to heal a pair, one file per kind.
