-- The frontier on SQLite. One row a fetch; everything counted is counted in a small table as it changes,
-- so that no verb and no status ever scans the big one.

CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS origin (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,          -- scheme://host[:port]
    closed INTEGER NOT NULL DEFAULT 0,  -- 1 until its robots.txt is settled
    readable INTEGER,                   -- 0 where robots.txt never was; NULL while unsettled
    rules TEXT,                         -- the robots.txt, frozen for the round
    follows INTEGER,                    -- another origin whose robots.txt this one's redirects to
    frozen_until REAL NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE IF NOT EXISTS lane (name TEXT PRIMARY KEY, priority INTEGER NOT NULL) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS bucket (
    id INTEGER PRIMARY KEY,
    round INTEGER NOT NULL,
    lane TEXT NOT NULL,
    origin INTEGER NOT NULL,
    day TEXT NOT NULL,
    value INTEGER NOT NULL,
    paused INTEGER NOT NULL DEFAULT 0,
    place INTEGER NOT NULL DEFAULT 0,   -- in the plan for a deadline, lower first; 0 where there is no plan
    waits INTEGER NOT NULL DEFAULT 0,   -- 1 where the plan begins nothing of it
    bytes INTEGER NOT NULL DEFAULT 0,   -- of answers, on the wire
    queued INTEGER NOT NULL DEFAULT 0,
    leased INTEGER NOT NULL DEFAULT 0,
    done INTEGER NOT NULL DEFAULT 0,
    failed INTEGER NOT NULL DEFAULT 0,
    parked INTEGER NOT NULL DEFAULT 0,
    excluded INTEGER NOT NULL DEFAULT 0,
    UNIQUE (round, lane, origin, day, value)
) STRICT;

-- How many new fetches of one lane those of another led to.
CREATE TABLE IF NOT EXISTS led (lane TEXT NOT NULL, child TEXT NOT NULL, n INTEGER NOT NULL, PRIMARY KEY (lane, child)) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS fetch (
    id INTEGER PRIMARY KEY,
    round INTEGER NOT NULL,
    fingerprint BLOB NOT NULL,          -- 16 bytes
    bucket INTEGER NOT NULL,
    method TEXT NOT NULL,
    url TEXT NOT NULL,
    work BLOB NOT NULL,                 -- the rest of the Fetch, msgpack
    state TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    not_before REAL NOT NULL DEFAULT 0,
    tried REAL NOT NULL DEFAULT 0,      -- when it was last settled or tried
    token INTEGER NOT NULL DEFAULT 0,
    worker TEXT,
    expires REAL,
    reason TEXT NOT NULL DEFAULT '',
    status INTEGER NOT NULL DEFAULT 0,
    segment INTEGER,
    offset INTEGER,                     -- of the request record
    response_offset INTEGER,
    response_length INTEGER
) STRICT;

CREATE INDEX IF NOT EXISTS fetch_due ON fetch (bucket, not_before, id) WHERE state = 'queued';
CREATE INDEX IF NOT EXISTS fetch_waiting ON fetch (not_before) WHERE state = 'queued' AND not_before > 0;
CREATE INDEX IF NOT EXISTS fetch_held ON fetch (worker) WHERE state = 'leased';
CREATE INDEX IF NOT EXISTS fetch_trouble ON fetch (state, reason) WHERE state IN ('failed', 'parked');

-- A template of URLs that is swept: one row, however many ids it stands for; they count as queued in its bucket.
CREATE TABLE IF NOT EXISTS sweep (
    id INTEGER PRIMARY KEY,
    round INTEGER NOT NULL,
    template TEXT NOT NULL,
    bucket INTEGER NOT NULL,
    work BLOB NOT NULL,                 -- the Fetch of its first id, msgpack
    walk TEXT NOT NULL,                 -- newest, oldest, dense
    UNIQUE (round, template)
) STRICT;

-- What became of 1024 ids in a row, a bit each; there is none where nothing was asked yet. An id is taken once it has
-- a row in fetch, or is settled: what answered has a row, what did not is a hole and has nothing but its bits.
CREATE TABLE IF NOT EXISTS stretch (
    sweep INTEGER NOT NULL,
    number INTEGER NOT NULL,
    taken BLOB NOT NULL,
    hits BLOB NOT NULL,
    holes BLOB NOT NULL,
    PRIMARY KEY (sweep, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS segment (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    class TEXT NOT NULL,
    worker TEXT NOT NULL,
    state TEXT NOT NULL,                -- open, closed, sealed, removed
    low_water INTEGER NOT NULL DEFAULT 0
) STRICT;

-- Groups settled above their segment's low-water mark; pruned as the mark rises.
CREATE TABLE IF NOT EXISTS settled (segment INTEGER NOT NULL, offset INTEGER NOT NULL, PRIMARY KEY (segment, offset)) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS payload (
    id INTEGER PRIMARY KEY,
    sha256 BLOB NOT NULL,
    record_id TEXT NOT NULL,
    url TEXT NOT NULL,
    date TEXT NOT NULL,
    segment INTEGER NOT NULL,
    offset INTEGER NOT NULL             -- of the response record
) STRICT;

-- Which row has a hash: a fetch its fingerprint, in its round; a payload the first half of its SHA-256, in round 0.
-- Written behind the rows (behind.py); up to which ids, say the settings "indexed fetch" and "indexed payload".
CREATE TABLE IF NOT EXISTS known (round INTEGER NOT NULL, key BLOB NOT NULL, id INTEGER NOT NULL, PRIMARY KEY (round, key)) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS covered (
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    standing INTEGER NOT NULL,
    day TEXT,
    reason TEXT NOT NULL DEFAULT '',
    url TEXT NOT NULL DEFAULT '',
    round INTEGER NOT NULL DEFAULT 1,   -- in which it came to where it stands
    mark BLOB,                          -- of a post: which answer told of it, and what it said, 8 bytes each
    PRIMARY KEY (kind, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS coverage (
    kind TEXT NOT NULL,
    day TEXT NOT NULL,
    standing INTEGER NOT NULL,
    n INTEGER NOT NULL,
    PRIMARY KEY (kind, day, standing)
) STRICT, WITHOUT ROWID;

-- What the platform says it has, and what a person must hear; the newest word of a counter holds.
CREATE TABLE IF NOT EXISTS claim (
    kind TEXT NOT NULL,
    counter TEXT NOT NULL,
    n INTEGER NOT NULL,
    caveat TEXT NOT NULL,
    url TEXT NOT NULL,
    PRIMARY KEY (kind, counter)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS note (text TEXT PRIMARY KEY, url TEXT NOT NULL, n INTEGER NOT NULL) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS reason (state TEXT NOT NULL, reason TEXT NOT NULL, n INTEGER NOT NULL, PRIMARY KEY (state, reason)) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS total (name TEXT PRIMARY KEY, n INTEGER NOT NULL) STRICT, WITHOUT ROWID;
-- How many fetches each worker holds; which ones is known to the process that writes.
CREATE TABLE IF NOT EXISTS hand (worker TEXT PRIMARY KEY, n INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS host (name TEXT PRIMARY KEY, facts TEXT NOT NULL) STRICT, WITHOUT ROWID;
