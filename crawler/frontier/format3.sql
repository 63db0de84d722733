-- A file of format 2 or 1 becomes one of format 3: what is looked up by a hash is found in one index, known.

ALTER TABLE payload RENAME TO payload_before;
CREATE TABLE payload (
    id INTEGER PRIMARY KEY,
    sha256 BLOB NOT NULL,
    record_id TEXT NOT NULL,
    url TEXT NOT NULL,
    date TEXT NOT NULL,
    segment INTEGER NOT NULL,
    offset INTEGER NOT NULL
) STRICT;
INSERT INTO payload (sha256, record_id, url, date, segment, offset)
SELECT sha256, record_id, url, date, segment, offset FROM payload_before;
DROP TABLE payload_before;
INSERT OR IGNORE INTO known SELECT 0, substr(sha256, 1, 16), id FROM payload ORDER BY sha256;
INSERT INTO known SELECT round, fingerprint, id FROM fetch INDEXED BY fetch_known ORDER BY round, fingerprint;
DROP INDEX fetch_known;
INSERT INTO meta SELECT 'indexed fetch', coalesce(max(id), 0) FROM fetch;
INSERT INTO meta SELECT 'indexed payload', coalesce(max(id), 0) FROM payload;
