-- Step 10: what operators ask for and does not exist is answered with a reason; views are in order; history is written
-- by the daemon and by what really moves a partition, and by nobody else.
--
-- Undo, when no daemon runs: make tell() and note_move_row() as in step 9 (ALTER FUNCTION ... SECURITY INVOKER), and
-- seek() with a place, reset(), resume(), replay(), discard() and the views standing, instances and lag as in step 8; DROP
-- FUNCTION pgsinkd.note_unknown, pgsinkd.note_unknown_letters; let operators INSERT (sink, kind, owner, topics, partitions, froms,
-- nexts) INTO pgsinkd.history again; DELETE FROM pgsinkd.schema_version WHERE version = 10.

-- ---- history ----
--
-- An operator used to need the right to insert into history, since what it moves is noted with its rights; so it could
-- also have inserted a span that nobody has stored, and hidden a hole from verify(). The triggers now write with the
-- rights of the schema's owner. What they note is what has happened to the row that fired them, and they refuse to
-- serve another table than the ledger: whoever may execute a function may make it the trigger of a table of its own.
--
-- Within them current_user is the owner. Who has moved the partition is the role that SET ROLE has chosen, or else the
-- login.
CREATE OR REPLACE FUNCTION :"schema".note_move_row() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, :"schema", pg_temp
AS $$
DECLARE
    who text := coalesce(nullif(current_setting('role', true), 'none'), session_user);
BEGIN
    IF TG_RELID NOT IN ('offsets'::regclass, 'gaps'::regclass) THEN
        RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege',
            MESSAGE = format('this trigger is for the ledger, and not for %s', TG_RELID::regclass);
    END IF;
    IF TG_ARGV[0] = 'gap' THEN
        PERFORM note_move('gap', (SELECT o.owner FROM offsets o WHERE o.sink = NEW.sink AND o.topic = NEW.topic
                                     AND o.partition = NEW.partition),
                          NEW.sink, NEW.topic, NEW.partition, NEW.from_offset, NEW.next_offset);
    ELSIF TG_OP = 'INSERT' THEN
        IF current_setting('pgsinkd.audit', true) = 'on' THEN -- else what it stores next leaves no row
            PERFORM note_move('begin', coalesce(NEW.owner, who), NEW.sink, NEW.topic, NEW.partition, NULL,
                              NEW.next_offset);
        END IF;
    ELSE
        PERFORM note_move('seek', who, NEW.sink, NEW.topic, NEW.partition, OLD.next_offset, NEW.next_offset);
    END IF;
    RETURN NULL;
END
$$;

CREATE OR REPLACE FUNCTION :"schema".tell() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, :"schema", pg_temp
AS $$
DECLARE
    who text := coalesce(nullif(current_setting('role', true), 'none'), session_user);
BEGIN
    IF TG_RELID NOT IN ('offsets'::regclass) THEN
        RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege',
            MESSAGE = format('this trigger is for the ledger, and not for %s', TG_RELID::regclass);
    END IF;
    IF TG_LEVEL = 'STATEMENT' THEN
        PERFORM pg_notify('pgsinkd', '');
    ELSIF TG_OP = 'DELETE' THEN
        PERFORM note_move('reset', who, OLD.sink, OLD.topic, OLD.partition, OLD.next_offset, NULL);
        PERFORM pg_notify('pgsinkd', OLD.sink);
    ELSIF (OLD.sink, OLD.topic, OLD.partition, OLD.next_offset, OLD.owner_epoch)
       <> (NEW.sink, NEW.topic, NEW.partition, NEW.next_offset, NEW.owner_epoch) THEN
        IF OLD.next_offset <> NEW.next_offset THEN
            PERFORM note_move('seek', who, NEW.sink, NEW.topic, NEW.partition, OLD.next_offset,
                              NEW.next_offset);
        END IF;
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

-- Rights on single columns of history are those of operators, as grants.sql gave them; a daemon has them on the table.
SET LOCAL search_path TO pg_catalog, :"schema", pg_temp;
DO $$
DECLARE
    c record;
BEGIN
    FOR c IN
        SELECT DISTINCT quote_ident(a.attname) AS name, r.rolname
          FROM pg_attribute a CROSS JOIN LATERAL aclexplode(a.attacl) AS x
          JOIN pg_roles r ON r.oid = x.grantee
         WHERE a.attrelid = 'history'::regclass AND x.privilege_type = 'INSERT'
    LOOP
        EXECUTE format('REVOKE INSERT (%s) ON history FROM %I', c.name, c.rolname);
    END LOOP;
END
$$;
SET LOCAL search_path TO pg_catalog, pg_temp;

-- ---- what does not exist ----
--
-- A notice and not an error: jobs that delete old dead letters find none on most days, and a topic that was reset() by
-- somebody else is what was asked for.
CREATE FUNCTION :"schema".note_unknown(sink text, topic text, partition integer)
    RETURNS void LANGUAGE plpgsql
    SET search_path = pg_catalog, :"schema", pg_temp
AS $$
#variable_conflict use_column
DECLARE
    names text;
BEGIN
    IF NOT EXISTS (SELECT FROM offsets o WHERE o.sink = note_unknown.sink)
       AND NOT EXISTS (SELECT FROM heartbeats h WHERE h.sink = note_unknown.sink)
       AND NOT EXISTS (SELECT FROM dead_letters d WHERE d.sink = note_unknown.sink) THEN
        SELECT string_agg(quote_literal(k.sink), ', ' ORDER BY k.sink) INTO names
          FROM (SELECT o.sink FROM offsets o UNION SELECT h.sink FROM heartbeats h
                UNION SELECT d.sink FROM dead_letters d ORDER BY 1 LIMIT 20) k;
        RAISE NOTICE USING
            MESSAGE = format('nothing is known of sink %L', note_unknown.sink),
            HINT = coalesce('Known are: ' || names || '.', 'No daemon has used this schema yet.');
        RETURN;
    END IF;
    IF note_unknown.topic IS NULL AND note_unknown.partition IS NULL
       OR EXISTS (SELECT FROM offsets o
                   WHERE o.sink = note_unknown.sink
                     AND (note_unknown.topic IS NULL OR o.topic = note_unknown.topic)
                     AND (note_unknown.partition IS NULL OR o.partition = note_unknown.partition)) THEN
        RETURN;
    END IF;
    SELECT string_agg(k.name, ', ' ORDER BY k.name) INTO names
      FROM (SELECT DISTINCT CASE WHEN note_unknown.partition IS NULL OR o.topic <> note_unknown.topic
                                 THEN quote_literal(o.topic) ELSE format('%s-%s', o.topic, o.partition) END AS name
              FROM offsets o
             WHERE o.sink = note_unknown.sink
             ORDER BY 1 LIMIT 20) k;
    RAISE NOTICE USING
        MESSAGE = format('the ledger of sink %L has no %s', note_unknown.sink,
                         concat_ws(' of ', 'partition ' || note_unknown.partition,
                                   'topic ' || quote_literal(note_unknown.topic))),
        HINT = coalesce('It has: ' || names || '.', 'It has no partition at all yet.');
EXCEPTION WHEN insufficient_privilege THEN
    NULL; -- who may not look is answered with the number alone
END
$$;
COMMENT ON FUNCTION :"schema".note_unknown(text, text, integer) IS
    'Internal: a notice, with what there is, if the ledger does not have the sink, the topic or the partition.';

-- No word where there could have been some: of a route or topic with dead letters whose time or SQLSTATE is another.
CREATE FUNCTION :"schema".note_unknown_letters(sink text, route text, topic text, partition integer, "offset" bigint)
    RETURNS void LANGUAGE plpgsql
    SET search_path = pg_catalog, :"schema", pg_temp
AS $$
#variable_conflict use_column
DECLARE
    names text;
BEGIN
    IF NOT EXISTS (SELECT FROM dead_letters d WHERE d.sink = $1) THEN
        PERFORM note_unknown($1, $3, $4);
        RETURN;
    END IF;
    IF NOT EXISTS (SELECT FROM dead_letters d WHERE d.sink = $1 AND ($2 IS NULL OR d.route = $2)) THEN
        SELECT string_agg(quote_literal(k.route), ', ' ORDER BY k.route) INTO names
          FROM (SELECT DISTINCT d.route FROM dead_letters d WHERE d.sink = $1 ORDER BY 1 LIMIT 20) k;
        RAISE NOTICE USING
            MESSAGE = format('sink %L has no dead letters of route %L', $1, $2),
            HINT = format('It has some of: %s.', names);
    ELSIF NOT EXISTS (SELECT FROM dead_letters d WHERE d.sink = $1 AND ($3 IS NULL OR d.topic = $3)) THEN
        SELECT string_agg(quote_literal(k.topic), ', ' ORDER BY k.topic) INTO names
          FROM (SELECT DISTINCT d.topic FROM dead_letters d WHERE d.sink = $1 ORDER BY 1 LIMIT 20) k;
        RAISE NOTICE USING
            MESSAGE = format('sink %L has no dead letters of topic %L', $1, $3),
            HINT = format('It has some of: %s.', names);
    ELSIF NOT EXISTS (SELECT FROM dead_letters d
                       WHERE d.sink = $1 AND ($3 IS NULL OR d.topic = $3) AND ($4 IS NULL OR d.partition = $4)
                         AND ($5 IS NULL OR d."offset" = $5)) THEN
        RAISE NOTICE USING
            MESSAGE = format('sink %L has no dead letter at %s', $1,
                             concat_ws(', ', 'topic ' || quote_literal($3), 'partition ' || $4, 'offset ' || $5)),
            HINT = format('To see which there are: '
                          'SELECT topic, partition, "offset", route FROM %I.dead_letters WHERE sink = %L;',
                          (current_schemas(false))[2], $1);
    END IF;
EXCEPTION WHEN insufficient_privilege THEN
    NULL;
END
$$;
COMMENT ON FUNCTION :"schema".note_unknown_letters(text, text, text, integer, bigint) IS
    'Internal: a notice, with what there is, if no dead letter is of this sink, route, topic, partition or offset.';

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
    ELSE
        PERFORM note_unknown_letters($1, $2, $3, $4, $5);
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
    IF deleted = 0 THEN
        PERFORM note_unknown_letters($1, $2, $3, $4, $5);
    END IF;
    RETURN deleted;
END
$$;

CREATE OR REPLACE FUNCTION :"schema".seek(sink text, topic text, "where" text, partition integer DEFAULT NULL)
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
        IF moved = 0 THEN
            PERFORM note_unknown(seek.sink, seek.topic, seek.partition);
        END IF;
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
    IF moved = 0 THEN
        PERFORM note_unknown(seek.sink, seek.topic, seek.partition);
    END IF;
    PERFORM pg_notify('pgsinkd', 'seek:' || seek.sink);
    RETURN moved;
END
$$;

CREATE OR REPLACE FUNCTION :"schema".reset(sink text, topic text)
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
    IF forgotten = 0 THEN
        PERFORM note_unknown(reset.sink, reset.topic, NULL);
    END IF;
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

CREATE OR REPLACE FUNCTION :"schema".resume(sink text, topic text DEFAULT NULL, partition integer DEFAULT NULL)
    RETURNS bigint LANGUAGE plpgsql
    SET search_path = pg_catalog, :"schema", pg_temp
AS $$
#variable_conflict use_column
DECLARE
    wider record;
    was_paused boolean;
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
    was_paused := EXISTS (SELECT FROM paused p
                           WHERE p.sink = resume.sink AND (resume.topic IS NULL OR p.topic = resume.topic)
                             AND (resume.partition IS NULL OR p.partition = resume.partition));
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
    IF resumed = 0 AND NOT was_paused THEN -- a pause may name what does not exist yet, and that one has ended
        PERFORM note_unknown(resume.sink, resume.topic, resume.partition);
    END IF;
    PERFORM pg_notify('pgsinkd', resume.sink);
    RETURN resumed;
END
$$;
-- ---- views, in an order ----
--
-- A condition on the key still reaches the index of the ledger: the planner pushes it below the order.
CREATE OR REPLACE VIEW :"schema".lag AS
    SELECT o.sink, o.topic, o.partition, o.next_offset, o.end_offset,
           CASE WHEN o.end_offset > o.next_offset THEN o.end_offset - o.next_offset
                WHEN o.end_offset IS NOT NULL THEN 0 END AS lag,
           o.last_timestamp, now() - o.last_timestamp AS last_record_age,
           o.owner, o.owner_epoch, o.claimed_at, o.updated_at, o.end_seen_at,
           h.seen_at AS owner_seen_at, coalesce(h.seen_at >= now() - interval '30 seconds', false) AS owner_alive
      FROM :"schema".offsets o
      LEFT JOIN :"schema".heartbeats h ON h.sink = o.sink AND h.owner = o.owner
     ORDER BY o.sink, o.topic, o.partition;

CREATE OR REPLACE VIEW :"schema".instances AS
    SELECT h.sink, h.owner, h.host, h.pid, h.version, h.started_at, h.seen_at,
           h.seen_at < now() - interval '30 seconds' AS stale, h.workers, h.partitions,
           h.records_per_second, h.rows_per_second, h.last_error, h.last_error_at
      FROM :"schema".heartbeats h
     ORDER BY h.sink, h.started_at, h.owner;

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
     WHERE o.standing IS NOT NULL OR p.sink IS NOT NULL
     ORDER BY o.sink, o.topic, o.partition;

INSERT INTO :"schema".schema_version (version) VALUES (10);
