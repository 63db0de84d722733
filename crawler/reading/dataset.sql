-- The dataset: what the platform's spider says of all sealed segments, as tables.
--
-- Things are kept in versions: two captures that say the same of a thing are one row, an edit is another. People read
-- the views in views.sql.

CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

-- A segment is here once all its rows are. ``reader``: which spider, in which state of its source, read it.
-- ``places``: it was asked where files were made, or there are none.
CREATE TABLE segment (
    number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, reader TEXT NOT NULL, items INTEGER NOT NULL,
    unread INTEGER NOT NULL, places INTEGER NOT NULL
);

-- A record that says something: offset and length of its gzip member, WARC-Record-ID.
CREATE TABLE record (
    number INTEGER PRIMARY KEY, segment INTEGER NOT NULL REFERENCES segment, offset INTEGER NOT NULL,
    length INTEGER NOT NULL, id TEXT NOT NULL
);

-- ``hash`` stands for what makes a version; ``thing`` is kind and id; of two captures the fuller (``rank``) counts, then
-- the later. Lists and objects are JSON, empty ones NULL. Times are ISO 8601, UTC.
CREATE TABLE account (
    number INTEGER PRIMARY KEY, hash BLOB NOT NULL UNIQUE, thing TEXT NOT NULL, rank INTEGER NOT NULL,
    id TEXT NOT NULL, username TEXT NOT NULL, url TEXT NOT NULL, name TEXT NOT NULL, bio TEXT NOT NULL, bio_html TEXT,
    created_from TEXT, created_until TEXT, avatar TEXT, banner TEXT, badges TEXT, counters TEXT, extra TEXT,
    source_url TEXT NOT NULL, first_seen TEXT NOT NULL, last_seen TEXT NOT NULL, record INTEGER NOT NULL
);
CREATE INDEX account_thing ON account (thing);

CREATE TABLE post (
    number INTEGER PRIMARY KEY, hash BLOB NOT NULL UNIQUE, thing TEXT NOT NULL, rank INTEGER NOT NULL,
    id TEXT NOT NULL, kind TEXT NOT NULL, url TEXT NOT NULL, author TEXT, author_name TEXT, text TEXT NOT NULL,
    html TEXT, created_from TEXT, created_until TEXT, in_reply_to TEXT, repost_of TEXT, media TEXT, links TEXT,
    mentions TEXT, hashtags TEXT, counters TEXT, sensitive INTEGER NOT NULL, deleted INTEGER NOT NULL, extra TEXT,
    source_url TEXT NOT NULL, first_seen TEXT NOT NULL, last_seen TEXT NOT NULL, record INTEGER NOT NULL
);
CREATE INDEX post_thing ON post (thing);
CREATE INDEX post_id ON post (id);
CREATE INDEX post_url ON post (url);
CREATE INDEX post_author ON post (author) WHERE author IS NOT NULL;
CREATE INDEX post_in_reply_to ON post (in_reply_to) WHERE in_reply_to IS NOT NULL;

-- ``fetched`` is the URL as it is asked for.
CREATE TABLE media (
    number INTEGER PRIMARY KEY, hash BLOB NOT NULL UNIQUE, thing TEXT NOT NULL, rank INTEGER NOT NULL,
    id TEXT NOT NULL, url TEXT NOT NULL, fetched TEXT NOT NULL, kind TEXT NOT NULL, variant TEXT NOT NULL, post TEXT,
    account TEXT, title TEXT NOT NULL, extra TEXT,
    source_url TEXT NOT NULL, first_seen TEXT NOT NULL, last_seen TEXT NOT NULL, record INTEGER NOT NULL
);
CREATE INDEX media_post ON media (post) WHERE post IS NOT NULL;
CREATE INDEX media_fetched ON media (fetched);

-- What a URL of a file served. A revisit has no size: another file with its SHA-256 does.
CREATE TABLE file (
    number INTEGER PRIMARY KEY, hash BLOB NOT NULL UNIQUE, url TEXT NOT NULL, mime TEXT NOT NULL, sha256 TEXT NOT NULL,
    size INTEGER NOT NULL, width INTEGER, height INTEGER, seconds REAL, taken_at TEXT, moved_to TEXT NOT NULL,
    truncated TEXT NOT NULL, first_seen TEXT NOT NULL, last_seen TEXT NOT NULL, record INTEGER NOT NULL
);
CREATE INDEX file_url ON file (url);
CREATE INDEX file_sha256 ON file (sha256);

-- Where files were made, and with what; only where somebody asked for it.
CREATE TABLE place (sha256 TEXT PRIMARY KEY, latitude REAL, longitude REAL, device TEXT NOT NULL) WITHOUT ROWID;

-- Every record in which a version (or a file) was seen: what has to go where the thing has to.
CREATE TABLE seen (hash BLOB NOT NULL, record INTEGER NOT NULL, PRIMARY KEY (hash, record)) WITHOUT ROWID;

CREATE VIRTUAL TABLE post_text USING fts5 (
    text, author_name, content='post', content_rowid='number', tokenize="unicode61 remove_diacritics 2"
);
CREATE TRIGGER post_added AFTER INSERT ON post BEGIN
    INSERT INTO post_text (rowid, text, author_name) VALUES (new.number, new.text, new.author_name);
END;
CREATE TRIGGER post_renamed AFTER UPDATE OF author_name ON post WHEN new.author_name IS NOT old.author_name BEGIN
    INSERT INTO post_text (post_text, rowid, text, author_name)
    VALUES ('delete', old.number, old.text, old.author_name);
    INSERT INTO post_text (rowid, text, author_name) VALUES (new.number, new.text, new.author_name);
END;
CREATE TRIGGER post_gone AFTER DELETE ON post BEGIN
    INSERT INTO post_text (post_text, rowid, text, author_name)
    VALUES ('delete', old.number, old.text, old.author_name);
END;
