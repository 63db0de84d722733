-- What people read: the newest version of each thing, with the record it stands in. Made anew where this file changed.

CREATE VIEW warc AS
SELECT record.number, segment.name AS warc_file, offset AS warc_offset, length AS warc_length, id AS warc_record_id
FROM record JOIN segment ON segment.number = record.segment;

CREATE VIEW accounts AS
SELECT one.number, id, username, name, bio, bio_html, url, created_from AS created_at, created_until, avatar, banner,
    badges, counters, extra,
    (SELECT count(*) FROM account AS other WHERE other.thing = one.thing AND other.rank = one.rank) AS versions,
    first_seen AS first_captured_at, last_seen AS captured_at, source_url,
    warc_file, warc_offset, warc_length, warc_record_id
FROM account AS one JOIN warc ON warc.number = one.record
WHERE NOT EXISTS (
    SELECT 1 FROM account AS other
    WHERE other.thing = one.thing AND (other.rank, other.last_seen, other.hash) > (one.rank, one.last_seen, one.hash)
);

CREATE VIEW posts AS
SELECT one.number, id, kind, author, author_name, created_from AS created_at, created_until, text, html, url,
    in_reply_to, repost_of, media, links, mentions, hashtags, counters, sensitive, deleted, extra,
    (SELECT count(*) FROM post AS other WHERE other.thing = one.thing AND other.rank = one.rank) AS versions,
    first_seen AS first_captured_at, last_seen AS captured_at, source_url,
    warc_file, warc_offset, warc_length, warc_record_id
FROM post AS one JOIN warc ON warc.number = one.record
WHERE NOT EXISTS (
    SELECT 1 FROM post AS other
    WHERE other.thing = one.thing AND (other.rank, other.last_seen, other.hash) > (one.rank, one.last_seen, one.hash)
);

-- The file behind each URL: the newest whole one, with what is known of its bytes and the record that holds them.
CREATE VIEW held AS
SELECT asked.url, asked.moved_to, asked.truncated, asked.sha256, bytes.mime, bytes.size, bytes.width, bytes.height,
    bytes.seconds, bytes.taken_at, bytes.record
FROM file AS asked LEFT JOIN file AS bytes ON bytes.number = (
    SELECT number FROM file WHERE sha256 = asked.sha256 AND asked.sha256 != '' ORDER BY size = 0, number LIMIT 1
)
WHERE asked.number = (
    SELECT number FROM file WHERE url = asked.url ORDER BY truncated != '', last_seen DESC, number DESC LIMIT 1
);

CREATE VIEW media_files AS
SELECT one.number, one.id, one.kind, one.variant, one.post, one.account, one.title, one.url, bytes.mime, bytes.sha256,
    bytes.size, bytes.width, bytes.height, bytes.seconds, bytes.taken_at, asked.truncated, one.extra,
    one.first_seen AS first_captured_at, one.last_seen AS captured_at, one.source_url,
    place.name AS warc_file, at.offset AS warc_offset, at.length AS warc_length, at.id AS warc_record_id,
    said.warc_file AS said_warc_file, said.warc_offset AS said_warc_offset, said.warc_record_id AS said_warc_record_id
FROM media AS one JOIN warc AS said ON said.number = one.record
-- The newest answer to its URL, or to what that leads to.
LEFT JOIN file AS asked ON asked.number = (
    WITH RECURSIVE hop (number, moved_to, hops) AS (
        SELECT number, moved_to, 0 FROM file WHERE number = (
            SELECT number FROM file WHERE url = one.fetched
            ORDER BY truncated != '', last_seen DESC, number DESC LIMIT 1
        )
        UNION ALL
        SELECT file.number, file.moved_to, hops + 1 FROM hop JOIN file ON file.number = (
            SELECT number FROM file WHERE url = hop.moved_to
            ORDER BY truncated != '', last_seen DESC, number DESC LIMIT 1
        ) WHERE hop.moved_to != '' AND hops < 3
    )
    SELECT number FROM hop WHERE moved_to = '' LIMIT 1
)
LEFT JOIN file AS bytes ON bytes.number = (
    SELECT number FROM file WHERE sha256 = asked.sha256 ORDER BY size = 0, number LIMIT 1
)
LEFT JOIN record AS at ON at.number = bytes.record
LEFT JOIN segment AS place ON place.number = at.segment;

-- What was said before: earlier versions of posts, as far as they were captured.
CREATE VIEW versions AS
SELECT one.number, one.id, one.kind, one.text, one.html, one.media, one.links, one.extra, one.first_seen AS first_captured_at,
    one.last_seen AS captured_at, one.source_url, warc_file, warc_offset, warc_length, warc_record_id
FROM post AS one JOIN warc ON warc.number = one.record
WHERE EXISTS (
    SELECT 1 FROM post AS other WHERE other.thing = one.thing AND other.rank = one.rank
    AND (other.last_seen, other.hash) > (one.last_seen, one.hash)
);

-- For those who read post by post, newest first; here, as the rows need not be read anew for it.
CREATE INDEX IF NOT EXISTS post_time ON post (coalesce(created_from, ''), number);
