-- Statements of queries.sql that PostgreSQL, or many writers at once, want otherwise; and those only a fleet has.

-- name: buckets_due
-- Buckets that have work now, best first.
SELECT b.id, o.name, b.lane FROM bucket b JOIN origin o ON o.id = b.origin LEFT JOIN lane l ON l.name = b.lane
WHERE b.round = :round AND b.paused = 0 AND b.waits = 0 AND (o.closed = 0 OR b.lane = 'robots') AND o.frozen_until <= :now
AND (SELECT sum(c.queued) FROM bucket_of c WHERE c.bucket = b.id) > 0
ORDER BY b.place, coalesce(l.priority, 50), b.value DESC, b.day DESC, b.id;

-- name: fetches_due
-- The oldest due fetches of one bucket that nobody else takes at this moment go to a worker, each under a new token.
WITH taken AS (
    DELETE FROM due WHERE ctid = ANY(ARRAY(
        SELECT ctid FROM due WHERE bucket = :bucket AND not_before <= :now ORDER BY not_before, id LIMIT :n
        FOR UPDATE SKIP LOCKED
    )) RETURNING id
), forgotten AS (
    DELETE FROM volunteered WHERE id IN (SELECT id FROM taken)
), lent AS (
    INSERT INTO leased (id, bucket, worker) SELECT id, :bucket, :worker FROM taken RETURNING id, token
)
SELECT k.id, k.work, coalesce(s.attempts, 0), l.token
FROM lent l JOIN known k ON k.id = l.id LEFT JOIN stand s ON s.id = l.id ORDER BY coalesce(s.not_before, 0), l.id;

-- name: let_go
-- What was refused when it was leased is in nobody's hands.
DELETE FROM leased WHERE id = ANY(:ids);

-- name: holds
-- A worker may keep what it holds until then.
INSERT INTO holder (worker, node, expires) VALUES (:worker, :node, :until)
ON CONFLICT (worker) DO UPDATE SET expires = greatest(holder.expires, excluded.expires), node = excluded.node;

-- name: end_leases
-- Leases that are settled now, if they still are who settles them's.
DELETE FROM leased h USING unnest(:ids::BIGINT[], :tokens::BIGINT[]) AS t (id, token), known k
WHERE h.id = t.id AND h.token = t.token AND k.id = t.id RETURNING h.id, h.bucket, 'leased', h.token, k.url;

-- name: end_lease
-- A fetch is in nobody's hands.
DELETE FROM leased WHERE id = :id;

-- name: end_wait
-- A fetch is not to be tried again, and no volunteer's.
WITH forgotten AS (DELETE FROM volunteered WHERE id = :id)
DELETE FROM due d USING known k LEFT JOIN stand s ON s.id = k.id
WHERE k.id = :id AND d.bucket = k.bucket AND d.not_before = coalesce(s.not_before, 0) AND d.id = k.id;

-- name: find_by_fingerprint
-- A fetch of this round by its fingerprint, which nobody else recovers meanwhile.
SELECT k.id, k.bucket, CASE WHEN h.id IS NOT NULL THEN 'leased' WHEN v.segment IS NOT NULL THEN 'held' ELSE coalesce(s.state, 'queued') END, coalesce(h.token, s.token, 0),
    k.url, coalesce(s.reason, '')
FROM known k LEFT JOIN stand s ON s.id = k.id LEFT JOIN leased h ON h.id = k.id LEFT JOIN volunteered v ON v.id = k.id
WHERE k.round = :round AND k.fingerprint = :fingerprint FOR UPDATE OF k;

-- name: known
-- Those of some fetches that are known already.
SELECT fingerprint FROM known WHERE round = :round AND fingerprint = ANY(:fingerprints::BYTEA[]);

-- name: learn_all
-- Fetches become known, once; those that are new are due, and returned.
WITH new AS (
    INSERT INTO known (id, round, fingerprint, bucket, method, url, work)
    SELECT id, :round, fingerprint, bucket, method, url, work
    FROM unnest(:ids::BIGINT[], :fingerprints::BYTEA[], :buckets::BIGINT[], :methods::TEXT[], :urls::TEXT[], :works::BYTEA[])
        AS new (id, fingerprint, bucket, method, url, work)
    ON CONFLICT (fingerprint, round) DO NOTHING RETURNING id, bucket, fingerprint
), waiting AS (
    INSERT INTO due (bucket, not_before, id) SELECT bucket, 0, id FROM new ORDER BY id
)
SELECT fingerprint FROM new;

-- name: learn_leased
-- Ids of a sweep get rows as they go to a worker.
WITH new AS (
    INSERT INTO known (id, round, fingerprint, bucket, method, url, work)
    SELECT id, :round, fingerprint, bucket, method, url, work
    FROM unnest(:ids::BIGINT[], :fingerprints::BYTEA[], :buckets::BIGINT[], :methods::TEXT[], :urls::TEXT[], :works::BYTEA[])
        AS new (id, fingerprint, bucket, method, url, work)
    ON CONFLICT (fingerprint, round) DO NOTHING RETURNING id, bucket, fingerprint
)
INSERT INTO leased (id, bucket, worker) SELECT id, bucket, :worker FROM new RETURNING id, token;

-- name: settle_all
-- What became of fetches; a try without a record keeps the location it had.
INSERT INTO stand AS f (state, reason, status, attempts, not_before, tried, token, segment, "offset", response_offset,
    response_length, id)
SELECT * FROM unnest(:states::TEXT[], :reasons::TEXT[], :statuses::INTEGER[], :tries::INTEGER[],
    :waits::DOUBLE PRECISION[], :times::DOUBLE PRECISION[], :tokens::BIGINT[], :segments::BIGINT[], :offsets::BIGINT[],
    :response_offsets::BIGINT[], :response_lengths::BIGINT[], :ids::BIGINT[])
ON CONFLICT (id) DO UPDATE SET state = excluded.state, reason = excluded.reason, status = excluded.status,
    attempts = f.attempts + excluded.attempts, not_before = excluded.not_before, tried = excluded.tried,
    token = excluded.token, segment = coalesce(excluded.segment, f.segment),
    "offset" = coalesce(excluded."offset", f."offset"),
    response_offset = coalesce(excluded.response_offset, f.response_offset),
    response_length = coalesce(excluded.response_length, f.response_length);

-- name: wait_all
-- Fetches are to be tried again.
INSERT INTO due SELECT * FROM unnest(:buckets::BIGINT[], :waits::DOUBLE PRECISION[], :ids::BIGINT[]);

-- name: settled_all
-- Groups that are settled above their segments' marks.
INSERT INTO settled SELECT * FROM unnest(:segments::BIGINT[], :offsets::BIGINT[]) ON CONFLICT DO NOTHING;

-- name: payload_all
-- Records that were the first of this node to have a payload.
INSERT INTO payload (sha256, node, record_id, url, date, segment, "offset")
SELECT sha256, :node, record_id, url, date, segment, place
FROM unnest(:digests::BYTEA[], :records::TEXT[], :urls::TEXT[], :dates::TEXT[], :segments::BIGINT[], :offsets::BIGINT[])
    AS new (sha256, record_id, url, date, segment, place)
ON CONFLICT DO NOTHING;

-- name: surplus
-- A capture of what another has settled.
INSERT INTO surplus (segment, "offset", fetch, node) VALUES (:segment, :place, :fetch, :node) ON CONFLICT DO NOTHING;

-- name: surplus_all
-- Captures that settled nothing: URL, segment, offset, and where what settled it stands.
SELECT f.url, s.name, x."offset", t.name, f."offset" FROM surplus x JOIN segment s ON s.id = x.segment
JOIN fetch f ON f.id = x.fetch LEFT JOIN segment t ON t.id = f.segment ORDER BY s.name, x."offset";

-- name: held
-- All that this node holds is queued again, its attempts as they were; how much of which bucket is returned. A volunteer
-- may have it all the same, and prove it.
WITH back AS (
    DELETE FROM leased WHERE worker IN (SELECT worker FROM holder WHERE node = :node) RETURNING id, bucket, token, worker
), remembered AS (
    INSERT INTO volunteered SELECT id, bucket, token, worker FROM back WHERE worker LIKE '%-v'
), waiting AS (
    INSERT INTO due SELECT b.bucket, coalesce(s.not_before, 0), b.id FROM back b LEFT JOIN stand s ON s.id = b.id
)
SELECT bucket, count(*) FROM back GROUP BY bucket;

-- name: held_by
-- The same for what a worker holds, all of it or some.
WITH back AS (
    DELETE FROM leased WHERE worker = :worker AND (:ids::BIGINT[] IS NULL OR id = ANY(:ids::BIGINT[])) RETURNING id, bucket, token, worker
), remembered AS (
    INSERT INTO volunteered SELECT id, bucket, token, worker FROM back WHERE worker LIKE '%-v'
), waiting AS (
    INSERT INTO due SELECT b.bucket, coalesce(s.not_before, 0), b.id FROM back b LEFT JOIN stand s ON s.id = b.id
)
SELECT bucket, count(*) FROM back GROUP BY bucket;

-- name: expired
-- The same for what is held for longer than agreed.
WITH late AS (
    SELECT id FROM leased WHERE worker IN (SELECT worker FROM holder WHERE expires < :now) ORDER BY id FOR UPDATE SKIP LOCKED
), back AS (
    DELETE FROM leased WHERE id IN (SELECT id FROM late) RETURNING id, bucket, token, worker
), remembered AS (
    INSERT INTO volunteered SELECT id, bucket, token, worker FROM back WHERE worker LIKE '%-v'
), waiting AS (
    INSERT INTO due SELECT b.bucket, coalesce(s.not_before, 0), b.id FROM back b LEFT JOIN stand s ON s.id = b.id
)
SELECT bucket, count(*) FROM back GROUP BY bucket;

-- name: in_hand
-- How many fetches each worker holds.
SELECT worker, count(*) FROM leased GROUP BY worker;

-- name: prolong
-- A worker is alive.
UPDATE holder SET expires = :until WHERE worker = :worker;

-- name: troubled
-- Parked or failed fetches, all or those with one reason.
SELECT s.id, k.bucket, s.reason FROM stand s JOIN known k ON k.id = s.id WHERE s.state = :state AND s.state IN ('failed', 'parked')
AND (:reason::TEXT IS NULL OR s.reason = :reason::TEXT) ORDER BY s.id FOR UPDATE OF s;

-- name: troubles
-- Fetches that failed or are parked for one reason.
SELECT k.url, s.status, s.attempts, s.tried FROM stand s JOIN known k ON k.id = s.id
WHERE s.state = :state AND s.state IN ('failed', 'parked') AND s.reason = :reason LIMIT :most;

-- name: requeue
-- A settled fetch is tried afresh.
WITH afresh AS (
    UPDATE stand SET state = 'queued', attempts = 0, not_before = 0, reason = '' WHERE id = :id RETURNING id
)
INSERT INTO due SELECT :bucket, 0, id FROM afresh ON CONFLICT DO NOTHING;

-- name: settled_by
-- A fetch as the holder of a token settled it.
SELECT id, bucket, state, reason FROM fetch WHERE id = :id AND state NOT IN ('leased', 'queued') AND token = :token;

-- name: tried_by
-- A fetch that waits since the holder of a token tried it in vain.
WITH waiting AS (
    UPDATE due d SET not_before = 0 FROM stand s JOIN known k ON k.id = s.id
    WHERE s.id = :id AND s.token = :token AND s.state = 'queued' AND d.bucket = k.bucket AND d.not_before = s.not_before AND d.id = s.id
    RETURNING d.id
)
UPDATE stand SET attempts = 0, not_before = 0, reason = '' WHERE id IN (SELECT id FROM waiting);

-- name: waiting
-- When the earliest waiting fetch is due.
SELECT min(not_before) FROM due WHERE not_before > 0;

-- name: bring_forward
-- What waits for a reason is due now.
WITH waiting AS (
    UPDATE due d SET not_before = 0 FROM stand s WHERE d.not_before > 0 AND d.not_before > :now AND s.id = d.id
    AND s.reason = :reason AND s.tried < :older_than RETURNING d.id
)
UPDATE stand SET not_before = 0 WHERE id IN (SELECT id FROM waiting);

-- name: forget_waits
-- What would wait for too long is due now.
WITH waiting AS (UPDATE due SET not_before = 0 WHERE not_before > 0 AND not_before > :beyond RETURNING id)
UPDATE stand SET not_before = 0 WHERE id IN (SELECT id FROM waiting);

-- name: done_in
-- What is done and stands in one segment.
SELECT s.id, k.bucket FROM stand s JOIN known k ON k.id = s.id
WHERE k.round = :round AND s.segment = :segment AND s.state = 'done';

-- name: payloads_in
-- Payloads that stand in a segment; each segment is one node's.
SELECT sha256, offset FROM payload WHERE segment = :was;

-- name: payload_moved
-- Where a payload stands, after its segment was rewritten.
UPDATE payload SET segment = :now, offset = :offset WHERE sha256 = :id AND segment = :was;

-- name: work
-- What a known fetch is to be done as, and where its capture stands.
SELECT f.id, f.work, f.state, f.bucket, f.reason, s.name, f.offset, f.token FROM fetch f LEFT JOIN segment s ON s.id = f.segment
WHERE f.round = :round AND f.fingerprint = :fingerprint;

-- name: earlier
-- Where the capture of an earlier round stands.
SELECT s.name, f.response_offset FROM fetch f JOIN segment s ON s.id = f.segment
WHERE f.round = :round AND f.fingerprint = :fingerprint AND f.state = 'done' AND f.status = 200;

-- name: evidence
-- Where the capture stands that settled a URL.
SELECT s.name, f.offset, f.status FROM fetch f LEFT JOIN segment s ON s.id = f.segment
WHERE f.round = :round AND f.fingerprint = :fingerprint;

-- name: place
-- Where a fetch stands, after its segment was rewritten.
UPDATE stand SET segment = :segment, "offset" = :offset, response_offset = :response_offset, response_length = :response_length
WHERE id = :id;

-- name: renew
-- A known fetch is to be done differently.
UPDATE known SET work = :work WHERE id = :id;

-- name: drop
-- The row of an id that turned out to be a hole.
WITH settled AS (DELETE FROM stand WHERE id = :id) DELETE FROM known WHERE id = :id;

-- name: segment_new
-- A segment that is about to be written.
INSERT INTO segment (name, class, worker, node, state) VALUES (:name, :kind, :worker, :node, 'open') ON CONFLICT DO NOTHING;

-- name: cover_back
-- A thing is known and no more, where this very capture told of it.
UPDATE covered SET standing = :known, reason = '', mark = NULL WHERE key = :key AND standing = :standing
AND round = :round AND url = :url AND mark IS NOT DISTINCT FROM :mark;

-- name: covers
-- Where things stand now, before a change that nobody else may make meanwhile.
SELECT key, standing, day, reason, url, round, mark FROM covered WHERE key = ANY(:keys) ORDER BY key FOR UPDATE;

-- name: cover_new_all
-- Things become known; those that were not are returned.
INSERT INTO covered (key, kind, id, standing, day, reason, url, round, mark)
SELECT * FROM unnest(:keys::BYTEA[], :kinds::TEXT[], :ids::TEXT[], :standings::INTEGER[], :days::TEXT[], :reasons::TEXT[],
    :urls::TEXT[], :rounds::INTEGER[], :marks::BYTEA[]) ON CONFLICT (key) DO NOTHING RETURNING key;

-- name: cover_all
-- Things as they stand now.
UPDATE covered c SET standing = n.standing, day = n.day, reason = n.reason, url = n.url, round = n.round, mark = n.mark
FROM unnest(:keys::BYTEA[], :standings::INTEGER[], :days::TEXT[], :reasons::TEXT[], :urls::TEXT[], :rounds::INTEGER[],
    :marks::BYTEA[]) AS n (key, standing, day, reason, url, round, mark) WHERE c.key = n.key;

-- name: moved
-- The counts of buckets move.
INSERT INTO bucket_of AS b (bucket, node, queued, leased, done, failed, parked, excluded, bytes)
VALUES (:bucket, :node, :queued, :leased, :done, :failed, :parked, :excluded, :bytes)
ON CONFLICT (bucket, node) DO UPDATE SET queued = b.queued + excluded.queued, leased = b.leased + excluded.leased,
    done = b.done + excluded.done, failed = b.failed + excluded.failed, parked = b.parked + excluded.parked,
    excluded = b.excluded + excluded.excluded, bytes = b.bytes + excluded.bytes;

-- name: led
-- One more that a lane led to.
INSERT INTO led AS l VALUES ((SELECT lane FROM bucket WHERE id = :bucket), :child, :node, :n)
ON CONFLICT (lane, child, node) DO UPDATE SET n = l.n + excluded.n;

-- name: total_moved
-- A total moves.
INSERT INTO total_of AS t VALUES (:name, :node, :n) ON CONFLICT (name, node) DO UPDATE SET n = t.n + excluded.n;

-- name: reason_moved
-- How often a reason holds.
INSERT INTO reason_of AS r VALUES (:state, :reason, :node, :n)
ON CONFLICT (state, reason, node) DO UPDATE SET n = r.n + excluded.n;

-- name: coverage_moved
-- The counters move with the things.
INSERT INTO coverage_of AS c (kind, day, standing, node, n) VALUES (:kind, :day, :standing, :node, :n)
ON CONFLICT (kind, day, standing, node) DO UPDATE SET n = c.n + excluded.n;

-- name: claim
-- What the platform says it has.
INSERT INTO claim (kind, counter, n, caveat, url) VALUES (:kind, :counter, :count, :caveat, :url)
ON CONFLICT (kind, counter) DO UPDATE SET n = excluded.n, caveat = excluded.caveat, url = excluded.url;

-- name: note
-- What a person must hear, and how often it was said.
INSERT INTO note AS t (text, url, n) VALUES (:text, :url, 1) ON CONFLICT (md5(text)) DO UPDATE SET n = t.n + 1;

-- name: note_again
-- What was said when a capture was read again, and may have been said before.
INSERT INTO note (text, url, n) VALUES (:text, :url, 1) ON CONFLICT (md5(text)) DO NOTHING;

-- name: numbers
-- The ids of a kind that are numbers, in order.
SELECT CAST(id AS BIGINT) AS number FROM covered WHERE kind = :kind AND id ~ '^[0-9]{1,15}$' ORDER BY number;

-- name: gaps
-- What is known and not captured.
SELECT kind, id, standing, day, reason, url FROM covered WHERE standing < :captured
AND (:kind::TEXT IS NULL OR kind = :kind::TEXT) ORDER BY kind, id;

-- name: changes
-- What is held and has gone, or become another, since.
SELECT kind, id, standing, day, reason, url FROM covered WHERE standing = :captured AND reason ~ '.* in round .*'
ORDER BY kind, id;

-- name: known_payload
-- The record of this node that first had a payload.
SELECT record_id, url, date, name FROM payload JOIN segment s ON s.id = payload.segment WHERE sha256 = :sha256 AND payload.node = :node;

-- name: in_ring
-- Whether an origin's robots.txt redirects, over however many steps, to another's.
WITH RECURSIVE way (id) AS (SELECT CAST(:target AS BIGINT) UNION SELECT o.follows FROM origin o JOIN way ON o.id = way.id WHERE o.follows IS NOT NULL)
SELECT 1 FROM way JOIN origin o ON o.id = way.id WHERE o.name = :name;

-- name: node_now
-- The database's time, and until when a node takes part.
SELECT extract(epoch FROM clock_timestamp())::DOUBLE PRECISION, expires FROM node WHERE id = :node;

-- name: node_comes
-- A node takes part from now on.
UPDATE node SET joined = :now, seen = :now, expires = :until WHERE id = :node;

-- name: node_stays
-- A node is there.
UPDATE node SET seen = :now, expires = :until WHERE id = :node;

-- name: holders_stay
-- A node's workers keep what they hold.
UPDATE holder SET expires = :until WHERE node = :node AND expires >= :now;

-- name: nodes
-- Who takes part now.
SELECT id, seen FROM node WHERE expires >= :now ORDER BY id;

-- name: frozen
-- Origins that are left alone now.
SELECT name, frozen_until FROM origin WHERE frozen_until > :now;

-- name: places
-- Where the answers stand that this node has of what is done.
SELECT s.name, f.response_offset FROM fetch f JOIN segment s ON s.id = f.segment
WHERE s.node IN (:node, 0) AND f.state = 'done' AND f.response_offset > 0 ORDER BY f.segment;

-- name: everything
-- What the platform is known to have, and how it stands; in the order that the embedded engine has, too.
SELECT kind, id, standing, reason FROM covered ORDER BY kind COLLATE "C", id COLLATE "C";

-- name: second
-- The database's time as records are dated.
SELECT to_char(now() AT TIME ZONE 'utc', 'YYYY-MM-DD"T"HH24:MI:SS');

-- name: members
-- Who takes part, or did, and what each has brought.
SELECT n.id, CASE WHEN n.label > '' THEN n.label ELSE n.machine END, n.kind, n.trust, n.joined, n.seen,
    n.expires >= extract(epoch FROM clock_timestamp()), n.revoked > 0,
    coalesce(t.captures, 0), coalesce(t.attempts, 0), coalesce(t.bytes, 0), coalesce(l.leased, 0), coalesce(t.held, 0),
    coalesce(b.sent, 0), coalesce(b.proven, 0), coalesce(b.proven_bytes, 0), coalesce(b.refused, 0),
    coalesce(w.asked, 0), coalesce(w.agrees, 0), coalesce(w.differs, 0), coalesce(w.unchecked, 0),
    CASE WHEN n.revoked > 0 THEN 'revoked' WHEN n.expires <= 0 THEN 'left'
        WHEN n.expires < extract(epoch FROM clock_timestamp()) THEN 'silent'
        WHEN extract(epoch FROM clock_timestamp()) - n.seen > (n.expires - n.seen) / 2 THEN 'late' ELSE 'here' END
FROM node n
LEFT JOIN (SELECT node, sum(n) FILTER (WHERE name = 'captures')::BIGINT AS captures,
    sum(n) FILTER (WHERE name = 'attempts')::BIGINT AS attempts, sum(n) FILTER (WHERE name = 'bytes')::BIGINT AS bytes,
    sum(n) FILTER (WHERE name = 'held')::BIGINT AS held FROM total_of GROUP BY node) t ON t.node = n.id
LEFT JOIN (SELECT h.node, count(*) AS leased FROM leased f JOIN holder h ON h.worker = f.worker
    GROUP BY h.node) l ON l.node = n.id
LEFT JOIN (SELECT node, count(*) FILTER (WHERE state = 'sent') AS sent, count(*) FILTER (WHERE state = 'proven') AS proven,
    sum(bytes) FILTER (WHERE state = 'proven')::BIGINT AS proven_bytes, count(*) FILTER (WHERE state = 'refused') AS refused
    FROM brought GROUP BY node) b ON b.node = n.id
LEFT JOIN (SELECT node, count(*) FILTER (WHERE state = 'asked') AS asked, count(*) FILTER (WHERE state = 'agrees') AS agrees,
    count(*) FILTER (WHERE state = 'differs') AS differs, count(*) FILTER (WHERE state = 'unchecked') AS unchecked
    FROM witness GROUP BY node) w ON w.node = n.id
ORDER BY n.id;

-- name: invite
-- What one volunteer may join with, once.
INSERT INTO invite (secret, label, trust, quota_bytes, quota_leases, made, expires)
VALUES (:secret, :label, :trust, :quota_bytes, :quota_leases, extract(epoch FROM clock_timestamp()),
    extract(epoch FROM clock_timestamp()) + :seconds);

-- name: invited
-- An invitation that may be taken up, which nobody else takes up meanwhile.
SELECT label, trust, quota_bytes, quota_leases, node FROM invite
WHERE secret = :secret AND (node IS NOT NULL OR expires > extract(epoch FROM clock_timestamp())) FOR UPDATE;

-- name: enrol
-- A volunteer becomes a node.
INSERT INTO node (name, kind, label, trust, secret, public_key, quota_bytes, quota_leases, seen)
VALUES (:name, 'volunteer', :label, :trust, :secret, :public_key, :quota_bytes, :quota_leases,
    extract(epoch FROM clock_timestamp())) RETURNING id;

-- name: volunteer_by
-- A volunteer, by what it shows or by its number.
SELECT id, label, trust, public_key, quota_bytes, quota_leases, revoked > 0 FROM node
WHERE kind = 'volunteer' AND (secret = :secret::BYTEA OR id = :node::BIGINT);

-- name: owned
-- Fetches that a volunteer was the last to get, and nobody settled since.
SELECT k.id, k.bucket,
    CASE WHEN h.id IS NOT NULL THEN 'leased' WHEN v.segment IS NOT NULL THEN 'held' ELSE 'queued' END,
    coalesce(h.token, v.token), k.url, coalesce(s.attempts, 0), v.segment
FROM known k LEFT JOIN leased h ON h.id = k.id LEFT JOIN volunteered v ON v.id = k.id LEFT JOIN stand s ON s.id = k.id
WHERE k.id = ANY(:ids) AND coalesce(h.worker, v.worker) = :worker ORDER BY k.id FOR UPDATE OF k;

-- name: take_up
-- What a volunteer was the last to get is nobody's, if it still is its own; ids of what was are returned.
WITH lent AS (
    DELETE FROM leased WHERE id = ANY(:ids) AND worker = :worker RETURNING id
), kept AS (
    DELETE FROM volunteered WHERE id = ANY(:ids) AND worker = :worker RETURNING id, segment
), waiting AS (
    DELETE FROM due d USING kept v JOIN known k ON k.id = v.id LEFT JOIN stand s ON s.id = v.id
    WHERE v.segment IS NULL AND d.bucket = k.bucket AND d.not_before = coalesce(s.not_before, 0) AND d.id = k.id
    RETURNING d.id
)
SELECT id FROM lent UNION ALL SELECT id FROM kept WHERE segment IS NOT NULL UNION ALL SELECT id FROM waiting;

-- name: hold_all
-- Fetches are durable with a volunteer, in a segment of its own.
INSERT INTO volunteered (id, bucket, token, worker, segment)
SELECT id, bucket, token, :worker, :segment FROM unnest(:ids::BIGINT[], :buckets::BIGINT[], :tokens::BIGINT[]) AS t (id, bucket, token);

-- name: let_go_all
-- What was held is queued again; whose it was is kept, for the case that it proves it after all.
WITH back AS (
    UPDATE volunteered SET segment = NULL WHERE id = ANY(:ids) RETURNING id, bucket
)
INSERT INTO due SELECT b.bucket, coalesce(s.not_before, 0), b.id FROM back b LEFT JOIN stand s ON s.id = b.id;

-- name: disown_all
-- And no volunteer's.
DELETE FROM volunteered WHERE id = ANY(:ids);

-- name: held_in
-- What is held in a segment.
SELECT id, bucket FROM volunteered WHERE segment = :segment ORDER BY id FOR UPDATE;

-- name: lapsed
-- Segments that are not wholly there, of who is revoked or was silent for longer than its term; or had several.
SELECT s.name, n.revoked > 0 FROM brought b JOIN node n ON n.id = b.node JOIN segment s ON s.id = b.segment
WHERE (b.state IN ('open', 'sent') AND n.revoked > 0) OR (b.state = 'open' AND (n.seen < :before OR b.changed < :long_before));

-- name: revoked
-- Workers of who is revoked, that hold something.
SELECT DISTINCT h.worker FROM node n JOIN holder h ON h.node = n.id JOIN leased f ON f.worker = h.worker
WHERE n.revoked > 0;

-- name: brings
-- A volunteer brings a segment; one that is another's stays so.
INSERT INTO brought (segment, node, changed) VALUES (:segment, :node, :now) ON CONFLICT (segment) DO NOTHING;

-- name: brought
-- A segment that a volunteer brings.
SELECT s.name, b.node, b.state, b.bytes, b.sha256, b.parts, b.signature, b.upload, b.reason
FROM brought b JOIN segment s ON s.id = b.segment WHERE s.name = :name;

-- name: brought_in
-- Segments of volunteers in one state, oldest first.
SELECT s.name, b.node, b.state, b.bytes, b.sha256, b.parts, b.signature, b.upload, b.reason
FROM brought b JOIN segment s ON s.id = b.segment WHERE b.state = :state ORDER BY b.changed;

-- name: bytes_brought
-- How many bytes of segments a volunteer has brought, or is bringing.
SELECT coalesce(sum(bytes), 0)::BIGINT FROM brought WHERE node = :node AND state NOT IN ('refused', 'lost');

-- name: work_of
-- What a fetch of this round is to be done as, who got it last, and where its capture stands.
SELECT f.id, f.work, f.state, f.worker, s.name, f.offset FROM fetch f LEFT JOIN segment s ON s.id = f.segment
WHERE f.round = :round AND f.fingerprint = :fingerprint;

-- name: ask_again
-- A capture of a volunteer's is to be asked for again, once.
INSERT INTO witness (fetch, node, segment, offset, payload, changed)
VALUES (:fetch, :node, :segment, :place, :payload, :now) ON CONFLICT (fetch) DO NOTHING;

-- name: asked_again
-- Captures that are to be asked for again, as long as they stand for their fetches.
SELECT f.id, f.token, f.work, w.node, s.name, w.offset FROM witness w JOIN fetch f ON f.id = w.fetch
JOIN segment s ON s.id = w.segment WHERE w.state = 'asked' AND f.state = 'done' AND f.segment = w.segment AND f.offset = w.offset
ORDER BY w.changed LIMIT :most;

-- name: by_volunteers
-- How many captures volunteers brought that settled something.
SELECT coalesce(sum(t.n), 0)::BIGINT FROM total_of t JOIN node n ON n.id = t.node
WHERE n.kind = 'volunteer' AND t.name = 'captures';
