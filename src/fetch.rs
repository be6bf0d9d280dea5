//! Floor 2: TLS roots and the one HTTP client builder.
