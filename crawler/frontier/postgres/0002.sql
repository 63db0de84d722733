-- A plan's places, the bytes of answers, and which lanes lead to how much of which.

ALTER TABLE bucket ADD COLUMN place INTEGER NOT NULL DEFAULT 0, ADD COLUMN waits INTEGER NOT NULL DEFAULT 0;
ALTER TABLE bucket_of ADD COLUMN bytes BIGINT NOT NULL DEFAULT 0;

DROP VIEW bucket_counted;
CREATE VIEW bucket_counted AS
SELECT b.*, c.queued, c.leased, c.done, c.failed, c.parked, c.excluded, c.bytes FROM bucket b JOIN (
    SELECT bucket, sum(queued)::BIGINT AS queued, sum(leased)::BIGINT AS leased, sum(done)::BIGINT AS done,
        sum(failed)::BIGINT AS failed, sum(parked)::BIGINT AS parked, sum(excluded)::BIGINT AS excluded,
        sum(bytes)::BIGINT AS bytes
    FROM bucket_of GROUP BY bucket
) c ON c.bucket = b.id;

CREATE TABLE led (
    lane TEXT NOT NULL,
    child TEXT NOT NULL,
    node BIGINT NOT NULL,
    n BIGINT NOT NULL,
    PRIMARY KEY (lane, child, node)
);
