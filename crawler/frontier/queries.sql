-- name: buckets_due
-- Buckets that have work now, best first.
SELECT b.id, o.name, b.lane FROM bucket b JOIN origin o ON o.id = b.origin LEFT JOIN lane l ON l.name = b.lane
WHERE b.round = :round AND b.queued > 0 AND b.paused = 0 AND b.waits = 0 AND (o.closed = 0 OR b.lane = 'robots') AND o.frozen_until <= :now
ORDER BY b.place, coalesce(l.priority, 50), b.value DESC, b.day DESC, b.id;

-- name: buckets
-- Every bucket of a round, for a plan.
SELECT b.id, b.lane, o.name, b.day, b.value, b.queued, b.leased, b.done, b.failed + b.parked + b.excluded, b.bytes, b.place, b.waits
FROM bucket b JOIN origin o ON o.id = b.origin WHERE b.round = :round;

-- name: bucket
-- A bucket that is new goes where its lane has gone last, until there is another plan.
INSERT OR IGNORE INTO bucket (round, lane, origin, day, value, place) VALUES (:round, :lane, :origin, :day, :value,
    coalesce((SELECT max(place) FROM bucket WHERE round = :round AND lane = :lane), 0));

-- name: arrange
-- A bucket's place in the plan.
UPDATE bucket SET place = :place, waits = :waits WHERE id = :id;

-- name: moved
-- The counts of a bucket move.
UPDATE bucket SET queued = queued + :queued, leased = leased + :leased, done = done + :done, failed = failed + :failed,
    parked = parked + :parked, excluded = excluded + :excluded, bytes = bytes + :bytes WHERE id = :bucket;

-- name: led
-- One more that a lane led to.
INSERT INTO led VALUES ((SELECT lane FROM bucket WHERE id = :bucket), :child, :n)
ON CONFLICT (lane, child) DO UPDATE SET n = n + excluded.n;

-- name: total_moved
-- A total moves.
INSERT INTO total VALUES (:name, :n) ON CONFLICT (name) DO UPDATE SET n = n + excluded.n;

-- name: reason_moved
-- How often a reason holds.
INSERT INTO reason VALUES (:state, :reason, :n) ON CONFLICT (state, reason) DO UPDATE SET n = n + excluded.n;

-- name: in_hand_moved
-- How many fetches a worker holds.
INSERT INTO hand VALUES (:worker, :n) ON CONFLICT (worker) DO UPDATE SET n = n + excluded.n;

-- name: leases_ended
-- Nobody holds anything.
UPDATE bucket SET queued = queued + leased, leased = 0 WHERE leased <> 0;

-- name: rows_put_back
-- What an Outlast that wrote leases into rows had leased is queued.
UPDATE fetch SET state = 'queued', worker = NULL, expires = NULL WHERE state = 'leased' AND worker IS NOT NULL;

-- name: hands_empty
-- Nor does anybody say so.
DELETE FROM hand;

-- name: segment_new
-- A segment that is about to be written.
INSERT OR IGNORE INTO segment (name, class, worker, state) VALUES (:name, :kind, :worker, 'open');

-- name: fetches_due
-- The oldest due fetches of one bucket.
SELECT id, work, attempts FROM fetch
WHERE bucket = :bucket AND state = 'queued' AND not_before <= :now ORDER BY not_before, id LIMIT :n;

-- name: find_by_fingerprint
-- A fetch of this round by its fingerprint.
SELECT id, bucket, state, token, url, reason FROM fetch WHERE id = fetch_of(:round, :fingerprint);

-- name: work
-- What a known fetch is to be done as, and where its capture stands.
SELECT f.id, f.work, f.state, f.bucket, f.reason, s.name, f.offset, f.token FROM fetch f LEFT JOIN segment s ON s.id = f.segment
WHERE f.id = fetch_of(:round, :fingerprint);

-- name: places
-- Where the answers of all that is done stand.
SELECT s.name, f.response_offset FROM fetch f JOIN segment s ON s.id = f.segment
WHERE f.state = 'done' AND f.response_offset > 0 ORDER BY f.segment;

-- name: renew
-- A known fetch is to be done differently.
UPDATE fetch SET work = :work WHERE id = :id;

-- name: settle
-- What became of a fetch; a try without a record keeps the location it had.
UPDATE fetch SET state = ?, reason = ?, status = ?, attempts = attempts + ?, not_before = ?, tried = ?, token = ?,
    segment = coalesce(?, segment), offset = coalesce(?, offset), response_offset = coalesce(?, response_offset),
    response_length = coalesce(?, response_length)
WHERE id = ?;

-- name: learn
-- A fetch that is not known yet becomes known.
INSERT INTO fetch (id, round, fingerprint, bucket, method, url, work, state) VALUES (?, ?, ?, ?, ?, ?, ?, 'queued');

-- name: sweep
-- A template is swept from now on; one that is known stays as it is.
INSERT INTO sweep (round, template, bucket, work, walk) VALUES (:round, :template, :bucket, :work, :walk)
ON CONFLICT (round, template) DO NOTHING;

-- name: sweeps
-- The templates of a round, oldest first.
SELECT id, template, bucket, work, walk FROM sweep WHERE round = :round ORDER BY id;

-- name: stretch
-- What became of the ids of a stretch.
SELECT taken, hits, holes FROM stretch WHERE sweep = :sweep AND number = :number;

-- name: stretches
-- What became of all ids of a sweep.
SELECT number, taken, hits, holes FROM stretch WHERE sweep = :sweep ORDER BY number;

-- name: stretch_put
-- A stretch as it is now.
INSERT INTO stretch (sweep, number, taken, hits, holes) VALUES (:sweep, :number, :taken, :hits, :holes)
ON CONFLICT (sweep, number) DO UPDATE SET taken = excluded.taken, hits = excluded.hits, holes = excluded.holes;

-- name: drop
-- The row of an id that turned out to be a hole.
DELETE FROM fetch WHERE id = :id;

-- name: waiting
-- When the earliest waiting fetch is due.
SELECT min(not_before) FROM fetch WHERE state = 'queued' AND not_before > 0;

-- name: waiting_ones
-- Fetches that wait, or waited before somebody got them, the earliest first.
SELECT not_before, id FROM fetch WHERE state = 'queued' AND not_before > 0 ORDER BY not_before;

-- name: bring_forward
-- What waits for a reason is due now.
UPDATE fetch SET not_before = 0 WHERE state = 'queued' AND not_before > 0 AND not_before > :now AND reason = :reason AND tried < :older_than;

-- name: forget_waits
-- What would wait for too long is due now.
UPDATE fetch SET not_before = 0 WHERE state = 'queued' AND not_before > 0 AND not_before > :beyond;

-- name: troubled
-- Parked or failed fetches, all or those with one reason.
SELECT id, bucket, reason FROM fetch WHERE state = :state AND state IN ('failed', 'parked')
AND (:reason IS NULL OR reason = :reason);

-- name: requeue
-- A parked or failed fetch is tried afresh.
UPDATE fetch SET state = 'queued', attempts = 0, not_before = 0, reason = '' WHERE id = :id;

-- name: payloads_in
-- Payloads that stand in a segment.
SELECT id, offset FROM payload WHERE segment = :was;

-- name: payload_moved
-- Where a payload stands, after its segment was rewritten.
UPDATE payload SET segment = :now, offset = :offset WHERE id = :id AND segment = :was;

-- name: place
-- Where a fetch stands, after its segment was rewritten.
UPDATE fetch SET segment = :segment, offset = :offset, response_offset = :response_offset, response_length = :response_length
WHERE id = :id;

-- name: stand_for
-- A sealed segment stands for another.
UPDATE segment SET state = 'sealed', low_water = :size, class = (SELECT class FROM segment WHERE id = :was) WHERE id = :now;

-- name: settled_by
-- A fetch as the holder of a token settled it.
SELECT id, bucket, state, reason FROM fetch WHERE state NOT IN ('leased', 'queued') AND token = :token
AND id = CASE WHEN :id < 0 THEN fetch_of(:round, :fingerprint) ELSE :id END;

-- name: tried_by
-- A fetch that waits since the holder of a token tried it in vain.
UPDATE fetch SET attempts = 0, not_before = 0, reason = '' WHERE id = :id AND token = :token AND state = 'queued';

-- name: done_in
-- What is done and stands in one segment.
SELECT id, bucket FROM fetch WHERE round = :round AND segment = :segment AND state = 'done';

-- name: open
-- An origin opens, and those whose robots.txt redirects to its, over however many steps.
WITH RECURSIVE led (id) AS (SELECT id FROM origin WHERE name = :name UNION SELECT o.id FROM origin o JOIN led ON o.follows = led.id)
UPDATE origin SET closed = 0, readable = 1, rules = :rules WHERE closed = 1 AND rules IS NULL AND id IN (SELECT id FROM led);

-- name: leave_closed
-- An origin's robots.txt was never readable, and so are those that redirect to it.
WITH RECURSIVE led (id) AS (SELECT id FROM origin WHERE name = :name UNION SELECT o.id FROM origin o JOIN led ON o.follows = led.id)
UPDATE origin SET readable = 0 WHERE closed = 1 AND id IN (SELECT id FROM led);

-- name: in_ring
-- Whether an origin's robots.txt redirects, over however many steps, to another's.
WITH RECURSIVE way (id) AS (SELECT :target UNION SELECT o.follows FROM origin o JOIN way ON o.id = way.id WHERE o.follows IS NOT NULL)
SELECT 1 FROM way JOIN origin o ON o.id = way.id WHERE o.name = :name;

-- name: cover
-- Where things of a kind stand now, before a change.
SELECT id, standing, day, reason, url, round, mark FROM covered WHERE kind = ? AND id IN

-- name: cover_new
-- A thing becomes known.
INSERT INTO covered (standing, day, reason, url, round, mark, kind, id) VALUES (?, ?, ?, ?, ?, ?, ?, ?);

-- name: cover_change
-- A thing as it stands now.
UPDATE covered SET standing = ?, day = ?, reason = ?, url = ?, round = ?, mark = ? WHERE kind = ? AND id = ?;

-- name: cover_back
-- A thing is known and no more, where this very capture told of it.
UPDATE covered SET standing = :known, reason = '', mark = NULL WHERE kind = :kind AND id = :id AND standing = :standing
AND round = :round AND url = :url AND (mark = :mark OR (mark IS NULL AND :mark IS NULL));

-- name: coverage_moved
-- The counters move with the thing.
INSERT INTO coverage (kind, day, standing, n) VALUES (:kind, :day, :standing, :n)
ON CONFLICT (kind, day, standing) DO UPDATE SET n = n + excluded.n;

-- name: earlier
-- Where the capture of an earlier round stands; all of those are in the index.
SELECT s.name, f.response_offset FROM known k JOIN fetch f ON f.id = k.id JOIN segment s ON s.id = f.segment
WHERE k.round = :round AND k.key = :fingerprint AND f.state = 'done' AND f.status = 200;

-- name: evidence
-- Where the capture stands that settled a URL.
SELECT s.name, f.offset, f.status FROM fetch f LEFT JOIN segment s ON s.id = f.segment
WHERE f.id = fetch_of(:round, :fingerprint);

-- name: numbers
-- The ids of a kind that are numbers, in order.
SELECT CAST(id AS INTEGER) AS number FROM covered WHERE kind = :kind AND id <> '' AND id NOT GLOB '*[^0-9]*' AND length(id) < 16 ORDER BY number;

-- name: claim
-- What the platform says it has.
INSERT INTO claim (kind, counter, n, caveat, url) VALUES (:kind, :counter, :count, :caveat, :url)
ON CONFLICT (kind, counter) DO UPDATE SET n = excluded.n, caveat = excluded.caveat, url = excluded.url;

-- name: note
-- What a person must hear, and how often it was said.
INSERT INTO note (text, url, n) VALUES (:text, :url, 1) ON CONFLICT (text) DO UPDATE SET n = n + 1;

-- name: note_again
-- What was said when a capture was read again, and may have been said before.
INSERT INTO note (text, url, n) VALUES (:text, :url, 1) ON CONFLICT (text) DO NOTHING;

-- name: everything
-- What the platform is known to have, and how it stands.
SELECT kind, id, standing, reason FROM covered ORDER BY kind, id;

-- name: left
-- Work that no sealed segment settles: what waits, and what is settled where it could still be lost.
SELECT fetch.work FROM fetch LEFT JOIN segment ON segment.id = fetch.segment
WHERE fetch.round = :round AND fetch.state != 'excluded'
AND (fetch.state != 'done' OR (segment.state IS NOT NULL AND segment.state != 'sealed')) ORDER BY fetch.id;

-- name: gaps
-- What is known and not captured.
SELECT kind, id, standing, day, reason, url FROM covered WHERE standing < :captured AND (:kind IS NULL OR kind = :kind) ORDER BY kind, id;

-- name: answered
-- What earlier rounds asked for and got.
SELECT id, work FROM fetch
WHERE id > :after AND round < :round AND state = 'done' AND status BETWEEN 200 AND 299 ORDER BY id LIMIT 1000;

-- name: asked
-- What a round asked for, and how it ended.
SELECT work, state, status FROM fetch WHERE round = :round;

-- name: unseen
-- Posts that are held, and that a round which looked for all of them did not meet.
SELECT kind, id, day, url, mark FROM covered
WHERE standing = :captured AND mark IS NOT NULL AND round < :round AND substr(reason, 1, 14) <> 'gone in round ' ORDER BY kind, id;

-- name: changes
-- What is held and has gone, or become another, since.
SELECT kind, id, standing, day, reason, url FROM covered WHERE standing = :captured AND reason GLOB '* in round *' ORDER BY kind, id;

-- name: blocked
-- What waits behind an origin whose robots.txt never could be read.
SELECT coalesce(sum(b.queued), 0) FROM bucket b JOIN origin o ON o.id = b.origin
WHERE b.round = :round AND b.lane <> 'robots' AND o.closed = 1 AND o.readable = 0;

-- name: lanes
-- Counts of a round by lane, in the order of lanes.
SELECT b.lane, sum(b.queued), sum(b.leased), sum(b.done), sum(b.failed), sum(b.parked), sum(b.excluded)
FROM bucket b LEFT JOIN lane l ON l.name = b.lane WHERE b.round = :round
GROUP BY b.lane ORDER BY min(coalesce(l.priority, 50)), b.lane;

-- name: hosts
-- Origins with work of this round, the busiest first.
SELECT o.name, sum(b.queued), sum(b.leased), sum(b.done), sum(b.failed), sum(b.parked), o.frozen_until, o.closed,
    o.readable
FROM bucket b JOIN origin o ON o.id = b.origin WHERE b.round = :round
GROUP BY o.id ORDER BY sum(b.leased) DESC, sum(b.queued) DESC, sum(b.done) DESC, o.id LIMIT :most;

-- name: troubles
-- Fetches that failed or are parked for one reason.
SELECT url, status, attempts, tried FROM fetch
WHERE state = :state AND state IN ('failed', 'parked') AND reason = :reason LIMIT :most;

-- name: in_hand
-- How many fetches each worker holds.
SELECT worker, n FROM hand WHERE n > 0;

