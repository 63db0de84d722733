-- What is known of a fetch is written once and never again; what moves is in narrow tables beside it, so that a lease and
-- a settlement touch no index over fingerprints. A fetch that is queued has a row in due, one that is leased has one in
-- leased, and one that was ever tried has one in stand.

DROP INDEX fetch_due, fetch_waiting, fetch_held, fetch_trouble, fetch_in, fetch_with;
ALTER TABLE "fetch" RENAME TO known;

CREATE TABLE due (
    bucket BIGINT NOT NULL,
    not_before DOUBLE PRECISION NOT NULL,
    id BIGINT NOT NULL,
    PRIMARY KEY (bucket, not_before, id)
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);
INSERT INTO due SELECT bucket, not_before, id FROM known WHERE state = 'queued' ORDER BY bucket, not_before, id;
CREATE INDEX due_waiting ON due (not_before) WHERE not_before > 0;

-- Every lease has a token of its own, greater than those before.
CREATE SEQUENCE token;
SELECT setval('token', coalesce(max(token), 0) + 1) FROM known;

CREATE TABLE leased (
    id BIGINT PRIMARY KEY,
    bucket BIGINT NOT NULL,
    token BIGINT NOT NULL DEFAULT nextval('token'),
    worker TEXT NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);
INSERT INTO leased SELECT id, bucket, token, worker FROM known WHERE state = 'leased' AND worker IS NOT NULL;
CREATE INDEX leased_by ON leased (worker);

-- Who of the volunteers was the last to get a fetch that nobody settled since: it is queued, or held by it in a segment.
CREATE TABLE volunteered (
    id BIGINT PRIMARY KEY,
    bucket BIGINT NOT NULL,
    token BIGINT NOT NULL,
    worker TEXT NOT NULL,
    segment BIGINT                      -- where it is durable with its volunteer
);
INSERT INTO volunteered SELECT id, bucket, token, worker, CASE WHEN state = 'held' THEN segment END
FROM known WHERE state IN ('queued', 'held') AND worker LIKE '%-v';
CREATE INDEX volunteered_in ON volunteered (segment) WHERE segment IS NOT NULL;

CREATE TABLE stand (
    id BIGINT PRIMARY KEY,
    state TEXT NOT NULL,                -- queued where it is to be tried again, even while somebody has it
    reason TEXT NOT NULL,
    status INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    not_before DOUBLE PRECISION NOT NULL,
    tried DOUBLE PRECISION NOT NULL,    -- when it was last settled or tried
    token BIGINT NOT NULL,              -- under which it was
    segment BIGINT,
    "offset" BIGINT,                    -- of the request record
    response_offset BIGINT,
    response_length BIGINT
);
INSERT INTO stand
SELECT id, CASE WHEN state IN ('leased', 'held') THEN 'queued' ELSE state END, reason, status, attempts, not_before, tried, token,
    CASE WHEN state <> 'held' THEN segment END, "offset", response_offset, response_length
FROM known WHERE state NOT IN ('queued', 'leased', 'held') OR tried > 0 OR "offset" IS NOT NULL ORDER BY id;
CREATE INDEX stand_trouble ON stand (state, reason) WHERE state IN ('failed', 'parked');
-- Who settles writes one segment after the other.
CREATE INDEX stand_in ON stand USING brin (segment);

ALTER TABLE known DROP COLUMN state, DROP COLUMN attempts, DROP COLUMN not_before, DROP COLUMN tried, DROP COLUMN token,
    DROP COLUMN worker, DROP COLUMN reason, DROP COLUMN status, DROP COLUMN segment, DROP COLUMN "offset",
    DROP COLUMN response_offset, DROP COLUMN response_length;

CREATE VIEW "fetch" AS
SELECT k.id, k.round, k.fingerprint, k.bucket, k.method, k.url, k.work,
    CASE WHEN h.id IS NOT NULL THEN 'leased' WHEN v.segment IS NOT NULL THEN 'held' ELSE coalesce(s.state, 'queued') END
        AS state,
    coalesce(s.reason, '') AS reason, coalesce(s.status, 0) AS status, coalesce(s.attempts, 0) AS attempts,
    coalesce(s.tried, 0) AS tried, coalesce(h.token, v.token, s.token, 0) AS token,
    coalesce(h.worker, v.worker) AS worker, coalesce(v.segment, s.segment) AS segment, s."offset", s.response_offset, s.response_length
FROM known k LEFT JOIN stand s ON s.id = k.id LEFT JOIN leased h ON h.id = k.id
    LEFT JOIN volunteered v ON v.id = k.id;
