-- The frontier on PostgreSQL 14 and later: the tables of schema.sql, with what many writers need. What is counted is
-- counted in a row of each node's own, so that no two of them wait for each other; views sum them up.

CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);

-- Who takes part. A node is one collection directory on some machine.
CREATE TABLE node (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,          -- the id of its collection
    machine TEXT NOT NULL DEFAULT '',
    joined DOUBLE PRECISION NOT NULL DEFAULT 0,
    seen DOUBLE PRECISION NOT NULL DEFAULT 0,
    expires DOUBLE PRECISION NOT NULL DEFAULT 0 -- it takes part until then; 0 once it has left
);

CREATE TABLE origin (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    closed INTEGER NOT NULL DEFAULT 0,
    readable INTEGER,
    rules TEXT,
    follows BIGINT,
    frozen_until DOUBLE PRECISION NOT NULL DEFAULT 0
);

CREATE TABLE lane (name TEXT PRIMARY KEY, priority INTEGER NOT NULL);

CREATE TABLE bucket (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    round INTEGER NOT NULL,
    lane TEXT NOT NULL,
    origin BIGINT NOT NULL,
    day TEXT NOT NULL,
    value BIGINT NOT NULL,
    paused INTEGER NOT NULL DEFAULT 0,
    UNIQUE (round, lane, origin, day, value)
);

CREATE TABLE bucket_of (
    bucket BIGINT NOT NULL,
    node BIGINT NOT NULL,
    queued BIGINT NOT NULL DEFAULT 0,
    leased BIGINT NOT NULL DEFAULT 0,
    done BIGINT NOT NULL DEFAULT 0,
    failed BIGINT NOT NULL DEFAULT 0,
    parked BIGINT NOT NULL DEFAULT 0,
    excluded BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (bucket, node)
) WITH (fillfactor = 50);

CREATE VIEW bucket_counted AS
SELECT b.*, c.queued, c.leased, c.done, c.failed, c.parked, c.excluded FROM bucket b JOIN (
    SELECT bucket, sum(queued)::BIGINT AS queued, sum(leased)::BIGINT AS leased, sum(done)::BIGINT AS done,
        sum(failed)::BIGINT AS failed, sum(parked)::BIGINT AS parked, sum(excluded)::BIGINT AS excluded
    FROM bucket_of GROUP BY bucket
) c ON c.bucket = b.id;

-- Ids come in blocks of 1000, one at a time to each node: so it can keep its discoveries in their order and yet
-- insert them in that of their fingerprints, which lets no two nodes wait for each other in a ring.
CREATE SEQUENCE fetch_id INCREMENT BY 1000;

CREATE TABLE "fetch" (
    id BIGINT PRIMARY KEY DEFAULT nextval('fetch_id'),
    round INTEGER NOT NULL,
    fingerprint BYTEA NOT NULL,
    bucket BIGINT NOT NULL,
    method TEXT NOT NULL,
    url TEXT NOT NULL,
    work BYTEA NOT NULL,
    state TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    not_before DOUBLE PRECISION NOT NULL DEFAULT 0,
    tried DOUBLE PRECISION NOT NULL DEFAULT 0,
    token BIGINT NOT NULL DEFAULT 0,
    worker TEXT,
    reason TEXT NOT NULL DEFAULT '',
    status INTEGER NOT NULL DEFAULT 0,
    segment BIGINT,
    "offset" BIGINT,
    response_offset BIGINT,
    response_length BIGINT
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);

CREATE UNIQUE INDEX fetch_known ON "fetch" (fingerprint, round);
CREATE INDEX fetch_due ON "fetch" (bucket, not_before, id) WHERE state = 'queued';
CREATE INDEX fetch_waiting ON "fetch" (not_before) WHERE state = 'queued' AND not_before > 0;
CREATE INDEX fetch_held ON "fetch" (worker) WHERE state = 'leased';
CREATE INDEX fetch_trouble ON "fetch" (state, reason) WHERE state IN ('failed', 'parked');
CREATE INDEX fetch_in ON "fetch" (segment) WHERE segment IS NOT NULL AND state = 'done';

-- Until when a worker may keep what it holds: one row is prolonged, not all that it holds.
CREATE TABLE holder (worker TEXT PRIMARY KEY, node BIGINT NOT NULL, expires DOUBLE PRECISION NOT NULL);

CREATE TABLE sweep (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    round INTEGER NOT NULL,
    template TEXT NOT NULL,
    bucket BIGINT NOT NULL,
    work BYTEA NOT NULL,
    walk TEXT NOT NULL,
    UNIQUE (round, template)
);

CREATE TABLE stretch (
    sweep BIGINT NOT NULL,
    number BIGINT NOT NULL,
    taken BYTEA NOT NULL,
    hits BYTEA NOT NULL,
    holes BYTEA NOT NULL,
    PRIMARY KEY (sweep, number)
);

CREATE TABLE segment (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    class TEXT NOT NULL,
    worker TEXT NOT NULL,
    node BIGINT NOT NULL DEFAULT 0,
    state TEXT NOT NULL,
    low_water BIGINT NOT NULL DEFAULT 0
);

CREATE TABLE settled (segment BIGINT NOT NULL, "offset" BIGINT NOT NULL, PRIMARY KEY (segment, "offset"));

-- A payload is the original of each node that has it: a revisit leads to a record on the same machine.
CREATE TABLE payload (
    sha256 BYTEA NOT NULL,
    node BIGINT NOT NULL,
    record_id TEXT NOT NULL,
    url TEXT NOT NULL,
    date TEXT NOT NULL,
    segment BIGINT NOT NULL,
    "offset" BIGINT NOT NULL,
    PRIMARY KEY (sha256, node)
);

-- Captures that were written by who had lost the lease meanwhile: durable, and nobody's.
CREATE TABLE surplus (
    segment BIGINT NOT NULL,
    "offset" BIGINT NOT NULL,
    "fetch" BIGINT NOT NULL,
    node BIGINT NOT NULL,
    PRIMARY KEY (segment, "offset")
);

-- The key is a digest of kind and id, which may be longer than an index takes.
CREATE TABLE covered (
    key BYTEA PRIMARY KEY,
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    standing INTEGER NOT NULL,
    day TEXT,
    reason TEXT NOT NULL DEFAULT '',
    url TEXT NOT NULL DEFAULT '',
    round INTEGER NOT NULL DEFAULT 1,
    mark BYTEA
);

CREATE TABLE coverage_of (
    kind TEXT NOT NULL,
    day TEXT NOT NULL,
    standing INTEGER NOT NULL,
    node BIGINT NOT NULL,
    n BIGINT NOT NULL,
    PRIMARY KEY (kind, day, standing, node)
) WITH (fillfactor = 50);
CREATE VIEW coverage AS SELECT kind, day, standing, sum(n)::BIGINT AS n FROM coverage_of GROUP BY kind, day, standing;

CREATE TABLE claim (
    kind TEXT NOT NULL,
    counter TEXT NOT NULL,
    n BIGINT NOT NULL,
    caveat TEXT NOT NULL,
    url TEXT NOT NULL,
    PRIMARY KEY (kind, counter)
);
CREATE TABLE note (text TEXT NOT NULL, url TEXT NOT NULL, n BIGINT NOT NULL);
CREATE UNIQUE INDEX note_once ON note (md5(text));

CREATE TABLE reason_of (
    state TEXT NOT NULL,
    reason TEXT NOT NULL,
    node BIGINT NOT NULL,
    n BIGINT NOT NULL,
    PRIMARY KEY (state, reason, node)
) WITH (fillfactor = 50);
CREATE VIEW reason AS SELECT state, reason, sum(n)::BIGINT AS n FROM reason_of GROUP BY state, reason;
CREATE RULE reason_forgotten AS ON DELETE TO reason DO INSTEAD DELETE FROM reason_of;

CREATE TABLE total_of (name TEXT NOT NULL, node BIGINT NOT NULL, n BIGINT NOT NULL, PRIMARY KEY (name, node)) WITH (fillfactor = 50);
CREATE VIEW total AS SELECT name, sum(n)::BIGINT AS n FROM total_of GROUP BY name;

CREATE TABLE host (name TEXT PRIMARY KEY, facts TEXT NOT NULL);
