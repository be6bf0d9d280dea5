-- Since when each pair of the configuration is watched; `seen_at` is the last start or reload that found it there.
CREATE TABLE watched (
    pair TEXT PRIMARY KEY,
    since BIGINT NOT NULL,
    seen_at BIGINT NOT NULL
);
