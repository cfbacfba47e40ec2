-- Step 1: the ledger. Who owns which partition, and the first offset of it not yet stored.
--
-- The schema exists already. pgsinkd runs this at start (postgres.manage_schema) or with
-- `pgsinkd init`; by hand, in one transaction:
--     psql -X -1 -v ON_ERROR_STOP=1 -v schema=pgsinkd -f 001_ledger.sql
-- Undo: DROP SCHEMA pgsinkd CASCADE; every sink then starts again where its `kafka.start` says.
--
-- Functions run with the caller's rights. Their search_path is fixed, so no object of another
-- schema can take the place of one they mean.

CREATE TABLE :"schema".schema_version (
    version    integer     NOT NULL PRIMARY KEY,
    applied_at timestamptz NOT NULL DEFAULT now(),
    applied_by text        NOT NULL DEFAULT current_user
);
COMMENT ON TABLE :"schema".schema_version IS
    'The upgrade steps of this schema. pgsinkd refuses a version newer than itself.';

-- Every transaction updates lines of this table, one statement each, and PostgreSQL prepares the
-- CHECKs and the trigger's WHEN anew for each statement (1 us and more apiece): so there is one
-- of each.
CREATE TABLE :"schema".offsets (
    sink           text COLLATE "C" NOT NULL,
    topic          text COLLATE "C" NOT NULL,
    partition      integer          NOT NULL,
    next_offset    bigint           NOT NULL CHECK (next_offset >= 0),
    leader_epoch   integer,
    owner_epoch    bigint           NOT NULL,
    owner          text,
    claimed_at     timestamptz,
    updated_at     timestamptz      NOT NULL DEFAULT now(),
    last_timestamp timestamptz,
    end_offset     bigint,
    end_seen_at    timestamptz,
    PRIMARY KEY (sink, topic, partition)
) WITH (fillfactor = 50); -- room on every page, so that updates stay heap-only
COMMENT ON TABLE :"schema".offsets IS
    'The ledger: the only truth about progress. Rows of a partition and its next_offset change in one transaction. To move a partition by hand, change next_offset (leave updated_at alone) or use seek().';
COMMENT ON COLUMN :"schema".offsets.sink IS 'Name of the sink, from its configuration.';
COMMENT ON COLUMN :"schema".offsets.topic IS 'Kafka topic.';
COMMENT ON COLUMN :"schema".offsets.partition IS 'Kafka partition.';
COMMENT ON COLUMN :"schema".offsets.next_offset IS 'First offset not yet stored.';
COMMENT ON COLUMN :"schema".offsets.leader_epoch IS 'Leader epoch of the last stored record, if known.';
COMMENT ON COLUMN :"schema".offsets.owner_epoch IS 'Counts claims. A transaction of an earlier claim cannot commit.';
COMMENT ON COLUMN :"schema".offsets.owner IS 'Process that claimed the partition last: host:pid:random.';
COMMENT ON COLUMN :"schema".offsets.claimed_at IS 'Time of that claim.';
COMMENT ON COLUMN :"schema".offsets.updated_at IS
    'When pgsinkd changed this line last. A change that leaves updated_at alone is taken as made by hand, and pgsinkd is told at once.';
COMMENT ON COLUMN :"schema".offsets.last_timestamp IS 'Time of the last stored record, as Kafka gives it.';
COMMENT ON COLUMN :"schema".offsets.end_offset IS 'Last known end of the partition in Kafka.';
COMMENT ON COLUMN :"schema".offsets.end_seen_at IS 'When that end was seen.';

CREATE TABLE :"schema".gaps (
    sink        text        NOT NULL,
    topic       text        NOT NULL,
    partition   integer     NOT NULL,
    from_offset bigint      NOT NULL,
    next_offset bigint      NOT NULL,
    reason      text        NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (sink, topic, partition, from_offset, recorded_at)
);
COMMENT ON TABLE :"schema".gaps IS
    'Offsets that Kafka no longer had and that kafka.on_gap allowed to pass: one line each time.';
COMMENT ON COLUMN :"schema".gaps.from_offset IS 'What the ledger said: the first offset that is missing.';
COMMENT ON COLUMN :"schema".gaps.next_offset IS
    'Where the sink went on. Below from_offset when the topic was truncated or created anew.';
COMMENT ON COLUMN :"schema".gaps.reason IS 'Why, with the bounds of the partition as they were then.';

-- Raises SK001 and says what the ledger says. Called where a compare-and-set missed.
CREATE FUNCTION :"schema".fenced(sink text, topic text, partition integer, owner_epoch bigint,
                                 next_offset bigint)
    RETURNS void LANGUAGE plpgsql
    SET search_path = pg_catalog, :"schema", pg_temp
AS $$
#variable_conflict use_column
DECLARE
    line record;
BEGIN
    SELECT o.next_offset, o.owner_epoch, o.owner INTO line
      FROM offsets o
     WHERE o.sink = fenced.sink AND o.topic = fenced.topic AND o.partition = fenced.partition;
    IF NOT FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'SK001', MESSAGE = format(
            '%s-%s: the ledger has no such line for sink ''%s''',
            fenced.topic, fenced.partition, fenced.sink);
    END IF;
    RAISE EXCEPTION USING ERRCODE = 'SK001', MESSAGE = format(
        '%s-%s: expected next_offset %s under owner_epoch %s, the ledger says %s under %s, owner %s',
        fenced.topic, fenced.partition, fenced.next_offset, fenced.owner_epoch,
        line.next_offset, line.owner_epoch, coalesce(quote_literal(line.owner), 'nobody'));
END
$$;
COMMENT ON FUNCTION :"schema".fenced(text, text, integer, bigint, bigint) IS
    'Internal: raises SK001, the error of a compare-and-set that missed.';

-- The first statement of every transaction: one line after the other, in the order of the
-- arrays, which is the order in which claim() locks. A join with unnest() would be faster for
-- many lines, but the order of its locks, and whether its time grows with the square of the
-- lines, would depend on statistics.
CREATE FUNCTION :"schema".advance(sink text, topics text[], partitions integer[], owner_epochs bigint[],
                                  froms bigint[], nexts bigint[], leader_epochs integer[],
                                  last_timestamps_ms bigint[], end_offsets bigint[])
    RETURNS void LANGUAGE plpgsql
    SET search_path = pg_catalog, :"schema", pg_temp
AS $$
#variable_conflict use_column
DECLARE
    i integer := 0;
    t text;
BEGIN
    FOREACH t IN ARRAY topics LOOP
        i := i + 1;
        UPDATE offsets o
           SET next_offset = nexts[i],
               leader_epoch = coalesce(nullif(leader_epochs[i], -1), o.leader_epoch),
               updated_at = now(),
               last_timestamp = CASE WHEN last_timestamps_ms[i] BETWEEN 0 AND 9000000000000000 -- a producer may say anything
                                     THEN to_timestamp(last_timestamps_ms[i]::float8 / 1000)
                                     ELSE o.last_timestamp END,
               end_offset = coalesce(nullif(end_offsets[i], -1), o.end_offset),
               end_seen_at = CASE WHEN end_offsets[i] >= 0 THEN now() ELSE o.end_seen_at END
         WHERE o.sink = advance.sink AND o.topic = t AND o.partition = partitions[i]
           AND o.owner_epoch = owner_epochs[i] AND o.next_offset = froms[i];
        IF NOT FOUND THEN
            PERFORM fenced(sink, t, partitions[i], owner_epochs[i], froms[i]);
        END IF;
    END LOOP;
END
$$;
COMMENT ON FUNCTION :"schema".advance(text, text[], integer[], bigint[], bigint[], bigint[], integer[],
                                      bigint[], bigint[]) IS
    'Moves next_offset of many partitions by compare-and-set; raises SK001 if any of them has moved or was claimed by another. -1 stands for unknown. Called by pgsinkd first in every transaction.';

-- Waits for open transactions of the former owners, line after line in key order. With only_mine
-- a line that has another owner, as its lock shows, stays as it is.
CREATE FUNCTION :"schema".claim(sink text, owner text, topics text[], partitions integer[],
                                first_offsets bigint[], only_mine boolean)
    RETURNS TABLE (place integer, next_offset bigint, owner_epoch bigint, leader_epoch integer,
                   mine boolean)
    LANGUAGE plpgsql
    SET search_path = pg_catalog, :"schema", pg_temp
    SET enable_seqscan = off
AS $$
#variable_conflict use_column
DECLARE
    c record;
BEGIN
    FOR c IN
        SELECT u.topic, u.partition, u.first_offset, u.place::integer AS place
          FROM unnest(topics, partitions, first_offsets)
               WITH ORDINALITY AS u(topic, partition, first_offset, place)
         ORDER BY u.topic COLLATE "C", u.partition
    LOOP
        place := c.place;
        IF c.first_offset >= 0 THEN
            INSERT INTO offsets AS o (sink, topic, partition, next_offset, owner_epoch, owner,
                                      claimed_at, updated_at)
            VALUES (claim.sink, c.topic, c.partition, c.first_offset, 1, claim.owner,
                    clock_timestamp(), clock_timestamp())
            ON CONFLICT (sink, topic, partition) DO UPDATE
               SET owner_epoch = o.owner_epoch + 1, owner = claim.owner,
                   claimed_at = clock_timestamp(), updated_at = clock_timestamp()
             WHERE NOT only_mine OR o.owner = claim.owner
            RETURNING o.next_offset, o.owner_epoch, o.leader_epoch
              INTO next_offset, owner_epoch, leader_epoch;
        ELSE
            UPDATE offsets o
               SET owner_epoch = o.owner_epoch + 1, owner = claim.owner,
                   claimed_at = clock_timestamp(), updated_at = clock_timestamp()
             WHERE o.sink = claim.sink AND o.topic = c.topic AND o.partition = c.partition
               AND (NOT only_mine OR o.owner = claim.owner)
            RETURNING o.next_offset, o.owner_epoch, o.leader_epoch
              INTO next_offset, owner_epoch, leader_epoch;
        END IF;
        mine := FOUND;
        IF NOT mine THEN
            SELECT o.next_offset, o.owner_epoch, o.leader_epoch
              INTO next_offset, owner_epoch, leader_epoch
              FROM offsets o
             WHERE o.sink = claim.sink AND o.topic = c.topic AND o.partition = c.partition;
        END IF;
        RETURN NEXT;
    END LOOP;
END
$$;
COMMENT ON FUNCTION :"schema".claim(text, text, text[], integer[], bigint[], boolean) IS
    'Takes ownership of partitions: owner_epoch + 1. A partition without a line gets one at its first offset, or NULLs come back where that is -1. Called by pgsinkd.';

CREATE FUNCTION :"schema".gap(sink text, topic text, partition integer, owner_epoch bigint,
                              from_offset bigint, next_offset bigint, reason text)
    RETURNS void LANGUAGE plpgsql
    SET search_path = pg_catalog, :"schema", pg_temp
AS $$
#variable_conflict use_column
BEGIN
    UPDATE offsets o
       SET next_offset = gap.next_offset, leader_epoch = NULL, updated_at = clock_timestamp()
     WHERE o.sink = gap.sink AND o.topic = gap.topic AND o.partition = gap.partition
       AND o.owner_epoch = gap.owner_epoch AND o.next_offset = gap.from_offset;
    IF NOT FOUND THEN
        PERFORM fenced(gap.sink, gap.topic, gap.partition, gap.owner_epoch, gap.from_offset);
    END IF;
    INSERT INTO gaps (sink, topic, partition, from_offset, next_offset, reason)
    VALUES (gap.sink, gap.topic, gap.partition, gap.from_offset, gap.next_offset, gap.reason);
END
$$;
COMMENT ON FUNCTION :"schema".gap(text, text, integer, bigint, bigint, bigint, text) IS
    'Moves a partition over offsets that Kafka no longer has, and records them in gaps. Called by pgsinkd.';

-- Changes made by hand are told to the daemons, who LISTEN. What pgsinkd changes itself sets
-- updated_at, and so costs one comparison here.
CREATE FUNCTION :"schema".tell() RETURNS trigger LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF TG_LEVEL = 'STATEMENT' THEN
        PERFORM pg_notify('pgsinkd', '');
    ELSIF TG_OP = 'DELETE' THEN
        PERFORM pg_notify('pgsinkd', OLD.sink);
    ELSIF (OLD.sink, OLD.topic, OLD.partition, OLD.next_offset, OLD.owner_epoch)
       <> (NEW.sink, NEW.topic, NEW.partition, NEW.next_offset, NEW.owner_epoch) THEN
        PERFORM pg_notify('pgsinkd', OLD.sink);
    END IF;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION :"schema".tell() IS 'Internal: notifies the daemons of a change made by hand.';

CREATE TRIGGER moved_by_hand AFTER UPDATE ON :"schema".offsets FOR EACH ROW
    WHEN (OLD.updated_at = NEW.updated_at)
    EXECUTE FUNCTION :"schema".tell();
COMMENT ON TRIGGER moved_by_hand ON :"schema".offsets IS
    'Tells the daemons when somebody else than pgsinkd moves a partition.';
CREATE TRIGGER deleted_by_hand AFTER DELETE ON :"schema".offsets FOR EACH ROW
    EXECUTE FUNCTION :"schema".tell();
COMMENT ON TRIGGER deleted_by_hand ON :"schema".offsets IS
    'Tells the daemons when a line is deleted: the partition then starts where kafka.start says.';
CREATE TRIGGER truncated_by_hand AFTER TRUNCATE ON :"schema".offsets FOR EACH STATEMENT
    EXECUTE FUNCTION :"schema".tell();
COMMENT ON TRIGGER truncated_by_hand ON :"schema".offsets IS 'As deleted_by_hand, for all lines.';

CREATE FUNCTION :"schema".seek(sink text, topic text, partition integer, next_offset bigint)
    RETURNS bigint LANGUAGE plpgsql
    SET search_path = pg_catalog, :"schema", pg_temp
AS $$
#variable_conflict use_column
DECLARE
    before bigint;
BEGIN
    SELECT o.next_offset INTO before
      FROM offsets o
     WHERE o.sink = seek.sink AND o.topic = seek.topic AND o.partition = seek.partition
       FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'no_data_found',
            MESSAGE = format('sink ''%s'' has no line for %s-%s', seek.sink, seek.topic, seek.partition),
            HINT = 'Only a partition that the sink has read before can be moved.';
    END IF;
    UPDATE offsets o
       SET next_offset = seek.next_offset, owner_epoch = o.owner_epoch + 1, leader_epoch = NULL,
           updated_at = clock_timestamp()
     WHERE o.sink = seek.sink AND o.topic = seek.topic AND o.partition = seek.partition;
    PERFORM pg_notify('pgsinkd', seek.sink);
    RETURN before;
END
$$;
COMMENT ON FUNCTION :"schema".seek(text, text, integer, bigint) IS
    'For operators: the next record stored of this partition will be next_offset. Returns what it was before. A running daemon obeys at once: what it has under way for the partition is rolled back, and it claims again. Going back stores the same records a second time.';

CREATE VIEW :"schema".lag AS
    SELECT o.sink, o.topic, o.partition, o.next_offset, o.end_offset,
           CASE WHEN o.end_offset > o.next_offset THEN o.end_offset - o.next_offset
                WHEN o.end_offset IS NOT NULL THEN 0 END AS lag,
           o.last_timestamp, now() - o.last_timestamp AS last_record_age,
           o.owner, o.owner_epoch, o.claimed_at, o.updated_at, o.end_seen_at
      FROM :"schema".offsets o;
COMMENT ON VIEW :"schema".lag IS
    'How far each partition is behind Kafka, as of end_seen_at. Offsets that hold no record count too.';
COMMENT ON COLUMN :"schema".lag.lag IS 'end_offset - next_offset; NULL while the end is not known.';
COMMENT ON COLUMN :"schema".lag.last_record_age IS 'Age of the last stored record.';

CREATE VIEW :"schema".status AS
    SELECT o.sink,
           count(*) AS partitions,
           count(DISTINCT o.owner) AS owners,
           sum(CASE WHEN o.end_offset > o.next_offset THEN o.end_offset - o.next_offset
                    WHEN o.end_offset IS NOT NULL THEN 0 END) AS lag,
           count(*) FILTER (WHERE o.end_offset > o.next_offset) AS partitions_behind,
           max(o.last_timestamp) AS last_timestamp,
           max(o.claimed_at) AS last_claimed_at,
           max(o.updated_at) AS last_updated_at,
           (SELECT count(*) FROM :"schema".gaps g WHERE g.sink = o.sink) AS gaps
      FROM :"schema".offsets o
     GROUP BY o.sink;
COMMENT ON VIEW :"schema".status IS 'One line for each sink.';
COMMENT ON COLUMN :"schema".status.owners IS
    'Processes that own partitions: more than one worker of a process counts once.';
COMMENT ON COLUMN :"schema".status.gaps IS 'Lines in gaps.';

INSERT INTO :"schema".schema_version (version) VALUES (1);
