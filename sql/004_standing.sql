-- Step 4: what does not move, and why. A partition of which nothing can be stored stands, and its row of the
-- ledger says so.
--
-- Undo, when no daemon runs: DROP VIEW pgsinkd.standing, pgsinkd.status; make the view status as in step 2; DROP
-- FUNCTION pgsinkd.resume, pgsinkd.stand, and the claim with eight arguments; make tell() and seek() as in step 3;
-- ALTER TABLE pgsinkd.offsets DROP COLUMN standing, standing_since, standing_reason, standing_sqlstate,
-- standing_hint, standing_retry_at; DELETE FROM pgsinkd.schema_version WHERE version = 4.

ALTER TABLE :"schema".offsets
    ADD COLUMN standing          text,
    ADD COLUMN standing_since    timestamptz,
    ADD COLUMN standing_reason   text,
    ADD COLUMN standing_sqlstate text,
    ADD COLUMN standing_hint     text,
    ADD COLUMN standing_retry_at timestamptz;
COMMENT ON COLUMN :"schema".offsets.standing IS
    'Why the partition does not move: parked, waiting, poison, stopped, over_limit or paused, see the view standing; NULL = it moves.';
COMMENT ON COLUMN :"schema".offsets.standing_since IS 'Since when it stands.';
COMMENT ON COLUMN :"schema".offsets.standing_reason IS 'What is wrong, with the record or the table.';
COMMENT ON COLUMN :"schema".offsets.standing_sqlstate IS 'PostgreSQL''s code for it; NULL where it has none.';
COMMENT ON COLUMN :"schema".offsets.standing_hint IS 'What a person can do about it.';
COMMENT ON COLUMN :"schema".offsets.standing_retry_at IS 'When the daemon tries again by itself; NULL = it does not.';

CREATE VIEW :"schema".standing AS
    SELECT o.sink, o.topic, o.partition, o.standing AS state, o.standing_since AS since, o.next_offset,
           o.standing_reason AS reason, o.standing_sqlstate AS sqlstate, o.standing_hint AS hint,
           o.standing_retry_at AS retry_at
      FROM :"schema".offsets o
     WHERE o.standing IS NOT NULL;
COMMENT ON VIEW :"schema".standing IS
    'Partitions that do not move. parked: the table refuses, tried again by itself. waiting: it is not known yet whether the record or the table is to blame. poison: a record ends its session, or never returns. stopped: on_error, on_gap, or records that cannot be read. over_limit: max_dead_letters. paused: by an operator. resume() makes each of them try again.';

-- Only the owner can write it, so a former owner cannot. NULL ends a state. updated_at shows the trigger
-- that this is no change by hand.
CREATE FUNCTION :"schema".stand(sink text, topics text[], partitions integer[], owner_epochs bigint[],
                                states text[], reasons text[], sqlstates text[], hints text[],
                                retry_in_ms bigint[])
    RETURNS void LANGUAGE plpgsql
    SET search_path = pg_catalog, :"schema", pg_temp
AS $$
#variable_conflict use_column
DECLARE
    c record;
BEGIN
    FOR c IN
        SELECT u.topic, u.partition, u.owner_epoch, u.state, u.reason, u.sqlstate, u.hint, u.retry_in
          FROM unnest(topics, partitions, owner_epochs, states, reasons, sqlstates, hints, retry_in_ms)
               AS u(topic, partition, owner_epoch, state, reason, sqlstate, hint, retry_in)
         ORDER BY u.topic COLLATE "C", u.partition
    LOOP
        UPDATE offsets o
           SET standing = c.state,
               standing_since = CASE WHEN c.state IS NULL THEN NULL
                                     WHEN o.standing = c.state THEN o.standing_since
                                     ELSE clock_timestamp() END,
               standing_reason = c.reason, standing_sqlstate = c.sqlstate, standing_hint = c.hint,
               standing_retry_at = clock_timestamp() + c.retry_in * interval '1 millisecond',
               updated_at = clock_timestamp()
         WHERE o.sink = stand.sink AND o.topic = c.topic AND o.partition = c.partition
           AND o.owner_epoch = c.owner_epoch;
    END LOOP;
END
$$;
COMMENT ON FUNCTION :"schema".stand(text, text[], integer[], bigint[], text[], text[], text[], text[], bigint[]) IS
    'Writes down why partitions do not move, as far as the caller owns them; NULL as the state ends it. Called by pgsinkd.';

-- As claim() of step 3, which stays for daemons that run while this step is applied. The states of `ends`
-- end by it: the new owner finds out for itself. Others stay, and are returned.
CREATE FUNCTION :"schema".claim(sink text, owner text, topics text[], partitions integer[],
                                first_offsets bigint[], first_reasons text[], only_mine boolean, ends text[])
    RETURNS TABLE (place integer, next_offset bigint, owner_epoch bigint, leader_epoch integer,
                   mine boolean, inserted boolean, begun boolean, fp_offset bigint, fp_crc integer,
                   cluster_id text, topic_id text, standing text, standing_reason text,
                   standing_sqlstate text, standing_hint text, tried_again boolean)
    LANGUAGE plpgsql
    SET search_path = pg_catalog, :"schema", pg_temp
    SET enable_seqscan = off
AS $$
#variable_conflict use_column
DECLARE
    c record;
BEGIN
    FOR c IN
        SELECT k.place, k.next_offset, k.owner_epoch, k.leader_epoch, k.mine, k.inserted, k.begun,
               k.fp_offset, k.fp_crc, k.cluster_id, k.topic_id
          FROM claim(sink, owner, topics, partitions, first_offsets, first_reasons, only_mine) AS k
    LOOP
        place := c.place;
        next_offset := c.next_offset;
        owner_epoch := c.owner_epoch;
        leader_epoch := c.leader_epoch;
        mine := c.mine;
        inserted := c.inserted;
        begun := c.begun;
        fp_offset := c.fp_offset;
        fp_crc := c.fp_crc;
        cluster_id := c.cluster_id;
        topic_id := c.topic_id;
        standing := NULL;
        standing_reason := NULL;
        standing_sqlstate := NULL;
        standing_hint := NULL;
        tried_again := NULL;
        IF mine AND NOT inserted THEN
            UPDATE offsets o
               SET standing = NULL, standing_since = NULL, standing_reason = NULL,
                   standing_sqlstate = NULL, standing_hint = NULL, standing_retry_at = NULL,
                   updated_at = clock_timestamp()
             WHERE o.sink = claim.sink AND o.topic = topics[place] AND o.partition = partitions[place]
               AND o.standing = ANY (ends);
            SELECT o.standing, o.standing_reason, o.standing_sqlstate, o.standing_hint,
                   o.standing_retry_at IS NOT NULL
              INTO standing, standing_reason, standing_sqlstate, standing_hint, tried_again
              FROM offsets o
             WHERE o.sink = claim.sink AND o.topic = topics[place] AND o.partition = partitions[place]
               AND o.standing IS NOT NULL;
        END IF;
        RETURN NEXT;
    END LOOP;
END
$$;
COMMENT ON FUNCTION :"schema".claim(text, text, text[], integer[], bigint[], text[], boolean, text[]) IS
    'Takes ownership of partitions: owner_epoch + 1. A partition without a row gets one at its first offset, or NULLs come back where that is -1. What does not move stays so, but for the states that end by this. Called by pgsinkd.';

CREATE FUNCTION :"schema".resume(sink text, topic text DEFAULT NULL, partition integer DEFAULT NULL)
    RETURNS bigint LANGUAGE plpgsql
    SET search_path = pg_catalog, :"schema", pg_temp
AS $$
#variable_conflict use_column
DECLARE
    resumed bigint;
BEGIN
    WITH chosen AS (
        SELECT o.sink, o.topic, o.partition
          FROM offsets o
         WHERE o.sink = resume.sink AND o.standing IS NOT NULL
           AND (resume.topic IS NULL OR o.topic = resume.topic)
           AND (resume.partition IS NULL OR o.partition = resume.partition)
         ORDER BY o.topic, o.partition
           FOR NO KEY UPDATE
    )
    UPDATE offsets o
       SET standing = NULL, standing_since = NULL, standing_reason = NULL, standing_sqlstate = NULL,
           standing_hint = NULL, standing_retry_at = NULL, owner_epoch = o.owner_epoch + 1,
           updated_at = clock_timestamp()
      FROM chosen c
     WHERE o.sink = c.sink AND o.topic = c.topic AND o.partition = c.partition AND o.standing IS NOT NULL;
    GET DIAGNOSTICS resumed = ROW_COUNT;
    PERFORM pg_notify('pgsinkd', resume.sink);
    RETURN resumed;
END
$$;
COMMENT ON FUNCTION :"schema".resume(text, text, integer) IS
    'For operators: lets what stands of a sink, a topic or a partition try again, at once if a daemon runs, and returns how many partitions that are. Skips nothing: what cannot be stored then stands again.';

-- An offset that is set by hand is another try.
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
        UPDATE offsets o
           SET standing = NULL, standing_since = NULL, standing_reason = NULL,
               standing_sqlstate = NULL, standing_hint = NULL, standing_retry_at = NULL
         WHERE o.sink = NEW.sink AND o.topic = NEW.topic AND o.partition = NEW.partition
           AND OLD.next_offset <> NEW.next_offset AND o.standing NOT IN ('over_limit', 'paused');
        PERFORM pg_notify('pgsinkd', OLD.sink);
    END IF;
    RETURN NULL;
END
$$;

CREATE OR REPLACE FUNCTION :"schema".seek(sink text, topic text, partition integer, next_offset bigint)
    RETURNS bigint LANGUAGE plpgsql
    SET search_path = pg_catalog, :"schema", pg_temp
AS $$
#variable_conflict use_column
DECLARE
    before bigint;
    stays boolean;
BEGIN
    SELECT o.next_offset, coalesce(o.standing IN ('over_limit', 'paused'), false) INTO before, stays
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
           fp_offset = -1, fp_crc = NULL, updated_at = clock_timestamp(),
           standing = CASE WHEN stays THEN o.standing END,
           standing_since = CASE WHEN stays THEN o.standing_since END,
           standing_reason = CASE WHEN stays THEN o.standing_reason END,
           standing_sqlstate = CASE WHEN stays THEN o.standing_sqlstate END,
           standing_hint = CASE WHEN stays THEN o.standing_hint END,
           standing_retry_at = CASE WHEN stays THEN o.standing_retry_at END
     WHERE o.sink = seek.sink AND o.topic = seek.topic AND o.partition = seek.partition;
    PERFORM pg_notify('pgsinkd', seek.sink);
    RETURN before;
END
$$;
COMMENT ON FUNCTION :"schema".seek(text, text, integer, bigint) IS
    'For operators: the next record stored of this partition will be next_offset, in the log that Kafka has now. Returns what it was before. A running daemon obeys at once: what it has under way for the partition is rolled back, and it claims again. A partition that stands tries again by it, unless it is paused or over its limit.';

CREATE OR REPLACE VIEW :"schema".status AS
    SELECT o.sink,
           count(*) AS partitions,
           count(DISTINCT o.owner) AS owners,
           sum(CASE WHEN o.end_offset > o.next_offset THEN o.end_offset - o.next_offset
                    WHEN o.end_offset IS NOT NULL THEN 0 END) AS lag,
           count(*) FILTER (WHERE o.end_offset > o.next_offset) AS partitions_behind,
           max(o.last_timestamp) AS last_timestamp,
           max(o.claimed_at) AS last_claimed_at,
           max(o.updated_at) AS last_updated_at,
           (SELECT count(*) FROM :"schema".gaps g WHERE g.sink = o.sink) AS gaps,
           (SELECT count(*) FROM :"schema".dead_letters d WHERE d.sink = o.sink) AS dead_letters,
           count(o.standing) AS standing
      FROM :"schema".offsets o
     GROUP BY o.sink;
COMMENT ON COLUMN :"schema".status.standing IS 'Partitions that do not move, see the view standing.';

INSERT INTO :"schema".schema_version (version) VALUES (4);
