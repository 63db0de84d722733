-- Volunteers: nodes that reach a coordinator, and not this database. Of what they hold, total_of counts under 'held'
-- what is durable with them and not yet proven at a destination; in its bucket that still counts as leased.

ALTER TABLE node
    ADD COLUMN kind TEXT NOT NULL DEFAULT 'machine',    -- or volunteer
    ADD COLUMN label TEXT NOT NULL DEFAULT '',          -- what people call it
    ADD COLUMN trust INTEGER NOT NULL DEFAULT 0,        -- 0: what it brings is sampled
    ADD COLUMN secret BYTEA UNIQUE,                     -- SHA-256 of what it shows
    ADD COLUMN public_key BYTEA,                        -- Ed25519, what it signs its segments with
    ADD COLUMN revoked DOUBLE PRECISION NOT NULL DEFAULT 0,
    ADD COLUMN quota_bytes BIGINT NOT NULL DEFAULT 0,   -- of segments; 0: no bound
    ADD COLUMN quota_leases INTEGER NOT NULL DEFAULT 0; -- of fetches that it holds at once

-- What one volunteer joins with, once.
CREATE TABLE invite (
    secret BYTEA PRIMARY KEY,           -- SHA-256 of it
    label TEXT NOT NULL,
    trust INTEGER NOT NULL,
    quota_bytes BIGINT NOT NULL,
    quota_leases INTEGER NOT NULL,
    made DOUBLE PRECISION NOT NULL,
    expires DOUBLE PRECISION NOT NULL,
    node BIGINT                         -- who took it up
);

-- Which segments volunteers bring: open (something in it is held), sent, proven, refused, lost.
CREATE TABLE brought (
    segment BIGINT PRIMARY KEY,
    node BIGINT NOT NULL,
    state TEXT NOT NULL DEFAULT 'open',
    bytes BIGINT NOT NULL DEFAULT 0,
    sha256 TEXT NOT NULL DEFAULT '',
    parts TEXT[] NOT NULL DEFAULT '{}', -- MD5 of each
    signature TEXT NOT NULL DEFAULT '', -- by the node's key
    upload TEXT NOT NULL DEFAULT '',
    reason TEXT NOT NULL DEFAULT '',    -- why it was refused
    changed DOUBLE PRECISION NOT NULL
);
CREATE INDEX brought_by ON brought (node, state);

-- Who holds what is durable with them.
CREATE INDEX fetch_with ON "fetch" (segment) WHERE state = 'held';

-- Captures of volunteers that somebody trusted is to fetch again.
CREATE TABLE witness (
    "fetch" BIGINT PRIMARY KEY,
    node BIGINT NOT NULL,               -- who brought the capture
    segment BIGINT NOT NULL,
    "offset" BIGINT NOT NULL,
    payload TEXT NOT NULL,              -- SHA-256 of what it holds
    state TEXT NOT NULL DEFAULT 'asked', -- agrees, differs, unchecked
    told TEXT NOT NULL DEFAULT '',
    changed DOUBLE PRECISION NOT NULL
);
CREATE INDEX witness_by ON witness (node, state);
