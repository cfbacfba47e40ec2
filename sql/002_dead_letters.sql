-- Step 2: dead letters. Records that cannot become rows, kept as they came, and how they are found
-- among their neighbours, put through their route again, or given up.
--
-- Undo, when no daemon runs: DROP VIEW pgsinkd.status, pgsinkd.dead_letters_text; make the view
-- status as in step 1; DROP FUNCTION pgsinkd.replay, pgsinkd.discard, pgsinkd.choose_dead_letters,
-- pgsinkd.take_dead_letters, pgsinkd.store_each, pgsinkd.text_of; DROP TABLE pgsinkd.dead_letters;
-- DROP FUNCTION pgsinkd.dead_again; DELETE FROM pgsinkd.schema_version WHERE version = 2. The dead
-- letters are lost by it.

CREATE TABLE :"schema".dead_letters (
    sink          text COLLATE "C" NOT NULL,
    topic         text COLLATE "C" NOT NULL,
    partition     integer          NOT NULL,
    "offset"      bigint           NOT NULL,
    route         text COLLATE "C" NOT NULL,
    timestamp     timestamptz,
    key           bytea,
    value         bytea,
    header_names  bytea[],
    header_values bytea[],
    error_class   text             NOT NULL,
    sqlstate      text,
    message       text             NOT NULL,
    "column"      text,
    failed_at     timestamptz      NOT NULL DEFAULT now(),
    attempts      integer          NOT NULL DEFAULT 1,
    replay_requested_at timestamptz,
    PRIMARY KEY (sink, topic, partition, "offset", route)
);
COMMENT ON TABLE :"schema".dead_letters IS
    'Records that could not become rows, each once for every route that refused it. Written in the transaction that moves the ledger past them. replay() asks the daemon to try them again, discard() deletes them.';
COMMENT ON COLUMN :"schema".dead_letters.sink IS 'Name of the sink, from its configuration.';
COMMENT ON COLUMN :"schema".dead_letters.topic IS 'Kafka topic.';
COMMENT ON COLUMN :"schema".dead_letters.partition IS 'Kafka partition.';
COMMENT ON COLUMN :"schema".dead_letters."offset" IS 'Offset of the record in its partition.';
COMMENT ON COLUMN :"schema".dead_letters.route IS
    'Name of the route that refused the record: its name in the configuration, or else its table as written there.';
COMMENT ON COLUMN :"schema".dead_letters.timestamp IS
    'Time of the record, as Kafka gives it; NULL without one, or when PostgreSQL cannot hold it.';
COMMENT ON COLUMN :"schema".dead_letters.key IS 'Key of the record, its bytes as they came; NULL = no key.';
COMMENT ON COLUMN :"schema".dead_letters.value IS
    'Value of the record, its bytes as they came; NULL = no value, a tombstone.';
COMMENT ON COLUMN :"schema".dead_letters.header_names IS
    'Names of its headers in their order, names that repeat included; NULL = none. Bytes, for a producer may send anything.';
COMMENT ON COLUMN :"schema".dead_letters.header_values IS
    'Their values, at the same places; a header may have none (NULL).';
COMMENT ON COLUMN :"schema".dead_letters.error_class IS
    'Who refused it: record = pgsinkd, when it made the row; database = PostgreSQL, when it stored it.';
COMMENT ON COLUMN :"schema".dead_letters.sqlstate IS
    'PostgreSQL''s code for the fault, also of those that pgsinkd found before PostgreSQL saw the record; NULL where PostgreSQL has none.';
COMMENT ON COLUMN :"schema".dead_letters.message IS 'What is wrong with the record.';
COMMENT ON COLUMN :"schema".dead_letters."column" IS 'Column at fault, where one is known.';
COMMENT ON COLUMN :"schema".dead_letters.failed_at IS 'When it failed last.';
COMMENT ON COLUMN :"schema".dead_letters.attempts IS 'How often it has failed: 1, and 1 more for each replay in vain.';
COMMENT ON COLUMN :"schema".dead_letters.replay_requested_at IS
    'When replay() asked for another try that the daemon has not made yet; NULL = none.';

CREATE INDEX dead_letters_to_replay ON :"schema".dead_letters (sink, topic, partition, "offset")
 WHERE replay_requested_at IS NOT NULL;

-- The same record may fail again: after seek() back, or in another transaction of a replay. Then
-- its line is renewed, whatever way the new one is written.
CREATE FUNCTION :"schema".dead_again() RETURNS trigger LANGUAGE plpgsql
    SET search_path = pg_catalog, :"schema", pg_temp
AS $$
BEGIN
    UPDATE dead_letters d
       SET timestamp = NEW.timestamp, key = NEW.key, value = NEW.value,
           header_names = NEW.header_names, header_values = NEW.header_values,
           error_class = NEW.error_class, sqlstate = NEW.sqlstate, message = NEW.message,
           "column" = NEW."column", failed_at = NEW.failed_at,
           attempts = d.attempts + NEW.attempts, replay_requested_at = NEW.replay_requested_at
     WHERE d.sink = NEW.sink AND d.topic = NEW.topic AND d.partition = NEW.partition
       AND d."offset" = NEW."offset" AND d.route = NEW.route;
    RETURN CASE WHEN FOUND THEN NULL ELSE NEW END;
END
$$;
COMMENT ON FUNCTION :"schema".dead_again() IS 'Internal: a record that fails again renews its dead letter.';

CREATE TRIGGER dead_again BEFORE INSERT ON :"schema".dead_letters FOR EACH ROW
    EXECUTE FUNCTION :"schema".dead_again();
COMMENT ON TRIGGER dead_again ON :"schema".dead_letters IS
    'A record that fails again renews its line: the new fault, attempts added.';

-- Stores staged rows one range after the other and finds those which PostgreSQL refuses. A run is a
-- range of places, first to last, that statements[runs_part] stores, with the places as $1 and $2.
--
-- Each attempt is a subtransaction. It begins with the whole run; a range that fails is tried by
-- quarters, down to the row; after a success the next range is twice as long. So a bad row among
-- good ones costs some ten statements, and a run of bad ones costs one statement each.
--
-- Deferred constraints speak at the end. When they refuse something nobody knows which row it was.
-- So all is done again with every constraint checked at once (pass 2), and rows that fail then are
-- tried again behind the others for as long as that helps, because their partner may have come
-- later. If it has helped any, all but those which fail for good is stored once more in its order
-- (pass 3); should that fail, what fails at once is refused (pass 4).
--
-- Only faults of a row are caught, the same that the daemon takes for such (ERROR_RECORD in
-- src/pg/sqlstate.c). All else is raised as it came and ends the transaction.
--
-- The statements are prepared, for an attempt costs less than to plan it. The settings make that
-- plan read the staged rows by their places, whatever is thought of their number, and keep it from
-- being compiled. There is no search_path among them: statements and triggers see that of the
-- session.
CREATE FUNCTION :"schema".store_each(statements text[], runs_part integer[], runs_first integer[],
                                     runs_last integer[])
    RETURNS TABLE (run integer, place integer, sqlstate text, message text, detail text,
                   column_name text, constraint_name text, table_name text)
    LANGUAGE plpgsql
    SET plan_cache_mode = force_generic_plan SET jit = off
    SET enable_bitmapscan = off SET enable_sort = off
AS $$
#variable_conflict use_variable
DECLARE
    not_rows_classes CONSTANT text[] := '{08,0A,0B,0L,0P,24,25,26,28,2B,2D,34,39,3B,3D,3F,40,42,53,55,57,58,72,F0,HV,XX}';
    not_rows_codes CONSTANT text[] := '{SK001,2200H,22P04,54011,54023}';
    pass integer := 1;
    todo integer;
    todo_run integer[];
    todo_first integer[];
    todo_last integer[];
    at integer;
    upto integer;
    size integer;
    first_failures integer;
    before integer := -1;
    failures integer;
    failed_run integer[];
    failed_place integer[];
    states text[];
    messages text[];
    details text[];
    columns text[];
    constraints text[];
    tables text[];
BEGIN
    FOR p IN 1 .. coalesce(pg_catalog.array_length(statements, 1), 0) LOOP
        IF EXISTS (SELECT FROM pg_catalog.pg_prepared_statements WHERE name = 'pgsinkd_each_' || p) THEN
            EXECUTE 'DEALLOCATE pgsinkd_each_' || p; -- of a transaction that was rolled back
        END IF;
        IF p = ANY (runs_part) AND statements[p] NOT LIKE 'TRUNCATE %' THEN -- which cannot be prepared
            EXECUTE pg_catalog.format('PREPARE pgsinkd_each_%s (integer, integer) AS %s', p, statements[p]);
        END IF;
    END LOOP;
    <<passes>> LOOP
        BEGIN
            IF pass IN (2, 4) THEN
                SET CONSTRAINTS ALL IMMEDIATE;
            END IF;
            IF pass = 3 THEN -- the runs without what has failed
                todo_run := '{}';
                todo_first := '{}';
                todo_last := '{}';
                todo := 0;
                upto := 1;
                FOR r IN 1 .. coalesce(pg_catalog.array_length(runs_part, 1), 0) LOOP
                    at := runs_first[r];
                    LOOP
                        todo := todo + 1;
                        todo_run[todo] := r;
                        todo_first[todo] := at;
                        todo_last[todo] := runs_last[r];
                        EXIT WHEN upto > failures OR failed_run[upto] <> r;
                        todo_last[todo] := failed_place[upto] - 1; -- may leave nothing
                        at := failed_place[upto] + 1;
                        upto := upto + 1;
                    END LOOP;
                END LOOP;
            ELSE
                todo_run := ARRAY(SELECT pg_catalog.generate_subscripts(runs_part, 1));
                todo_first := runs_first;
                todo_last := runs_last;
                failures := 0;
            END IF;
            first_failures := NULL;
            LOOP
                FOR q IN 1 .. coalesce(pg_catalog.array_length(todo_run, 1), 0) LOOP
                    at := todo_first[q];
                    size := todo_last[q] - at + 1;
                    WHILE at <= todo_last[q] LOOP
                        upto := least(at + size - 1, todo_last[q]);
                        BEGIN
                            EXECUTE CASE WHEN statements[runs_part[todo_run[q]]] LIKE 'TRUNCATE %'
                                         THEN statements[runs_part[todo_run[q]]]
                                         ELSE pg_catalog.format('EXECUTE pgsinkd_each_%s(%s, %s)',
                                                                runs_part[todo_run[q]], at, upto) END;
                            size := 2 * (upto - at + 1);
                            at := upto + 1;
                        EXCEPTION WHEN OTHERS OR assert_failure THEN
                            IF SQLSTATE <> '40002'
                               AND (SQLSTATE = ANY (not_rows_codes)
                                    OR pg_catalog.left(SQLSTATE, 2) = ANY (not_rows_classes)) THEN
                                RAISE;
                            END IF;
                            IF at < upto THEN
                                size := greatest((upto - at + 1) / 4, 1);
                            ELSE
                                failures := failures + 1;
                                failed_run[failures] := todo_run[q];
                                failed_place[failures] := at;
                                GET STACKED DIAGNOSTICS
                                    message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL,
                                    column_name = COLUMN_NAME,
                                    constraint_name = CONSTRAINT_NAME, table_name = TABLE_NAME;
                                states[failures] := SQLSTATE;
                                messages[failures] := message;
                                details[failures] := nullif(detail, '');
                                columns[failures] := nullif(column_name, '');
                                constraints[failures] := nullif(constraint_name, '');
                                tables[failures] := nullif(table_name, '');
                                at := at + 1;
                            END IF;
                        END;
                    END LOOP;
                END LOOP;
                EXIT WHEN pass <> 2 OR failures = 0 OR failures = before;
                first_failures := coalesce(first_failures, failures);
                before := failures;
                todo_run := failed_run[1:failures];
                todo_first := failed_place[1:failures];
                todo_last := todo_first;
                failures := 0;
            END LOOP;
            IF pass = 2 AND failures < first_failures THEN
                RAISE EXCEPTION USING ERRCODE = 'SK002', MESSAGE = 'once more, in order';
            END IF;
            SET CONSTRAINTS ALL IMMEDIATE;
            EXIT passes;
        EXCEPTION WHEN OTHERS OR assert_failure THEN
            IF pass IN (2, 4) AND SQLSTATE <> 'SK002'
               OR SQLSTATE <> '40002'
                  AND (SQLSTATE = ANY (not_rows_codes)
                       OR pg_catalog.left(SQLSTATE, 2) = ANY (not_rows_classes)) THEN
                RAISE;
            END IF;
            pass := pass + 1;
        END;
    END LOOP;
    FOR f IN 1 .. failures LOOP
        run := failed_run[f];
        place := failed_place[f];
        sqlstate := states[f];
        message := messages[f];
        detail := details[f];
        column_name := columns[f];
        constraint_name := constraints[f];
        table_name := tables[f];
        RETURN NEXT;
    END LOOP;
END
$$;
COMMENT ON FUNCTION :"schema".store_each(text[], integer[], integer[], integer[]) IS
    'Stores staged rows and returns those that PostgreSQL refuses, with the fault of each; the others are stored. Called by pgsinkd when a transaction failed by a fault of a row.';

-- Names the dead letters that a replay takes. One that is gone has been discarded or replayed by
-- another: then nothing of this transaction may stay.
CREATE FUNCTION :"schema".take_dead_letters(sink text, topics text[], partitions integer[],
                                            offsets bigint[], routes text[])
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
        DELETE FROM dead_letters d
         WHERE d.sink = take_dead_letters.sink AND d.topic = t AND d.partition = partitions[i]
           AND d."offset" = offsets[i] AND d.route = routes[i];
        IF NOT FOUND THEN
            RAISE EXCEPTION USING ERRCODE = 'SK001', MESSAGE = format(
                '%s-%s@%s: sink ''%s'' has no such dead letter of route ''%s''',
                t, partitions[i], offsets[i], take_dead_letters.sink, routes[i]);
        END IF;
    END LOOP;
END
$$;
COMMENT ON FUNCTION :"schema".take_dead_letters(text, text[], integer[], bigint[], text[]) IS
    'Deletes exactly these dead letters; raises SK001 if one is missing. Called by pgsinkd first in the transaction of a replay.';

CREATE FUNCTION :"schema".choose_dead_letters(sink text, route text DEFAULT NULL,
        topic text DEFAULT NULL, partition integer DEFAULT NULL, "offset" bigint DEFAULT NULL,
        sqlstate text DEFAULT NULL, since timestamptz DEFAULT NULL,
        until timestamptz DEFAULT NULL, max_count bigint DEFAULT NULL)
    RETURNS SETOF :"schema".dead_letters LANGUAGE sql STABLE
    SET search_path = pg_catalog, :"schema", pg_temp
AS $$
    SELECT d.*
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
COMMENT ON FUNCTION :"schema".choose_dead_letters(text, text, text, integer, bigint, text, timestamptz,
                                                  timestamptz, bigint) IS
    'The dead letters of a sink that replay() and discard() would choose by the same arguments, in the order of their offsets. NULL = any; sqlstate may be its first characters only, as 23; since and until concern failed_at.';

CREATE FUNCTION :"schema".replay(sink text, route text DEFAULT NULL,
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
      FROM choose_dead_letters($1, $2, $3, $4, $5, $6, $7, $8, $9) c
     WHERE d.sink = c.sink AND d.topic = c.topic AND d.partition = c.partition
       AND d."offset" = c."offset" AND d.route = c.route;
    GET DIAGNOSTICS marked = ROW_COUNT;
    IF marked > 0 THEN
        PERFORM pg_notify('pgsinkd', 'replay:' || $1);
    END IF;
    RETURN marked;
END
$$;
COMMENT ON FUNCTION :"schema".replay(text, text, text, integer, bigint, text, timestamptz, timestamptz, bigint) IS
    'For operators: asks the daemon to put these dead letters through their routes again, and returns how many. What becomes a row leaves dead_letters in the same transaction; what fails again stays, attempts + 1. Arguments as in choose_dead_letters().';

CREATE FUNCTION :"schema".discard(sink text, route text DEFAULT NULL,
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
     USING choose_dead_letters($1, $2, $3, $4, $5, $6, $7, $8, $9) c
     WHERE d.sink = c.sink AND d.topic = c.topic AND d.partition = c.partition
       AND d."offset" = c."offset" AND d.route = c.route;
    GET DIAGNOSTICS deleted = ROW_COUNT;
    RETURN deleted;
END
$$;
COMMENT ON FUNCTION :"schema".discard(text, text, text, integer, bigint, text, timestamptz, timestamptz, bigint) IS
    'For operators: deletes these dead letters for good, and returns how many. Arguments as in choose_dead_letters().';

CREATE FUNCTION :"schema".text_of(bytes bytea) RETURNS text LANGUAGE plpgsql IMMUTABLE STRICT
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN convert_from(bytes, 'UTF8');
EXCEPTION WHEN character_not_in_repertoire OR untranslatable_character THEN
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION :"schema".text_of(bytea) IS
    'The text whose UTF-8 these bytes are; NULL when they are none, or hold a zero byte.';

CREATE VIEW :"schema".dead_letters_text AS
    SELECT d.sink, d.topic, d.partition, d."offset", d.route, d.timestamp,
           :"schema".text_of(d.key) AS key, :"schema".text_of(d.value) AS value,
           (SELECT jsonb_agg(jsonb_build_object(
                       'name', coalesce(:"schema".text_of(h.name), h.name::text),
                       'value', coalesce(:"schema".text_of(h.value), h.value::text)) ORDER BY h.place)
              FROM unnest(d.header_names, d.header_values)
                   WITH ORDINALITY AS h(name, value, place)) AS headers,
           d.error_class, d.sqlstate, d.message, d."column", d.failed_at, d.attempts,
           d.replay_requested_at
      FROM :"schema".dead_letters d;
COMMENT ON VIEW :"schema".dead_letters_text IS
    'dead_letters for reading: bytes that are UTF-8 as text. key and value are NULL when they are not; a header then shows as \x and hexadecimal digits.';

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
           (SELECT count(*) FROM :"schema".dead_letters d WHERE d.sink = o.sink) AS dead_letters
      FROM :"schema".offsets o
     GROUP BY o.sink;
COMMENT ON COLUMN :"schema".status.dead_letters IS 'Lines in dead_letters.';

INSERT INTO :"schema".schema_version (version) VALUES (2);
