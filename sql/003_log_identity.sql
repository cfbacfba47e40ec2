-- Step 3: which log an offset belongs to, and where partitions begin.
--
-- An offset means something only in the log in which it was read. The ledger therefore keeps a fingerprint
-- of the last stored record, and the table partitions the ids of cluster and topic, so that every claim can
-- notice a topic that was created again, a truncated log, or another cluster. The table topic_entries remembers
-- which entries of `topics` a sink has used: kafka.start decides only for what an entry matches then.
--
-- Undo, when no daemon runs: DROP FUNCTION pgsinkd.note_log, pgsinkd.first_use;
-- DROP FUNCTION pgsinkd.claim(text, text, text[], integer[], bigint[], text[], boolean);
-- DROP FUNCTION pgsinkd.advance(text, text[], integer[], bigint[], bigint[], bigint[], integer[], bigint[],
-- bigint[], bigint[], integer[]); make gap(), seek() and tell() as in step 1; ALTER TABLE pgsinkd.offsets
-- DROP COLUMN fp_offset, DROP COLUMN fp_crc; DROP TABLE pgsinkd.partitions, pgsinkd.topic_entries,
-- pgsinkd.static_members; DELETE FROM pgsinkd.schema_version WHERE version = 3.

ALTER TABLE :"schema".offsets ADD COLUMN fp_offset bigint, ADD COLUMN fp_crc integer;
COMMENT ON COLUMN :"schema".offsets.fp_offset IS
    'Offset of the record that fp_crc is of: the last stored record that a transaction ended with. NULL = none yet; -1 = next_offset was set by an operator or passed a gap, and counts for whatever log is there.';
COMMENT ON COLUMN :"schema".offsets.fp_crc IS
    'CRC-32C over timestamp, lengths, key and value of that record. At every claim Kafka must still hold the same record there.';

-- Written when a partition begins and when its log is another one, so apart from the ledger, whose rows
-- every transaction writes.
CREATE TABLE :"schema".partitions (
    sink         text COLLATE "C" NOT NULL,
    topic        text COLLATE "C" NOT NULL,
    partition    integer          NOT NULL,
    first_offset bigint,
    first_reason text             NOT NULL,
    first_at     timestamptz      NOT NULL DEFAULT now(),
    cluster_id   text,
    topic_id     text,
    PRIMARY KEY (sink, topic, partition)
);
COMMENT ON TABLE :"schema".partitions IS
    'Every partition that a sink has ever begun: where and why, and which log its offsets belong to. A partition that is here and not in offsets was deleted there by hand, and begins again as kafka.start says.';
COMMENT ON COLUMN :"schema".partitions.sink IS 'Name of the sink, from its configuration.';
COMMENT ON COLUMN :"schema".partitions.topic IS 'Kafka topic.';
COMMENT ON COLUMN :"schema".partitions.partition IS 'Kafka partition.';
COMMENT ON COLUMN :"schema".partitions.first_offset IS
    'The next_offset with which its row of the ledger began; NULL = it began before this was written down.';
COMMENT ON COLUMN :"schema".partitions.first_reason IS 'Why it began there.';
COMMENT ON COLUMN :"schema".partitions.first_at IS 'When it began.';
COMMENT ON COLUMN :"schema".partitions.cluster_id IS
    'Id of the Kafka cluster that the offsets belong to; NULL = not known yet.';
COMMENT ON COLUMN :"schema".partitions.topic_id IS
    'Kafka''s id of the topic that the offsets belong to; NULL = not known (librdkafka before 2.3).';

INSERT INTO :"schema".partitions (sink, topic, partition, first_reason)
SELECT sink, topic, partition, 'begun by an earlier version' FROM :"schema".offsets;

CREATE TABLE :"schema".topic_entries (
    sink          text COLLATE "C" NOT NULL,
    entry         text COLLATE "C" NOT NULL,
    first_used_at timestamptz      NOT NULL DEFAULT now(),
    PRIMARY KEY (sink, entry)
);
COMMENT ON TABLE :"schema".topic_entries IS
    'Entries of topics (names and patterns) that a sink has used. What an entry matched when it was first used begins as kafka.start says; topics and partitions that it matches later begin at their earliest record.';
COMMENT ON COLUMN :"schema".topic_entries.sink IS 'Name of the sink, from its configuration.';
COMMENT ON COLUMN :"schema".topic_entries.entry IS 'The name or the pattern, as written in the configuration.';
COMMENT ON COLUMN :"schema".topic_entries.first_used_at IS 'When the sink used it first.';

CREATE TABLE :"schema".static_members (
    sink        text COLLATE "C" NOT NULL,
    instance_id text COLLATE "C" NOT NULL,
    topics      text[]           NOT NULL,
    joined_at   timestamptz      NOT NULL DEFAULT now(),
    PRIMARY KEY (sink, instance_id)
);
COMMENT ON TABLE :"schema".static_members IS
    'The topics with which each static member (group.instance.id) has joined the group last. Kafka gives a static member that comes back its old assignment, whatever it subscribes to (KAFKA-12759): where the topics differ, it leaves and joins again.';
COMMENT ON COLUMN :"schema".static_members.sink IS 'Name of the sink, from its configuration.';
COMMENT ON COLUMN :"schema".static_members.instance_id IS 'The property group.instance.id.';
COMMENT ON COLUMN :"schema".static_members.topics IS 'The topics that its routes took then, in order.';
COMMENT ON COLUMN :"schema".static_members.joined_at IS 'When it was given its partitions.';

-- As advance() of step 1, which stays for daemons that run while this step is applied, and with the
-- fingerprint of the last record of each span.
CREATE FUNCTION :"schema".advance(sink text, topics text[], partitions integer[], owner_epochs bigint[],
                                  froms bigint[], nexts bigint[], leader_epochs integer[],
                                  last_timestamps_ms bigint[], end_offsets bigint[],
                                  fp_offsets bigint[], fp_crcs integer[])
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
               end_seen_at = CASE WHEN end_offsets[i] >= 0 THEN now() ELSE o.end_seen_at END,
               fp_offset = CASE WHEN fp_offsets[i] >= 0 THEN fp_offsets[i] ELSE o.fp_offset END,
               fp_crc = CASE WHEN fp_offsets[i] >= 0 THEN fp_crcs[i] ELSE o.fp_crc END
         WHERE o.sink = advance.sink AND o.topic = t AND o.partition = partitions[i]
           AND o.owner_epoch = owner_epochs[i] AND o.next_offset = froms[i];
        IF NOT FOUND THEN
            PERFORM fenced(sink, t, partitions[i], owner_epochs[i], froms[i]);
        END IF;
    END LOOP;
END
$$;
COMMENT ON FUNCTION :"schema".advance(text, text[], integer[], bigint[], bigint[], bigint[], integer[],
                                      bigint[], bigint[], bigint[], integer[]) IS
    'Moves next_offset of many partitions by compare-and-set; raises SK001 if any of them has moved or was claimed by another. -1 stands for unknown. Called by pgsinkd first in every transaction.';

-- As claim() of step 1, which stays for daemons that run while this step is applied. Says besides what is
-- known of the log, and whether a partition without a row had one: then it was deleted by hand.
CREATE FUNCTION :"schema".claim(sink text, owner text, topics text[], partitions integer[],
                                first_offsets bigint[], first_reasons text[], only_mine boolean)
    RETURNS TABLE (place integer, next_offset bigint, owner_epoch bigint, leader_epoch integer,
                   mine boolean, inserted boolean, begun boolean, fp_offset bigint, fp_crc integer,
                   cluster_id text, topic_id text)
    LANGUAGE plpgsql
    SET search_path = pg_catalog, :"schema", pg_temp
    SET enable_seqscan = off
AS $$
#variable_conflict use_column
DECLARE
    c record;
BEGIN
    FOR c IN
        SELECT u.topic, u.partition, u.first_offset, u.first_reason, u.place::integer AS place
          FROM unnest(topics, partitions, first_offsets, first_reasons)
               WITH ORDINALITY AS u(topic, partition, first_offset, first_reason, place)
         ORDER BY u.topic COLLATE "C", u.partition
    LOOP
        place := c.place;
        inserted := false;
        IF c.first_offset >= 0 THEN
            INSERT INTO offsets AS o (sink, topic, partition, next_offset, owner_epoch, owner,
                                      claimed_at, updated_at)
            VALUES (claim.sink, c.topic, c.partition, c.first_offset, 1, claim.owner,
                    clock_timestamp(), clock_timestamp())
            ON CONFLICT (sink, topic, partition) DO UPDATE
               SET owner_epoch = o.owner_epoch + 1, owner = claim.owner,
                   claimed_at = clock_timestamp(), updated_at = clock_timestamp()
             WHERE NOT only_mine OR o.owner = claim.owner
            RETURNING o.next_offset, o.owner_epoch, o.leader_epoch, o.fp_offset, o.fp_crc, o.xmax = 0
              INTO next_offset, owner_epoch, leader_epoch, fp_offset, fp_crc, inserted;
        ELSE
            UPDATE offsets o
               SET owner_epoch = o.owner_epoch + 1, owner = claim.owner,
                   claimed_at = clock_timestamp(), updated_at = clock_timestamp()
             WHERE o.sink = claim.sink AND o.topic = c.topic AND o.partition = c.partition
               AND (NOT only_mine OR o.owner = claim.owner)
            RETURNING o.next_offset, o.owner_epoch, o.leader_epoch, o.fp_offset, o.fp_crc
              INTO next_offset, owner_epoch, leader_epoch, fp_offset, fp_crc;
        END IF;
        mine := FOUND;
        inserted := mine AND inserted;
        IF inserted THEN
            INSERT INTO partitions AS p (sink, topic, partition, first_offset, first_reason)
            VALUES (claim.sink, c.topic, c.partition, c.first_offset, c.first_reason)
            ON CONFLICT (sink, topic, partition) DO UPDATE
               SET first_offset = excluded.first_offset, first_reason = excluded.first_reason,
                   first_at = now(), cluster_id = NULL, topic_id = NULL;
        ELSIF NOT mine THEN
            SELECT o.next_offset, o.owner_epoch, o.leader_epoch, o.fp_offset, o.fp_crc
              INTO next_offset, owner_epoch, leader_epoch, fp_offset, fp_crc
              FROM offsets o
             WHERE o.sink = claim.sink AND o.topic = c.topic AND o.partition = c.partition;
        END IF;
        SELECT p.cluster_id, p.topic_id INTO cluster_id, topic_id
          FROM partitions p
         WHERE p.sink = claim.sink AND p.topic = c.topic AND p.partition = c.partition;
        begun := FOUND;
        RETURN NEXT;
    END LOOP;
END
$$;
COMMENT ON FUNCTION :"schema".claim(text, text, text[], integer[], bigint[], text[], boolean) IS
    'Takes ownership of partitions: owner_epoch + 1. A partition without a row gets one at its first offset, or NULLs come back where that is -1. Called by pgsinkd.';

CREATE FUNCTION :"schema".first_use(sink text, entry text, topics text[], partitions integer[],
                                    first_offsets bigint[], first_reason text)
    RETURNS SETOF integer LANGUAGE plpgsql
    SET search_path = pg_catalog, :"schema", pg_temp
AS $$
#variable_conflict use_column
BEGIN
    INSERT INTO topic_entries (sink, entry) VALUES (first_use.sink, first_use.entry)
    ON CONFLICT (sink, entry) DO NOTHING;
    IF NOT FOUND THEN
        RETURN; -- another daemon of this sink was faster, and has written its rows
    END IF;
    RETURN QUERY
    WITH wanted AS (
        SELECT u.topic COLLATE "C" AS topic, u.partition, u.first_offset, u.place::integer AS place
          FROM unnest(topics, partitions, first_offsets)
               WITH ORDINALITY AS u(topic, partition, first_offset, place)
         WHERE NOT EXISTS (SELECT FROM partitions p -- else what has no row has come later
                            WHERE p.sink = first_use.sink AND p.topic = u.topic)
    ), made AS (
        INSERT INTO offsets AS o (sink, topic, partition, next_offset, owner_epoch, updated_at)
        SELECT first_use.sink, w.topic, w.partition, w.first_offset, 0, clock_timestamp()
          FROM wanted w
         ORDER BY w.topic, w.partition
        ON CONFLICT (sink, topic, partition) DO NOTHING
        RETURNING o.topic, o.partition, o.next_offset
    ), noted AS (
        INSERT INTO partitions AS p (sink, topic, partition, first_offset, first_reason)
        SELECT first_use.sink, m.topic, m.partition, m.next_offset, first_use.first_reason FROM made m
        ON CONFLICT (sink, topic, partition) DO UPDATE
           SET first_offset = excluded.first_offset, first_reason = excluded.first_reason,
               first_at = now(), cluster_id = NULL, topic_id = NULL
    )
    SELECT w.place FROM wanted w JOIN made m ON m.topic = w.topic AND m.partition = w.partition;
END
$$;
COMMENT ON FUNCTION :"schema".first_use(text, text, text[], integer[], bigint[], text) IS
    'Writes down that a sink uses an entry of topics for the first time, and in the same transaction a row of the ledger, without owner, for each partition that it matches now, but for topics that the sink has begun before. Returns the places in the arrays of those whose rows it has made. Called by pgsinkd.';

-- Only by whoever owns the partition, under the row's lock, which is the shortest way to say so.
CREATE FUNCTION :"schema".note_log(sink text, topics text[], partitions integer[], owner_epochs bigint[],
                                   cluster_ids text[], topic_ids text[])
    RETURNS void LANGUAGE plpgsql
    SET search_path = pg_catalog, :"schema", pg_temp
AS $$
#variable_conflict use_column
DECLARE
    c record;
    fp bigint;
    by_hand boolean;
BEGIN
    FOR c IN
        SELECT u.topic, u.partition, u.owner_epoch, u.cluster_id, u.topic_id
          FROM unnest(topics, partitions, owner_epochs, cluster_ids, topic_ids)
               AS u(topic, partition, owner_epoch, cluster_id, topic_id)
         ORDER BY u.topic COLLATE "C", u.partition
    LOOP
        SELECT o.fp_offset INTO fp
          FROM offsets o
         WHERE o.sink = note_log.sink AND o.topic = c.topic AND o.partition = c.partition
           AND o.owner_epoch = c.owner_epoch
           FOR NO KEY UPDATE;
        CONTINUE WHEN NOT FOUND;
        by_hand := coalesce(fp < 0, false);
        INSERT INTO partitions AS p (sink, topic, partition, first_reason, cluster_id, topic_id)
        VALUES (note_log.sink, c.topic, c.partition, 'begun by an earlier version', c.cluster_id, c.topic_id)
        ON CONFLICT (sink, topic, partition) DO UPDATE
           SET cluster_id = CASE WHEN by_hand THEN excluded.cluster_id
                                 ELSE coalesce(excluded.cluster_id, p.cluster_id) END,
               topic_id = CASE WHEN by_hand THEN excluded.topic_id
                               ELSE coalesce(excluded.topic_id, p.topic_id) END;
        UPDATE offsets o
           SET fp_offset = NULL, updated_at = clock_timestamp()
         WHERE o.sink = note_log.sink AND o.topic = c.topic AND o.partition = c.partition AND by_hand;
    END LOOP;
END
$$;
COMMENT ON FUNCTION :"schema".note_log(text, text[], integer[], bigint[], text[], text[]) IS
    'Writes down which log the offsets of partitions belong to, as far as the caller owns them. NULL leaves an id as it is, unless next_offset was set by hand: then what was known before does not count. Called by pgsinkd.';

CREATE OR REPLACE FUNCTION :"schema".gap(sink text, topic text, partition integer, owner_epoch bigint,
                              from_offset bigint, next_offset bigint, reason text)
    RETURNS void LANGUAGE plpgsql
    SET search_path = pg_catalog, :"schema", pg_temp
AS $$
#variable_conflict use_column
BEGIN
    UPDATE offsets o
       SET next_offset = gap.next_offset, leader_epoch = NULL, fp_offset = -1, fp_crc = NULL,
           updated_at = clock_timestamp()
     WHERE o.sink = gap.sink AND o.topic = gap.topic AND o.partition = gap.partition
       AND o.owner_epoch = gap.owner_epoch AND o.next_offset = gap.from_offset;
    IF NOT FOUND THEN
        PERFORM fenced(gap.sink, gap.topic, gap.partition, gap.owner_epoch, gap.from_offset);
    END IF;
    INSERT INTO gaps (sink, topic, partition, from_offset, next_offset, reason)
    VALUES (gap.sink, gap.topic, gap.partition, gap.from_offset, gap.next_offset, gap.reason);
END
$$;
COMMENT ON TABLE :"schema".gaps IS
    'Ranges of offsets that kafka.on_gap allowed to pass, because Kafka no longer had these records or had others in their place: one row each time.';
COMMENT ON COLUMN :"schema".gaps.reason IS
    'Why: deleted (by retention), overwritten (the log was truncated) or created again (the topic), with the bounds of the partition as they were then.';

-- A next_offset that somebody sets by hand counts for the log that is there now: the fingerprint of the record
-- before it, which may be of another log, does not.
CREATE OR REPLACE FUNCTION :"schema".tell() RETURNS trigger LANGUAGE plpgsql
    SET search_path = pg_catalog, :"schema", pg_temp
AS $$
BEGIN
    IF TG_LEVEL = 'STATEMENT' THEN
        PERFORM pg_notify('pgsinkd', '');
    ELSIF TG_OP = 'DELETE' THEN
        PERFORM pg_notify('pgsinkd', OLD.sink);
    ELSIF (OLD.sink, OLD.topic, OLD.partition, OLD.next_offset, OLD.owner_epoch)
       <> (NEW.sink, NEW.topic, NEW.partition, NEW.next_offset, NEW.owner_epoch) THEN
        UPDATE offsets o SET fp_offset = -1, fp_crc = NULL, leader_epoch = NULL
         WHERE o.sink = NEW.sink AND o.topic = NEW.topic AND o.partition = NEW.partition
           AND OLD.next_offset <> NEW.next_offset;
        PERFORM pg_notify('pgsinkd', OLD.sink);
    END IF;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION :"schema".tell() IS 'Internal: notifies the daemons of a change made by hand.';

CREATE OR REPLACE FUNCTION :"schema".seek(sink text, topic text, partition integer, next_offset bigint)
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
            MESSAGE = format('sink ''%s'' has no row for %s-%s', seek.sink, seek.topic, seek.partition),
            HINT = 'Only a partition that the sink has read before can be moved.';
    END IF;
    UPDATE offsets o
       SET next_offset = seek.next_offset, owner_epoch = o.owner_epoch + 1, leader_epoch = NULL,
           fp_offset = -1, fp_crc = NULL, updated_at = clock_timestamp()
     WHERE o.sink = seek.sink AND o.topic = seek.topic AND o.partition = seek.partition;
    PERFORM pg_notify('pgsinkd', seek.sink);
    RETURN before;
END
$$;
COMMENT ON FUNCTION :"schema".seek(text, text, integer, bigint) IS
    'For operators: the next record stored of this partition will be next_offset, in the log that Kafka has now. Returns what it was before. A running daemon obeys at once: what it has under way for the partition is rolled back, and it claims again. To the offset where a stopped partition stands it means "try again". Going back stores the same records a second time.';

INSERT INTO :"schema".schema_version (version) VALUES (3);
