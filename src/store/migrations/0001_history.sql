-- One text for SQLite and PostgreSQL: times are epoch milliseconds, flags SMALLINT, everything else TEXT.
CREATE TABLE incidents (
    id TEXT PRIMARY KEY,
    pair TEXT NOT NULL,
    opened_at BIGINT NOT NULL,
    cause TEXT NOT NULL,
    reason TEXT NOT NULL,
    closed_at BIGINT,
    verdict TEXT,
    healed_by TEXT
);
CREATE INDEX incidents_by_time ON incidents (opened_at);
CREATE INDEX incidents_by_pair ON incidents (pair, opened_at);
CREATE INDEX incidents_by_end ON incidents (closed_at);

CREATE TABLE runs (
    id TEXT PRIMARY KEY,
    incident TEXT,
    pair TEXT NOT NULL,
    site TEXT NOT NULL,
    command TEXT NOT NULL,
    rung BIGINT NOT NULL,
    attempt BIGINT NOT NULL,
    intended_at BIGINT NOT NULL,
    refusal TEXT,
    ended_at BIGINT,
    status TEXT,
    exit_code BIGINT,
    signal TEXT,
    duration_ms BIGINT,
    output_bytes BIGINT,
    output_sha256 TEXT,
    truncated SMALLINT,
    output TEXT,
    error TEXT,
    verdict TEXT,
    judged_at BIGINT
);
CREATE INDEX runs_by_time ON runs (intended_at);
CREATE INDEX runs_by_pair ON runs (pair, intended_at);
CREATE INDEX runs_by_incident ON runs (incident);
CREATE INDEX runs_unfinished ON runs (intended_at) WHERE ended_at IS NULL AND refusal IS NULL;

CREATE TABLE pair_states (
    pair TEXT PRIMARY KEY,
    state TEXT NOT NULL CHECK (length(state) <= 1048576),
    at BIGINT NOT NULL
);

-- `stage` is waiting, delivered or dead.
CREATE TABLE outbox (
    id TEXT NOT NULL,
    channel TEXT NOT NULL,
    pair TEXT NOT NULL,
    incident TEXT NOT NULL,
    queued_at BIGINT NOT NULL,
    notice TEXT NOT NULL,
    stage TEXT NOT NULL,
    tries BIGINT NOT NULL,
    next_at BIGINT,
    done_at BIGINT,
    message_ref TEXT,
    why TEXT,
    PRIMARY KEY (id, channel)
);
CREATE INDEX outbox_by_stage ON outbox (stage, id);

CREATE TABLE threads (
    incident TEXT NOT NULL,
    channel TEXT NOT NULL,
    message_ref TEXT NOT NULL,
    PRIMARY KEY (incident, channel)
);

CREATE TABLE channel_moves (
    channel TEXT NOT NULL,
    old_ref TEXT NOT NULL,
    new_ref TEXT NOT NULL,
    PRIMARY KEY (channel, old_ref)
);

CREATE TABLE settings (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL CHECK (length(value) <= 1048576)
);
