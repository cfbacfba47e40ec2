-- Step 8: operators steer a sink while it runs, and see who runs it.
--
-- Undo, when no daemon runs: make the view standing, resume(), seek() with an offset and the claim with eight arguments
-- as in step 4, replay() and discard() as in step 2; DROP VIEW pgsinkd.status, pgsinkd.lag, pgsinkd.instances; make the
-- views lag as in step 1 and status as in step 4; DROP FUNCTION pgsinkd.pause, pgsinkd.seek(text, text, text, integer),
-- pgsinkd.seek_done, pgsinkd.reset, pgsinkd.heartbeat, pgsinkd.choose_letters; DROP TABLE pgsinkd.paused,
-- pgsinkd.seeks, pgsinkd.heartbeats; DROP FUNCTION pgsinkd.tell_of;
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
--     sees no row of the ledger,
--     inserts its row here
--     COMMIT, which notifies    ------->       COMMIT; claims again, and finds it
--
-- Each function here locks rows of the ledger first, in the order of their keys, and rows of other tables after that,
-- as claim() and note_log() do: so none of them deadlocks with another. seek_done() alone cannot, and does not wait.
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
-- partition to move. Each of the three joins finds one row at most, by the whole key: claim() reads this for each of its
-- partitions, and nobody has analyzed the table by then.
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
      LEFT JOIN :"schema".paused a ON a.sink = o.sink AND a.topic IS NULL
      LEFT JOIN :"schema".paused t ON t.sink = o.sink AND t.topic = o.topic AND t.partition IS NULL
      LEFT JOIN :"schema".paused e ON e.sink = o.sink AND e.topic = o.topic AND e.partition = o.partition
     CROSS JOIN LATERAL (SELECT coalesce(a.sink, t.sink, e.sink) AS sink,
                                CASE WHEN a.sink IS NULL THEN coalesce(t.topic, e.topic) END AS topic,
                                CASE WHEN a.sink IS NULL AND t.sink IS NULL THEN e.partition END AS partition,
                                coalesce(a.paused_at, t.paused_at, e.paused_at) AS paused_at,
                                coalesce(a.paused_by, t.paused_by, e.paused_by) AS paused_by) AS p
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

-- As in step 4, but what stands at one offset is not written where somebody has moved the row meanwhile by UPDATE, which
-- leaves owner_epoch as it is: its owner claims the row again, and would take the state for one that counts there.
CREATE FUNCTION :"schema".stand(sink text, topics text[], partitions integer[], owner_epochs bigint[],
                                next_offsets bigint[], states text[], reasons text[], sqlstates text[], hints text[],
                                retry_in_ms bigint[])
    RETURNS void LANGUAGE plpgsql
    SET search_path = pg_catalog, :"schema", pg_temp
AS $$
#variable_conflict use_column
DECLARE
    c record;
BEGIN
    FOR c IN
        SELECT u.topic, u.partition, u.owner_epoch, u.next_offset, u.state, u.reason, u.sqlstate, u.hint, u.retry_in
          FROM unnest(topics, partitions, owner_epochs, next_offsets, states, reasons, sqlstates, hints, retry_in_ms)
               AS u(topic, partition, owner_epoch, next_offset, state, reason, sqlstate, hint, retry_in)
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
           AND o.owner_epoch = c.owner_epoch AND (c.state IS NULL OR o.next_offset = c.next_offset);
    END LOOP;
END
$$;
COMMENT ON FUNCTION :"schema".stand(text, text[], integer[], bigint[], bigint[], text[], text[], text[], text[], bigint[]) IS
    'Writes down why partitions do not move, as far as the caller owns them and nobody has moved them; NULL as the state ends it. Called by pgsinkd.';

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
    INSERT INTO paused (sink, topic, partition) VALUES (pause.sink, pause.topic, pause.partition)
    ON CONFLICT DO NOTHING;
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
    PERFORM FROM offsets o
      WHERE o.sink = resume.sink AND (resume.topic IS NULL OR o.topic = resume.topic)
        AND (resume.partition IS NULL OR o.partition = resume.partition)
      ORDER BY o.topic, o.partition
        FOR NO KEY UPDATE;
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
                -- each of these is hashed, so thousands of pauses end at once
                OR EXISTS (SELECT FROM ended e WHERE e.topic IS NULL)
                OR o.topic IN (SELECT e.topic FROM ended e WHERE e.topic IS NOT NULL AND e.partition IS NULL)
                OR (o.topic, o.partition) IN (SELECT e.topic, e.partition FROM ended e WHERE e.partition IS NOT NULL))
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

-- ---- seek and reset ----

-- What only Kafka knows: the daemon that owns the partition asks it, then moves the ledger and deletes the row here in
-- one transaction. A request is known by its id: a later one has another, so nothing that was asked before counts.
CREATE TABLE :"schema".seeks (
    sink         text COLLATE "C" NOT NULL,
    topic        text COLLATE "C" NOT NULL,
    partition    integer          NOT NULL,
    "where"      text             NOT NULL,
    at_ms        bigint           NOT NULL,
    id           uuid             NOT NULL DEFAULT gen_random_uuid(),
    requested_at timestamptz      NOT NULL DEFAULT clock_timestamp(),
    requested_by text             NOT NULL DEFAULT current_user,
    tried_at     timestamptz,
    error        text,
    PRIMARY KEY (sink, topic, partition)
);
COMMENT ON TABLE :"schema".seeks IS
    'What seek() has asked for and no daemon has done yet. The daemon that owns the partition does it, within a second if it runs. Deleting a row takes the request back.';
COMMENT ON COLUMN :"schema".seeks.sink IS 'Name of the sink, from its configuration.';
COMMENT ON COLUMN :"schema".seeks.topic IS 'Kafka topic.';
COMMENT ON COLUMN :"schema".seeks.partition IS 'Kafka partition.';
COMMENT ON COLUMN :"schema".seeks."where" IS 'earliest, latest, or a time: of the first record that is not older.';
COMMENT ON COLUMN :"schema".seeks.at_ms IS 'The same for Kafka: milliseconds since 1970; -2 earliest, -1 latest.';
COMMENT ON COLUMN :"schema".seeks.id IS 'Of this request: a later one of the same partition has another.';
COMMENT ON COLUMN :"schema".seeks.requested_at IS 'When seek() was called.';
COMMENT ON COLUMN :"schema".seeks.requested_by IS 'By which role.';
COMMENT ON COLUMN :"schema".seeks.tried_at IS 'When a daemon has tried in vain; NULL = not yet.';
COMMENT ON COLUMN :"schema".seeks.error IS 'Why in vain. It is tried again.';

-- As in step 4, but what is asked of Kafka for the partition is asked no more.
CREATE OR REPLACE FUNCTION :"schema".seek(sink text, topic text, partition integer, next_offset bigint)
    RETURNS bigint LANGUAGE plpgsql
    SET search_path = pg_catalog, :"schema", pg_temp
AS $$
#variable_conflict use_column
DECLARE
    before bigint;
    stays boolean;
BEGIN
    SELECT o.next_offset, coalesce(o.standing = 'over_limit', false) INTO before, stays
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
    DELETE FROM seeks s WHERE s.sink = seek.sink AND s.topic = seek.topic AND s.partition = seek.partition;
    PERFORM pg_notify('pgsinkd', seek.sink);
    RETURN before;
END
$$;
COMMENT ON FUNCTION :"schema".seek(text, text, integer, bigint) IS
    'For operators: the next record stored of this partition will be next_offset, in the log that Kafka has now. Returns what it was before. A running daemon obeys at once: what it has under way for the partition is rolled back, and it claims again. What has stopped tries again; what is paused or over its limit stays so. Going back stores the same records a second time.';

CREATE FUNCTION :"schema".seek(sink text, topic text, "where" text, partition integer DEFAULT NULL)
    RETURNS bigint LANGUAGE plpgsql
    SET search_path = pg_catalog, :"schema", pg_temp
AS $$
#variable_conflict use_column
DECLARE
    place text := lower(btrim("where"));
    at_time timestamptz;
    place_ms bigint;
    c record;
    moved bigint := 0;
BEGIN
    IF place ~ '^[0-9]+$' THEN
        FOR c IN
            SELECT o.topic, o.partition
              FROM offsets o
             WHERE o.sink = seek.sink AND (seek.topic IS NULL OR o.topic = seek.topic)
               AND (seek.partition IS NULL OR o.partition = seek.partition)
             ORDER BY o.topic, o.partition
        LOOP
            PERFORM seek(seek.sink, c.topic, c.partition, place::bigint);
            moved := moved + 1;
        END LOOP;
        RETURN moved;
    END IF;
    place_ms := CASE place WHEN 'earliest' THEN -2 WHEN 'latest' THEN -1 END;
    IF place_ms IS NULL THEN
        BEGIN
            at_time := place::timestamptz;
        EXCEPTION WHEN data_exception THEN
            at_time := 'infinity';
        END;
        IF at_time IS NULL OR NOT isfinite(at_time) THEN
            RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
                MESSAGE = format('%L is neither an offset, nor earliest, latest or a time', "where"),
                HINT = 'A time is written like 2026-11-29T06:00:00Z.';
        END IF;
        place := to_char(at_time AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"');
        place_ms := greatest(ceil(extract(epoch FROM at_time) * 1000), 0);
    END IF;
    INSERT INTO seeks AS s (sink, topic, partition, "where", at_ms)
    SELECT o.sink, o.topic, o.partition, place, place_ms
      FROM offsets o
     WHERE o.sink = seek.sink AND (seek.topic IS NULL OR o.topic = seek.topic)
       AND (seek.partition IS NULL OR o.partition = seek.partition)
     ORDER BY o.topic, o.partition
    ON CONFLICT (sink, topic, partition) DO UPDATE
       SET "where" = excluded."where", at_ms = excluded.at_ms, id = excluded.id,
           requested_at = excluded.requested_at, requested_by = excluded.requested_by,
           tried_at = NULL, error = NULL;
    GET DIAGNOSTICS moved = ROW_COUNT;
    PERFORM pg_notify('pgsinkd', 'seek:' || seek.sink);
    RETURN moved;
END
$$;
COMMENT ON FUNCTION :"schema".seek(text, text, text, integer) IS
    'For operators: moves all partitions of a topic, or of a sink (topic NULL), or one. where: earliest, latest, a time (the first record that is not older; the end if there is none), or an offset. Returns how many partitions. An offset is set at once; what only Kafka knows is left as a request in the table seeks, which a daemon carries out within a second, or as soon as it runs. Partitions that the ledger does not know are not concerned. Otherwise as seek() with an offset.';

-- Called by the owner, when Kafka has answered. A request that is not there any more is overtaken. A row that somebody
-- has locked for long is an error of its request.
CREATE FUNCTION :"schema".seek_done(sink text, topics text[], partitions integer[], ids uuid[], offsets bigint[],
                                    errors text[])
    RETURNS bigint LANGUAGE plpgsql
    SET search_path = pg_catalog, :"schema", pg_temp
    SET lock_timeout = '250ms'
AS $$
#variable_conflict use_column
DECLARE
    c record;
    fault text;
    moved bigint := 0;
BEGIN
    FOR c IN
        SELECT u.topic, u.partition, u.id, u.next_offset, u.error
          FROM unnest(topics, partitions, ids, offsets, errors) AS u(topic, partition, id, next_offset, error)
         ORDER BY u.topic COLLATE "C", u.partition
    LOOP
        fault := c.error;
        BEGIN
            IF fault IS NULL THEN
                PERFORM FROM seeks s
                  WHERE s.sink = seek_done.sink AND s.topic = c.topic AND s.partition = c.partition AND s.id = c.id
                    FOR UPDATE;
                IF FOUND THEN
                    PERFORM seek(seek_done.sink, c.topic, c.partition, c.next_offset);
                    moved := moved + 1;
                END IF;
            END IF;
        EXCEPTION
            WHEN lock_not_available THEN
                fault := 'the row of the ledger is locked by another session';
            WHEN no_data_found THEN
                fault := SQLERRM;
        END;
        BEGIN
            UPDATE seeks s SET tried_at = clock_timestamp(), error = fault
             WHERE fault IS NOT NULL
               AND s.sink = seek_done.sink AND s.topic = c.topic AND s.partition = c.partition AND s.id = c.id;
        EXCEPTION WHEN lock_not_available THEN
            NULL; -- somebody is changing the request
        END;
    END LOOP;
    RETURN moved;
END
$$;
COMMENT ON FUNCTION :"schema".seek_done(text, text[], integer[], uuid[], bigint[], text[]) IS
    'Carries out requests of the table seeks, now that Kafka has said which offsets they mean, or writes down why not; returns how many. A request that another has followed does nothing. Called by pgsinkd.';

-- The rows of partitions stay: they show the daemon that the topic was read before, so it begins as kafka.start says.
CREATE FUNCTION :"schema".reset(sink text, topic text)
    RETURNS bigint LANGUAGE plpgsql
    SET search_path = pg_catalog, :"schema", pg_temp
AS $$
#variable_conflict use_column
DECLARE
    forgotten bigint;
BEGIN
    IF reset.topic IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'null_value_not_allowed', MESSAGE = 'which topic?';
    END IF;
    PERFORM FROM offsets o
      WHERE o.sink = reset.sink AND o.topic = reset.topic
      ORDER BY o.partition
        FOR UPDATE;
    DELETE FROM offsets o WHERE o.sink = reset.sink AND o.topic = reset.topic;
    GET DIAGNOSTICS forgotten = ROW_COUNT;
    UPDATE partitions p
       SET first_offset = NULL, first_reason = 'reset by ' || current_user, first_at = now(), cluster_id = NULL,
           topic_id = NULL
     WHERE p.sink = reset.sink AND p.topic = reset.topic;
    DELETE FROM seeks s WHERE s.sink = reset.sink AND s.topic = reset.topic;
    DELETE FROM paused p WHERE p.sink = reset.sink AND p.topic = reset.topic;
    PERFORM pg_notify('pgsinkd', reset.sink);
    RETURN forgotten;
END
$$;
COMMENT ON FUNCTION :"schema".reset(text, text) IS
    'For operators: forgets where a topic stands: its rows in offsets, paused and seeks; returns how many partitions that were. If a daemon reads it, it begins again as kafka.start says, and stores the same records a second time. Dead letters and gaps stay. This is also how a topic that is no longer in the file leaves lag and status.';

-- ---- who runs it ----

CREATE TABLE :"schema".heartbeats (
    sink               text COLLATE "C" NOT NULL,
    owner              text             NOT NULL,
    host               text             NOT NULL,
    pid                integer          NOT NULL,
    version            text             NOT NULL,
    started_at         timestamptz      NOT NULL,
    seen_at            timestamptz      NOT NULL,
    workers            integer          NOT NULL,
    partitions         integer          NOT NULL,
    records_per_second float8           NOT NULL,
    rows_per_second    float8           NOT NULL,
    last_error         text,
    last_error_at      timestamptz,
    PRIMARY KEY (sink, owner)
) WITH (fillfactor = 50);
COMMENT ON TABLE :"schema".heartbeats IS
    'Kept by the daemons: one row for each process, written every 10 s and deleted by a clean stop. To be read through the view instances.';
COMMENT ON COLUMN :"schema".heartbeats.sink IS 'Name of the sink, from its configuration.';
COMMENT ON COLUMN :"schema".heartbeats.owner IS 'host:pid:random, as in offsets.owner.';
COMMENT ON COLUMN :"schema".heartbeats.host IS 'Where it runs.';
COMMENT ON COLUMN :"schema".heartbeats.pid IS 'Its process id there.';
COMMENT ON COLUMN :"schema".heartbeats.version IS 'Of pgsinkd.';
COMMENT ON COLUMN :"schema".heartbeats.started_at IS 'Since when it runs.';
COMMENT ON COLUMN :"schema".heartbeats.seen_at IS 'When it has written this row last.';
COMMENT ON COLUMN :"schema".heartbeats.workers IS 'Workers, which are connections to PostgreSQL.';
COMMENT ON COLUMN :"schema".heartbeats.partitions IS 'Partitions that it has.';
COMMENT ON COLUMN :"schema".heartbeats.records_per_second IS 'Records stored in a second, since the heartbeat before.';
COMMENT ON COLUMN :"schema".heartbeats.rows_per_second IS 'Rows stored in a second, since the heartbeat before.';
COMMENT ON COLUMN :"schema".heartbeats.last_error IS 'The last line of level error that it has logged; NULL = none.';
COMMENT ON COLUMN :"schema".heartbeats.last_error_at IS 'When that was.';

-- Says whether a request of the table seeks waits for this process, in case that a notification was missed.
CREATE FUNCTION :"schema".heartbeat(sink text, owner text, host text, pid integer, version text, age_ms bigint,
                                    workers integer, partitions integer, records_per_second float8,
                                    rows_per_second float8, last_error text, last_error_age_ms bigint)
    RETURNS boolean LANGUAGE plpgsql
    SET search_path = pg_catalog, :"schema", pg_temp
AS $$
#variable_conflict use_column
DECLARE
    at timestamptz := clock_timestamp();
BEGIN
    INSERT INTO heartbeats AS h (sink, owner, host, pid, version, started_at, seen_at, workers, partitions,
                                 records_per_second, rows_per_second, last_error, last_error_at)
    VALUES (heartbeat.sink, heartbeat.owner, heartbeat.host, heartbeat.pid, heartbeat.version,
            at - age_ms * interval '1 millisecond', at, heartbeat.workers, heartbeat.partitions,
            heartbeat.records_per_second, heartbeat.rows_per_second, heartbeat.last_error,
            at - last_error_age_ms * interval '1 millisecond')
    ON CONFLICT (sink, owner) DO UPDATE
       SET seen_at = excluded.seen_at, workers = excluded.workers, partitions = excluded.partitions,
           records_per_second = excluded.records_per_second, rows_per_second = excluded.rows_per_second,
           last_error = excluded.last_error,
           last_error_at = CASE WHEN h.last_error = excluded.last_error
                                     AND abs(extract(epoch FROM h.last_error_at - excluded.last_error_at)) < 1
                                THEN h.last_error_at ELSE excluded.last_error_at END;
    -- Those of processes that have died; not of one that is just being deleted by another.
    DELETE FROM heartbeats h
     WHERE (h.sink, h.owner) IN (SELECT d.sink, d.owner FROM heartbeats d
                                  WHERE d.seen_at < at - interval '1 day'
                                    FOR UPDATE SKIP LOCKED);
    RETURN EXISTS (SELECT FROM seeks s
                     JOIN offsets o ON o.sink = s.sink AND o.topic = s.topic AND o.partition = s.partition
                    WHERE s.sink = heartbeat.sink AND o.owner = heartbeat.owner);
END
$$;
COMMENT ON FUNCTION :"schema".heartbeat(text, text, text, integer, text, bigint, integer, integer, float8, float8, text, bigint) IS
    'Writes that a process lives, and deletes the rows of those that have been dead for a day. Called by pgsinkd.';

CREATE VIEW :"schema".instances AS
    SELECT h.sink, h.owner, h.host, h.pid, h.version, h.started_at, h.seen_at,
           h.seen_at < now() - interval '30 seconds' AS stale, h.workers, h.partitions,
           h.records_per_second, h.rows_per_second, h.last_error, h.last_error_at
      FROM :"schema".heartbeats h;
COMMENT ON VIEW :"schema".instances IS
    'One row for each process of a sink that runs, or has died in the last day without a clean stop.';
COMMENT ON COLUMN :"schema".instances.stale IS
    'It has not been heard of for 30 s: it is dead, stands still, or cannot reach the database.';

CREATE OR REPLACE VIEW :"schema".lag AS
    SELECT o.sink, o.topic, o.partition, o.next_offset, o.end_offset,
           CASE WHEN o.end_offset > o.next_offset THEN o.end_offset - o.next_offset
                WHEN o.end_offset IS NOT NULL THEN 0 END AS lag,
           o.last_timestamp, now() - o.last_timestamp AS last_record_age,
           o.owner, o.owner_epoch, o.claimed_at, o.updated_at, o.end_seen_at,
           h.seen_at AS owner_seen_at, coalesce(h.seen_at >= now() - interval '30 seconds', false) AS owner_alive
      FROM :"schema".offsets o
      LEFT JOIN :"schema".heartbeats h ON h.sink = o.sink AND h.owner = o.owner;
COMMENT ON COLUMN :"schema".lag.owner_seen_at IS
    'Last heartbeat of the owner; NULL = it has stopped, or has been dead for a day, or is older than version 8 of the schema.';
COMMENT ON COLUMN :"schema".lag.owner_alive IS
    'Was the owner heard of in the last 30 s? If not, nobody reads the partition at the moment: no daemon runs, or its topic is not in the file any more. reset() forgets such a topic.';

-- Columns can only be added at the end.
CREATE OR REPLACE VIEW :"schema".status AS
    WITH sinks AS (
        SELECT o.sink FROM :"schema".offsets o UNION SELECT h.sink FROM :"schema".heartbeats h
        UNION SELECT p.sink FROM :"schema".paused p
    ), ledger AS (
        SELECT l.sink, count(*) AS partitions, count(DISTINCT l.owner) AS owners, sum(l.lag) AS lag,
               count(*) FILTER (WHERE l.lag IS NULL OR l.lag > 0) AS partitions_behind,
               max(CASE WHEN l.lag = 0 THEN 0 ELSE greatest(extract(epoch FROM l.last_record_age), 0) END) AS lag_seconds,
               max(l.last_timestamp) AS last_timestamp, max(l.claimed_at) AS last_claimed_at,
               max(l.updated_at) AS last_updated_at, count(*) FILTER (WHERE NOT l.owner_alive) AS partitions_unowned
          FROM :"schema".lag l GROUP BY l.sink
    ), stands AS (
        SELECT s.sink, count(*) AS standing,
               count(*) FILTER (WHERE s.state = 'parked') AS parked,
               count(*) FILTER (WHERE s.state = 'waiting') AS waiting,
               count(*) FILTER (WHERE s.state = 'poison') AS poison,
               count(*) FILTER (WHERE s.state = 'stopped') AS stopped,
               count(*) FILTER (WHERE s.state = 'over_limit') AS over_limit,
               count(*) FILTER (WHERE s.state = 'paused') AS paused
          FROM :"schema".standing s GROUP BY s.sink
    ), lives AS (
        SELECT i.sink, count(*) FILTER (WHERE NOT i.stale) AS instances,
               sum(i.records_per_second) FILTER (WHERE NOT i.stale) AS records_per_second,
               sum(i.rows_per_second) FILTER (WHERE NOT i.stale) AS rows_per_second,
               (array_agg(i.last_error ORDER BY i.last_error_at DESC NULLS LAST))[1] AS last_error,
               max(i.last_error_at) AS last_error_at
          FROM :"schema".instances i GROUP BY i.sink
    )
    SELECT k.sink, coalesce(l.partitions, 0) AS partitions, coalesce(l.owners, 0) AS owners, l.lag,
           coalesce(l.partitions_behind, 0) AS partitions_behind, l.last_timestamp, l.last_claimed_at,
           l.last_updated_at,
           (SELECT count(*) FROM :"schema".gaps g WHERE g.sink = k.sink) AS gaps,
           (SELECT count(*) FROM :"schema".dead_letters d WHERE d.sink = k.sink) AS dead_letters,
           coalesce(s.standing, 0) AS standing, coalesce(i.instances, 0) AS instances,
           round(l.lag_seconds, 3) AS lag_seconds,
           coalesce(i.records_per_second, 0) AS records_per_second, coalesce(i.rows_per_second, 0) AS rows_per_second,
           coalesce(s.parked, 0) AS parked, coalesce(s.waiting, 0) AS waiting, coalesce(s.poison, 0) AS poison,
           coalesce(s.stopped, 0) AS stopped, coalesce(s.over_limit, 0) AS over_limit, coalesce(s.paused, 0) AS paused,
           (SELECT count(*) FROM :"schema".seeks q WHERE q.sink = k.sink) AS seeks,
           coalesce(l.partitions_unowned, 0) AS partitions_unowned, i.last_error, i.last_error_at
      FROM sinks k
      LEFT JOIN ledger l ON l.sink = k.sink
      LEFT JOIN stands s ON s.sink = k.sink
      LEFT JOIN lives i ON i.sink = k.sink;
COMMENT ON VIEW :"schema".status IS 'One row for each sink.';
COMMENT ON COLUMN :"schema".status.partitions_behind IS
    'Partitions with records that are not stored, as far as is known; those whose end is not known are counted.';
COMMENT ON COLUMN :"schema".status.owners IS
    'Processes that own partitions, or have owned them when they stopped; see partitions_unowned.';
COMMENT ON COLUMN :"schema".status.gaps IS 'Rows in gaps.';
COMMENT ON COLUMN :"schema".status.dead_letters IS 'Rows in dead_letters.';
COMMENT ON COLUMN :"schema".status.standing IS 'Partitions that do not move, see the view standing; the columns from parked to paused count them by state.';
COMMENT ON COLUMN :"schema".status.instances IS 'Processes that were heard of in the last 30 s.';
COMMENT ON COLUMN :"schema".status.lag_seconds IS
    'The age of the last stored record of the partition in which that is oldest, of those that are behind; 0 = none is behind. More than the delay where a partition had no records for a while.';
COMMENT ON COLUMN :"schema".status.records_per_second IS 'Of all processes that are alive, over the last 10 s.';
COMMENT ON COLUMN :"schema".status.rows_per_second IS 'The same of rows.';
COMMENT ON COLUMN :"schema".status.seeks IS 'What was asked for by seek(), and is not done yet: see the table seeks.';
COMMENT ON COLUMN :"schema".status.partitions_unowned IS
    'Partitions whose owner is not alive: nobody reads them. Where their topic is not in the file any more, reset() forgets it.';
COMMENT ON COLUMN :"schema".status.last_error IS 'The last line of level error of these processes; NULL = none.';
COMMENT ON COLUMN :"schema".status.last_error_at IS 'When that was.';

-- ---- dead letters ----

-- As in step 2, but these need no right to read what the dead letters hold.
CREATE OR REPLACE FUNCTION :"schema".replay(sink text, route text DEFAULT NULL,
        topic text DEFAULT NULL, partition integer DEFAULT NULL, "offset" bigint DEFAULT NULL,
        sqlstate text DEFAULT NULL, since timestamptz DEFAULT NULL,
        until timestamptz DEFAULT NULL, max_count bigint DEFAULT NULL)
    RETURNS bigint LANGUAGE plpgsql
    SET search_path = pg_catalog, :"schema", pg_temp
AS $$
DECLARE
    marked bigint;
BEGIN
    UPDATE dead_letters d
       SET replay_requested_at = now() -- one time for all, by which they can be told from others
     WHERE (d.topic, d.partition, d."offset", d.route) IN (
               SELECT c.topic, c.partition, c."offset", c.route
                 FROM choose_letters($1, $2, $3, $4, $5, $6, $7, $8, $9) c)
       AND d.sink = $1;
    GET DIAGNOSTICS marked = ROW_COUNT;
    IF marked > 0 THEN
        PERFORM pg_notify('pgsinkd', 'replay:' || $1);
    END IF;
    RETURN marked;
END
$$;

CREATE OR REPLACE FUNCTION :"schema".discard(sink text, route text DEFAULT NULL,
        topic text DEFAULT NULL, partition integer DEFAULT NULL, "offset" bigint DEFAULT NULL,
        sqlstate text DEFAULT NULL, since timestamptz DEFAULT NULL,
        until timestamptz DEFAULT NULL, max_count bigint DEFAULT NULL)
    RETURNS bigint LANGUAGE plpgsql
    SET search_path = pg_catalog, :"schema", pg_temp
AS $$
DECLARE
    deleted bigint;
BEGIN
    DELETE FROM dead_letters d
     WHERE (d.topic, d.partition, d."offset", d.route) IN (
               SELECT c.topic, c.partition, c."offset", c.route
                 FROM choose_letters($1, $2, $3, $4, $5, $6, $7, $8, $9) c)
       AND d.sink = $1;
    GET DIAGNOSTICS deleted = ROW_COUNT;
    RETURN deleted;
END
$$;

CREATE FUNCTION :"schema".choose_letters(sink text, route text, topic text, partition integer, "offset" bigint,
        sqlstate text, since timestamptz, until timestamptz, max_count bigint)
    RETURNS TABLE (topic text, partition integer, "offset" bigint, route text) LANGUAGE sql STABLE
    SET search_path = pg_catalog, :"schema", pg_temp
AS $$
    SELECT d.topic, d.partition, d."offset", d.route
      FROM dead_letters d
     WHERE d.sink = $1
       AND ($2 IS NULL OR d.route = $2)
       AND ($3 IS NULL OR d.topic = $3)
       AND ($4 IS NULL OR d.partition = $4)
       AND ($5 IS NULL OR d."offset" = $5)
       AND ($6 IS NULL OR starts_with(d.sqlstate, $6))
       AND ($7 IS NULL OR d.failed_at >= $7)
       AND ($8 IS NULL OR d.failed_at < $8)
     ORDER BY d.topic, d.partition, d."offset", d.route
     LIMIT $9
$$;
COMMENT ON FUNCTION :"schema".choose_letters(text, text, text, integer, bigint, text, timestamptz, timestamptz, bigint) IS
    'Internal: the keys of the dead letters that choose_dead_letters() returns.';

INSERT INTO :"schema".schema_version (version) VALUES (8);
