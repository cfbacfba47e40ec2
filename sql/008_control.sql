-- Step 8: operators steer a sink while it runs: pause and resume, and what stands beside other reasons.
--
-- Undo, when no daemon runs: make the view standing, resume() and the claim with eight arguments as in step 4;
-- DROP FUNCTION pgsinkd.pause; DROP TABLE pgsinkd.paused; DROP FUNCTION pgsinkd.tell_of;
-- DELETE FROM pgsinkd.schema_version WHERE version = 8.

-- ---- pause and resume ----
--
-- This table is all there is to a pause: the ledger has no copy of it, so what it says of a partition that had stopped
-- before (stopped, poison, over_limit) stays there, and counts again if the row here is deleted. claim() looks here
-- when it has the lock of its rows, and each change here notifies the daemons, who then claim again. So no pause is
-- lost, whoever comes first:
--
--     pause()                                  claim() of a row that is not there yet
--                                              inserts it, finds nothing here
--     inserts its row here,
--     sees no row of the ledger
--     COMMIT, which notifies    ------->       COMMIT; claims again, and finds it
CREATE TABLE :"schema".paused (
    sink      text COLLATE "C" NOT NULL,
    topic     text COLLATE "C",
    partition integer CHECK (partition IS NULL OR topic IS NOT NULL),
    paused_at timestamptz      NOT NULL DEFAULT clock_timestamp(),
    paused_by text             NOT NULL DEFAULT current_user,
    UNIQUE NULLS NOT DISTINCT (sink, topic, partition)
);
COMMENT ON TABLE :"schema".paused IS
    'What operators have paused, by pause(): of these partitions nothing is stored, also of those that appear later. resume() ends it.';
COMMENT ON COLUMN :"schema".paused.sink IS 'Name of the sink, from its configuration.';
COMMENT ON COLUMN :"schema".paused.topic IS 'Kafka topic; NULL = all of the sink.';
COMMENT ON COLUMN :"schema".paused.partition IS 'Kafka partition; NULL = all of the topic.';
COMMENT ON COLUMN :"schema".paused.paused_at IS 'Since when.';
COMMENT ON COLUMN :"schema".paused.paused_by IS 'By which role.';

CREATE FUNCTION :"schema".tell_of() RETURNS trigger LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF TG_LEVEL = 'STATEMENT' THEN
        PERFORM pg_notify('pgsinkd', '');
        RETURN NULL;
    END IF;
    IF TG_OP <> 'INSERT' THEN
        PERFORM pg_notify('pgsinkd', OLD.sink);
    END IF;
    IF TG_OP <> 'DELETE' THEN
        PERFORM pg_notify('pgsinkd', NEW.sink);
    END IF;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION :"schema".tell_of() IS 'Internal: notifies the daemons of a sink, who then claim again.';

CREATE TRIGGER paused_or_not AFTER INSERT OR UPDATE OR DELETE ON :"schema".paused FOR EACH ROW
    EXECUTE FUNCTION :"schema".tell_of();
COMMENT ON TRIGGER paused_or_not ON :"schema".paused IS 'Tells the daemons, also of changes made by hand.';
CREATE TRIGGER nothing_paused AFTER TRUNCATE ON :"schema".paused FOR EACH STATEMENT
    EXECUTE FUNCTION :"schema".tell_of();
COMMENT ON TRIGGER nothing_paused ON :"schema".paused IS 'As paused_or_not, for all rows.';

-- A pause comes before whatever else the ledger says; of several pauses the widest, which has to be ended for the
-- partition to move.
CREATE OR REPLACE VIEW :"schema".standing AS
    SELECT o.sink, o.topic, o.partition,
           CASE WHEN p.sink IS NULL THEN o.standing ELSE 'paused' END AS state,
           CASE WHEN p.sink IS NULL THEN o.standing_since ELSE p.paused_at END AS since,
           o.next_offset,
           CASE WHEN p.sink IS NULL THEN o.standing_reason
                ELSE format('%s-%s@%s: paused by %s since %s UTC%s', o.topic, o.partition, o.next_offset,
                            quote_literal(p.paused_by),
                            to_char(p.paused_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS'),
                            '; before that it was ' || o.standing || ': ' || o.standing_reason)
                     COLLATE "default" END AS reason,
           CASE WHEN p.sink IS NULL THEN o.standing_sqlstate END AS sqlstate,
           CASE WHEN p.sink IS NULL THEN o.standing_hint
                ELSE format('To end it: SELECT %I.resume(%L%s%s);', :'schema', p.sink, ', ' || quote_literal(p.topic),
                            ', ' || p.partition) COLLATE "default" END AS hint,
           CASE WHEN p.sink IS NULL THEN o.standing_retry_at END AS retry_at
      FROM :"schema".offsets o
      LEFT JOIN LATERAL (SELECT p.sink, p.topic, p.partition, p.paused_at, p.paused_by
                           FROM :"schema".paused p
                          WHERE p.sink = o.sink AND (p.topic IS NULL OR p.topic = o.topic)
                            AND (p.partition IS NULL OR p.partition = o.partition)
                          ORDER BY p.topic NULLS FIRST, p.partition NULLS FIRST
                          LIMIT 1) p ON true
     WHERE o.standing IS NOT NULL OR p.sink IS NOT NULL;
COMMENT ON VIEW :"schema".standing IS
    'Partitions that do not move. paused: by an operator, until resume(); whatever else the ledger says of the partition stands in the reason. parked: the table refuses, tried again by itself. waiting: it is not known yet whether the record or the table is to blame. poison: a record ends its session, or never returns. stopped: on_error or on_gap says so, or records cannot be read. over_limit: max_dead_letters. parked and waiting are found out again by whoever claims the partition next; the others stay until resume(), and poison and stopped until seek(), too.';

-- As in step 4, with the same arguments and columns, so that daemons that run while this step is applied know of
-- pauses, too: what stands is read from the view, when all rows are locked.
CREATE OR REPLACE FUNCTION :"schema".claim(sink text, owner text, topics text[], partitions integer[],
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
        END IF;
        IF mine THEN
            SELECT s.state, s.reason, s.sqlstate, s.hint, s.retry_at IS NOT NULL
              INTO standing, standing_reason, standing_sqlstate, standing_hint, tried_again
              FROM standing s
             WHERE s.sink = claim.sink AND s.topic = topics[place] AND s.partition = partitions[place];
        END IF;
        RETURN NEXT;
    END LOOP;
END
$$;
COMMENT ON FUNCTION :"schema".claim(text, text, text[], integer[], bigint[], text[], boolean, text[]) IS
    'Takes ownership of partitions: owner_epoch + 1. A partition without a row gets one at its first offset, or NULLs come back where that is -1. What does not move stays so, but for the states that end by this; what is paused is returned as paused. Called by pgsinkd.';

CREATE FUNCTION :"schema".pause(sink text, topic text DEFAULT NULL, partition integer DEFAULT NULL)
    RETURNS bigint LANGUAGE plpgsql
    SET search_path = pg_catalog, :"schema", pg_temp
AS $$
#variable_conflict use_column
DECLARE
    concerned bigint;
BEGIN
    IF pause.topic IS NULL AND pause.partition IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('partition %s of which topic?', pause.partition);
    END IF;
    INSERT INTO paused (sink, topic, partition) VALUES (pause.sink, pause.topic, pause.partition)
    ON CONFLICT DO NOTHING;
    -- What is on its way is fenced.
    WITH chosen AS (
        SELECT o.sink, o.topic, o.partition
          FROM offsets o
         WHERE o.sink = pause.sink AND (pause.topic IS NULL OR o.topic = pause.topic)
           AND (pause.partition IS NULL OR o.partition = pause.partition)
         ORDER BY o.topic, o.partition
           FOR NO KEY UPDATE
    )
    UPDATE offsets o
       SET owner_epoch = o.owner_epoch + 1, updated_at = clock_timestamp()
      FROM chosen c
     WHERE o.sink = c.sink AND o.topic = c.topic AND o.partition = c.partition;
    GET DIAGNOSTICS concerned = ROW_COUNT;
    PERFORM pg_notify('pgsinkd', pause.sink);
    RETURN concerned;
END
$$;
COMMENT ON FUNCTION :"schema".pause(text, text, integer) IS
    'For operators: stores nothing more of a sink, a topic or a partition until resume(), and returns how many known partitions that concerns. It may name what does not exist yet. A running daemon obeys at once: what it has under way is rolled back. Restarts and new owners change nothing.';

-- A pause of more than what is named stays, and so would its partitions: that is an error, not a silent nothing.
CREATE OR REPLACE FUNCTION :"schema".resume(sink text, topic text DEFAULT NULL, partition integer DEFAULT NULL)
    RETURNS bigint LANGUAGE plpgsql
    SET search_path = pg_catalog, :"schema", pg_temp
AS $$
#variable_conflict use_column
DECLARE
    wider record;
    resumed bigint;
BEGIN
    SELECT p.topic, p.paused_by INTO wider
      FROM paused p
     WHERE p.sink = resume.sink
       AND (p.topic IS NULL AND resume.topic IS NOT NULL
            OR p.topic = resume.topic AND p.partition IS NULL AND resume.partition IS NOT NULL)
     ORDER BY p.topic NULLS FIRST
     LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state',
            MESSAGE = format('%s is paused as a whole, by %L',
                             coalesce('topic ' || quote_literal(wider.topic) || ' of ', '')
                             || 'sink ' || quote_literal(resume.sink), wider.paused_by),
            HINT = format('SELECT resume(%L%s) ends that.', resume.sink, ', ' || quote_literal(wider.topic));
    END IF;
    WITH ended AS (
        DELETE FROM paused p
         WHERE p.sink = resume.sink AND (resume.topic IS NULL OR p.topic = resume.topic)
           AND (resume.partition IS NULL OR p.partition = resume.partition)
        RETURNING p.topic, p.partition
    ), chosen AS (
        SELECT o.sink, o.topic, o.partition
          FROM offsets o
         WHERE o.sink = resume.sink
           AND (resume.topic IS NULL OR o.topic = resume.topic)
           AND (resume.partition IS NULL OR o.partition = resume.partition)
           AND (o.standing IS NOT NULL
                OR EXISTS (SELECT FROM ended e
                            WHERE (e.topic IS NULL OR e.topic = o.topic)
                              AND (e.partition IS NULL OR e.partition = o.partition)))
         ORDER BY o.topic, o.partition
           FOR NO KEY UPDATE
    )
    UPDATE offsets o
       SET standing = NULL, standing_since = NULL, standing_reason = NULL, standing_sqlstate = NULL,
           standing_hint = NULL, standing_retry_at = NULL, owner_epoch = o.owner_epoch + 1,
           updated_at = clock_timestamp()
      FROM chosen c
     WHERE o.sink = c.sink AND o.topic = c.topic AND o.partition = c.partition;
    GET DIAGNOSTICS resumed = ROW_COUNT;
    PERFORM pg_notify('pgsinkd', resume.sink);
    RETURN resumed;
END
$$;
COMMENT ON FUNCTION :"schema".resume(text, text, integer) IS
    'For operators: ends what pause() has begun, and lets what stands of a sink, a topic or a partition try again, at once if a daemon runs; returns how many partitions that are. Skips nothing: what cannot be stored then stands again. An error where more is paused than what is named.';

INSERT INTO :"schema".schema_version (version) VALUES (8);
