-- Step 5: whose fault it is that a row is refused, and what it costs to find out.
--
-- store_each() also catches what may be a fault of the target rather than of the row, so that the rows beside it can
-- speak for the target: it returns which rows had an effect, and whether the statement fails without any row.
--
-- screen() finds at once what one attempt for each row would take long to find. A dead letter is looked for in the
-- table only where there may be one of the same record.
--
-- Undo, when no daemon runs: DROP FUNCTION pgsinkd.store_each, pgsinkd.screen, pgsinkd.cast_fault,
-- pgsinkd.letters_are_new; make store_each() and the trigger dead_again again as in step 2;
-- DELETE FROM pgsinkd.schema_version WHERE version = 5.

DROP FUNCTION :"schema".store_each(text[], integer[], integer[], integer[]);

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
-- What comes back, each line about a run:
--
--     blame             place to upto
--     NULL              stored; `effects` of the rows were inserted, updated or deleted. Rows with a conflict, or
--                       whose key is not there, have none, and prove nothing.
--     record            this row is refused, and no other can be at fault
--     doubt, unfit      this row is refused, and the target may be at fault. without_rows: the statement fails with the
--                       same code when it is given no row at all. If so many are refused like this that no row can
--                       speak for the target any more, the rows behind are not tried.
--                       is_cast: a text cannot be turned into its column's type, or an expression not be computed; no
--                       table is involved in that. It is `record` if another value has passed in this call.
--     target, again     the only line: the target refuses whatever comes now, or the transaction is to be tried again.
--                       What has been stored by then is to be rolled back. For 55 (a lock) it names the row that is
--                       refused, which is searched for like that of a record, else the range that was tried.
--
-- The codes are those of src/pg/sqlstate.c (sqlstate_blame). What it takes for a fault of the session (ERROR_LINK,
-- ERROR_FENCED) is raised as it came.
--
-- Each of `casts` belongs to a part and to a column of its rows. It computes that column for the place $1 and says
-- whether the result is NULL. They are only used for a row that is refused and may not be at fault.
--
-- The statements are prepared, for an attempt costs less than to plan it. The settings make that
-- plan read the staged rows by their places, whatever is thought of their number, and keep it from
-- being compiled. In a larger batch the first search makes an index for that, on the one of `stages` that the rows of the
-- part are in; as long as nothing has been searched for, it would only cost. A run that is all of its stage is first stored by one
-- of `wholes`, without places, where there is one: a scan finds the rows as they were copied. There is no search_path among them: statements and triggers see that of the
-- session. So every operator here is named with its schema.
CREATE FUNCTION :"schema".store_each(statements text[], runs_part integer[], runs_first integer[],
                                     runs_last integer[], casts text[] DEFAULT '{}',
                                     casts_part integer[] DEFAULT '{}', casts_column text[] DEFAULT '{}',
                                     stages text[] DEFAULT '{}', wholes text[] DEFAULT '{}')
    RETURNS TABLE (run integer, place integer, upto integer, effects bigint, blame text, without_rows boolean,
                   is_cast boolean, sqlstate text, message text, detail text, column_name text, constraint_name text,
                   table_name text)
    LANGUAGE plpgsql
    SET plan_cache_mode = force_generic_plan SET jit = off
    SET enable_bitmapscan = off SET enable_sort = off
AS $$
#variable_conflict use_variable
DECLARE
    -- As in src/pg/sqlstate.c. Codes come before classes. What is not named is `record`: the rest of 22, 23, 44, P0,
    -- and all that PostgreSQL does not define.
    of_record CONSTANT pg_catalog.text[] := '{40002}';
    of_doubt CONSTANT pg_catalog.text[] := '{22P03}';
    of_doubt_class CONSTANT pg_catalog.text[] := '{01,02,03,09,0B,0F,0Z,10,20,21,24,27,2D,2F,34,38,39,3B,42,54,HV,XX}';
    of_unfit CONSTANT pg_catalog.text[] := '{2200H,22P04,42501,42703,42704,42883,42P01,42P10,53400,55000,55P02,58P01}';
    of_unfit_class CONSTANT pg_catalog.text[] := '{0A,0L,0P,28,2B,3D,3F,F0}';
    of_target CONSTANT pg_catalog.text[] := '{XX001,XX002}';
    of_target_class CONSTANT pg_catalog.text[] := '{08,25,53,55,57,58,72}';
    pass integer := 1;
    truncates boolean[];
    ready boolean[];
    is_whole boolean;
    indexed pg_catalog.text[]; -- stages
    rows integer := 0;
    todo integer;
    todo_run integer[];
    todo_first integer[];
    todo_last integer[];
    at integer;
    size integer;
    part integer;
    has_type pg_catalog.text;
    is_over boolean := false; -- raised as it came
    is_null boolean;
    proven boolean[]; -- for each of casts: another value has passed, or none of those tried
    tries integer;
    failed_cast boolean[];
    first_failures integer;
    before integer := -1;
    failures integer;
    failed_run integer[];
    failed_place integer[];
    blames pg_catalog.text[];
    states pg_catalog.text[];
    messages pg_catalog.text[];
    details pg_catalog.text[];
    columns pg_catalog.text[];
    constraints pg_catalog.text[];
    tables pg_catalog.text[];
    stored integer; -- ranges
    stored_run integer[];
    stored_first integer[];
    stored_last integer[];
    stored_effects bigint[];
    suspect_states pg_catalog.text[]; -- for each part: the first code that may be the target's,
    suspects integer[];               -- how many rows have been refused with it,
    bare_states pg_catalog.text[];    -- and what it says when it is given no row
BEGIN
    FOR p IN 1 .. coalesce(pg_catalog.array_length(statements, 1), 0) LOOP
        IF EXISTS (SELECT FROM pg_catalog.pg_prepared_statements s
                    WHERE s.name OPERATOR(pg_catalog.=) pg_catalog.format('pgsinkd_each_%s', p)) THEN
            EXECUTE pg_catalog.format('DEALLOCATE pgsinkd_each_%s', p); -- of a transaction that was rolled back
        END IF;
        truncates[p] := pg_catalog.starts_with(statements[p], 'TRUNCATE '); -- which cannot be prepared
        ready[p] := truncates[p];
    END LOOP;
    FOR r IN 1 .. coalesce(pg_catalog.array_length(runs_part, 1), 0) LOOP
        rows := rows OPERATOR(pg_catalog.+) runs_last[r] OPERATOR(pg_catalog.-) runs_first[r] OPERATOR(pg_catalog.+) 1;
    END LOOP;
    PERFORM pg_catalog.set_config('pgsinkd.pass', '', true);
    <<passes>> LOOP
        BEGIN
            PERFORM pg_catalog.set_config('pgsinkd.pass', pass::pg_catalog.text, true);
            IF pass OPERATOR(pg_catalog.=) ANY ('{2,4}'::pg_catalog.int4[]) THEN
                SET CONSTRAINTS ALL IMMEDIATE;
            END IF;
            IF pass OPERATOR(pg_catalog.=) 3 THEN -- the runs without what has failed
                todo_run := '{}';
                todo_first := '{}';
                todo_last := '{}';
                todo := 0;
                upto := 1;
                FOR r IN 1 .. coalesce(pg_catalog.array_length(runs_part, 1), 0) LOOP
                    at := runs_first[r];
                    LOOP
                        todo := todo OPERATOR(pg_catalog.+) 1;
                        todo_run[todo] := r;
                        todo_first[todo] := at;
                        todo_last[todo] := runs_last[r];
                        EXIT WHEN upto OPERATOR(pg_catalog.>) failures
                               OR failed_run[upto] OPERATOR(pg_catalog.<>) r;
                        todo_last[todo] := failed_place[upto] OPERATOR(pg_catalog.-) 1; -- may leave nothing
                        at := failed_place[upto] OPERATOR(pg_catalog.+) 1;
                        upto := upto OPERATOR(pg_catalog.+) 1;
                    END LOOP;
                END LOOP;
            ELSE
                todo_run := ARRAY(SELECT pg_catalog.generate_subscripts(runs_part, 1));
                todo_first := runs_first;
                todo_last := runs_last;
                failures := 0;
            END IF;
            stored := 0;
            indexed := '{}';
            first_failures := NULL;
            LOOP
                suspect_states := NULL;
                FOR q IN 1 .. coalesce(pg_catalog.array_length(todo_run, 1), 0) LOOP
                    run := todo_run[q];
                    part := runs_part[run];
                    at := todo_first[q];
                    size := todo_last[q] OPERATOR(pg_catalog.-) at OPERATOR(pg_catalog.+) 1;
                    WHILE at OPERATOR(pg_catalog.<=) todo_last[q] LOOP
                        upto := least(at OPERATOR(pg_catalog.+) size OPERATOR(pg_catalog.-) 1, todo_last[q]);
                        BEGIN
                            is_whole := pass OPERATOR(pg_catalog.=) 1 AND wholes[part] OPERATOR(pg_catalog.<>) ''
                                    AND at OPERATOR(pg_catalog.=) runs_first[run]
                                    AND upto OPERATOR(pg_catalog.=) runs_last[run];
                            IF NOT ready[part] AND is_whole IS NOT TRUE THEN
                                EXECUTE pg_catalog.format('PREPARE pgsinkd_each_%s (integer, integer) AS WITH x AS'
                                                          ' (%s RETURNING 1) SELECT pg_catalog.count(*) FROM x',
                                                          part, statements[part]);
                                ready[part] := true;
                            END IF;
                            IF truncates[part] THEN
                                EXECUTE statements[part];
                                effects := 1;
                            ELSIF is_whole THEN
                                EXECUTE wholes[part];
                                GET DIAGNOSTICS effects = ROW_COUNT;
                            ELSE
                                EXECUTE pg_catalog.format('EXECUTE pgsinkd_each_%s(%s, %s)', part, at, upto)
                                   INTO effects;
                            END IF;
                            IF stored OPERATOR(pg_catalog.>) 0 AND stored_run[stored] OPERATOR(pg_catalog.=) run
                               AND stored_last[stored] OPERATOR(pg_catalog.+) 1 OPERATOR(pg_catalog.=) at THEN
                                stored_effects[stored] := stored_effects[stored] OPERATOR(pg_catalog.+) effects;
                            ELSE
                                stored := stored OPERATOR(pg_catalog.+) 1;
                                stored_run[stored] := run;
                                stored_first[stored] := at;
                                stored_effects[stored] := effects;
                            END IF;
                            stored_last[stored] := upto;
                            size := 2 OPERATOR(pg_catalog.*) (upto OPERATOR(pg_catalog.-) at OPERATOR(pg_catalog.+) 1);
                            at := upto OPERATOR(pg_catalog.+) 1;
                        EXCEPTION WHEN OTHERS OR assert_failure OR query_canceled THEN
                            GET STACKED DIAGNOSTICS
                                message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, column_name = COLUMN_NAME,
                                constraint_name = CONSTRAINT_NAME, table_name = TABLE_NAME, has_type = PG_DATATYPE_NAME;
                            blame := CASE
                                WHEN SQLSTATE OPERATOR(pg_catalog.=) 'SK001'
                                     OR pg_catalog.left(SQLSTATE, 2) OPERATOR(pg_catalog.=) '26'
                                THEN 'session'
                                WHEN SQLSTATE OPERATOR(pg_catalog.=) '23502'
                                     AND column_name OPERATOR(pg_catalog.=) '' AND has_type OPERATOR(pg_catalog.=) ''
                                THEN 'doubt'
                                WHEN SQLSTATE OPERATOR(pg_catalog.=) '23514'
                                     AND constraint_name OPERATOR(pg_catalog.=) '' AND has_type OPERATOR(pg_catalog.=) ''
                                THEN 'unfit'
                                WHEN SQLSTATE OPERATOR(pg_catalog.=) ANY (of_record) THEN 'record'
                                WHEN SQLSTATE OPERATOR(pg_catalog.=) ANY (of_doubt) THEN 'doubt'
                                WHEN SQLSTATE OPERATOR(pg_catalog.=) ANY (of_unfit) THEN 'unfit'
                                WHEN SQLSTATE OPERATOR(pg_catalog.=) ANY (of_target) THEN 'target'
                                WHEN pg_catalog.left(SQLSTATE, 2) OPERATOR(pg_catalog.=) ANY (of_doubt_class) THEN 'doubt'
                                WHEN pg_catalog.left(SQLSTATE, 2) OPERATOR(pg_catalog.=) ANY (of_unfit_class) THEN 'unfit'
                                WHEN pg_catalog.left(SQLSTATE, 2) OPERATOR(pg_catalog.=) ANY (of_target_class) THEN 'target'
                                WHEN pg_catalog.left(SQLSTATE, 2) OPERATOR(pg_catalog.=) '40' THEN 'again'
                                ELSE 'record' END;
                            IF blame OPERATOR(pg_catalog.=) 'session' THEN
                                is_over := true;
                                RAISE;
                            END IF;
                            IF blame OPERATOR(pg_catalog.=) ANY ('{target,again}'::pg_catalog.text[])
                               AND (at OPERATOR(pg_catalog.=) upto
                                    OR pg_catalog.left(SQLSTATE, 2) OPERATOR(pg_catalog.<>) '55') THEN
                                place := at;
                                effects := NULL;
                                store_each.sqlstate := SQLSTATE;
                                RETURN NEXT;
                                RETURN;
                            END IF;
                            -- Whose row is locked? The search waits for the same lock several times.
                            IF blame OPERATOR(pg_catalog.=) 'target' THEN
                                PERFORM pg_catalog.set_config('lock_timeout', '100ms', true);
                            END IF;
                            IF rows OPERATOR(pg_catalog.>) 100 AND at OPERATOR(pg_catalog.<) upto
                               AND stages[part] OPERATOR(pg_catalog.<>) ALL (pg_catalog.array_append(indexed, '')) THEN
                                EXECUTE pg_catalog.format('CREATE INDEX IF NOT EXISTS %s_places ON pg_temp.%s (place)',
                                                          stages[part], stages[part]);
                                indexed := pg_catalog.array_append(indexed, stages[part]);
                            END IF;
                            IF at OPERATOR(pg_catalog.<) upto THEN
                                size := greatest((upto OPERATOR(pg_catalog.-) at OPERATOR(pg_catalog.+) 1)
                                                 OPERATOR(pg_catalog./) 4, 1);
                            ELSE
                                is_cast := false;
                                FOR k IN 1 .. CASE WHEN blame OPERATOR(pg_catalog.=) 'record' THEN 0
                                              ELSE coalesce(pg_catalog.array_length(casts, 1), 0) END LOOP
                                    CONTINUE WHEN is_cast OR casts_part[k] OPERATOR(pg_catalog.<>) part;
                                    BEGIN
                                        EXECUTE casts[k] INTO is_null USING at;
                                    EXCEPTION WHEN OTHERS THEN
                                        is_cast := pg_catalog.left(SQLSTATE, 2)
                                                   OPERATOR(pg_catalog.<>) ALL ('{53,57,58}'::pg_catalog.text[]);
                                    END;
                                    CONTINUE WHEN NOT is_cast;
                                    column_name := casts_column[k];
                                    tries := CASE WHEN proven[k] IS NULL THEN 100 ELSE 0 END;
                                    <<proofs>>
                                    FOR r IN 1 .. coalesce(pg_catalog.array_length(runs_part, 1), 0) LOOP
                                        EXIT proofs WHEN tries OPERATOR(pg_catalog.=) 0;
                                        CONTINUE WHEN runs_part[r] OPERATOR(pg_catalog.<>) part;
                                        FOR other IN runs_first[r] .. runs_last[r] LOOP
                                            EXIT proofs WHEN tries OPERATOR(pg_catalog.=) 0;
                                            CONTINUE WHEN other OPERATOR(pg_catalog.=) at;
                                            tries := tries OPERATOR(pg_catalog.-) 1;
                                            BEGIN
                                                EXECUTE casts[k] INTO is_null USING other;
                                                proven[k] := NOT is_null OR proven[k];
                                                EXIT proofs WHEN proven[k];
                                            EXCEPTION WHEN OTHERS THEN
                                                NULL; -- it proves nothing
                                            END;
                                        END LOOP;
                                    END LOOP;
                                    proven[k] := coalesce(proven[k], false);
                                    IF proven[k] THEN
                                        blame := 'record';
                                    END IF;
                                END LOOP;
                                failures := failures OPERATOR(pg_catalog.+) 1;
                                failed_cast[failures] := is_cast;
                                failed_run[failures] := run;
                                failed_place[failures] := at;
                                blames[failures] := blame;
                                states[failures] := SQLSTATE;
                                messages[failures] := message;
                                details[failures] := detail;
                                columns[failures] := column_name;
                                constraints[failures] := constraint_name;
                                tables[failures] := table_name;
                                at := at OPERATOR(pg_catalog.+) 1;
                                IF blame OPERATOR(pg_catalog.<>) 'record' AND suspect_states[part] IS NULL THEN
                                    suspect_states[part] := SQLSTATE;
                                    suspects[part] := 0;
                                END IF;
                                IF blame OPERATOR(pg_catalog.<>) 'record'
                                   AND suspect_states[part] OPERATOR(pg_catalog.=) SQLSTATE THEN
                                    suspects[part] := suspects[part] OPERATOR(pg_catalog.+) 1;
                                    EXIT passes WHEN suspects[part] OPERATOR(pg_catalog.>)
                                                     greatest(rows OPERATOR(pg_catalog./) 10, 1);
                                END IF;
                            END IF;
                        END;
                    END LOOP;
                END LOOP;
                EXIT WHEN pass OPERATOR(pg_catalog.<>) 2 OR failures OPERATOR(pg_catalog.=) 0
                       OR failures OPERATOR(pg_catalog.=) before;
                first_failures := coalesce(first_failures, failures);
                before := failures;
                todo_run := failed_run[1:failures];
                todo_first := failed_place[1:failures];
                todo_last := todo_first;
                failures := 0;
            END LOOP;
            IF pass OPERATOR(pg_catalog.=) 2 AND failures OPERATOR(pg_catalog.<) first_failures THEN
                RAISE EXCEPTION USING ERRCODE = 'SK002', MESSAGE = 'once more, in order';
            END IF;
            SET CONSTRAINTS ALL IMMEDIATE;
            EXIT passes;
        EXCEPTION WHEN OTHERS OR assert_failure THEN
            -- Passes 2 and 4 check everything at once, so nothing can be left for the end. An error that comes while
            -- PostgreSQL undoes an attempt (53400, of temporary files) is caught here too, but then it undoes that attempt
            -- and not the pass: what the pass has stored, and set, is still there.
            IF is_over OR pg_catalog.current_setting('pgsinkd.pass') OPERATOR(pg_catalog.<>) ''
                       OR pass OPERATOR(pg_catalog.=) ANY ('{2,4}'::pg_catalog.int4[])
                          AND SQLSTATE OPERATOR(pg_catalog.<>) 'SK002' THEN
                RAISE;
            END IF;
            pass := pass OPERATOR(pg_catalog.+) 1;
        END;
    END LOOP;
    -- Does a statement that may be at fault itself store no rows?
    FOR f IN 1 .. failures LOOP
        part := runs_part[failed_run[f]];
        IF bare_states[part] IS NULL AND blames[f] OPERATOR(pg_catalog.<>) 'record' AND NOT truncates[part] THEN
            BEGIN
                IF NOT ready[part] THEN -- nor can it be prepared
                    bare_states[part] := states[f];
                    CONTINUE;
                END IF;
                EXECUTE pg_catalog.format('EXECUTE pgsinkd_each_%s(1, 0)', part);
                RAISE EXCEPTION USING ERRCODE = 'SK002', MESSAGE = 'nothing of this is to stay';
            EXCEPTION WHEN OTHERS OR assert_failure THEN
                bare_states[part] := SQLSTATE;
            END;
        END IF;
    END LOOP;
    FOR s IN 1 .. stored LOOP
        run := stored_run[s];
        place := stored_first[s];
        upto := stored_last[s];
        effects := stored_effects[s];
        blame := NULL;
        is_cast := NULL;
        message := NULL;
        detail := NULL;
        column_name := NULL;
        constraint_name := NULL;
        table_name := NULL;
        RETURN NEXT;
    END LOOP;
    effects := NULL;
    FOR f IN 1 .. failures LOOP
        run := failed_run[f];
        place := failed_place[f];
        upto := place;
        blame := blames[f];
        sqlstate := states[f];
        is_cast := failed_cast[f];
        without_rows := coalesce(bare_states[runs_part[run]] OPERATOR(pg_catalog.=) states[f], false);
        message := messages[f];
        detail := details[f];
        column_name := columns[f];
        constraint_name := constraints[f];
        table_name := tables[f];
        RETURN NEXT;
    END LOOP;
END
$$;
COMMENT ON FUNCTION :"schema".store_each(text[], integer[], integer[], integer[], text[], integer[], text[], text[], text[]) IS
    'Stores staged rows and returns those that PostgreSQL refuses, with the fault of each and whose it may be, and the ranges that are stored. Called by pgsinkd when a transaction was refused because of its rows.';

-- Why a text is no value of the type of `kind`: an SQLSTATE, and what PostgreSQL says. NULL: it is one, or something
-- else than the text is at fault. No typmod is looked at.
CREATE FUNCTION :"schema".cast_fault(value text, kind anyelement) RETURNS text LANGUAGE plpgsql STABLE
AS $$
BEGIN
    kind := value;
    RETURN NULL;
EXCEPTION WHEN OTHERS OR assert_failure THEN
    RETURN CASE WHEN pg_catalog.left(SQLSTATE, 2) OPERATOR(pg_catalog.<>) ALL ('{53,57,58}'::pg_catalog.text[])
                THEN SQLSTATE OPERATOR(pg_catalog.||) SQLERRM END;
END
$$;
COMMENT ON FUNCTION :"schema".cast_fault(text, anyelement) IS
    'Internal: the fault by which a text is no value of that type, its SQLSTATE first; NULL: none.';

-- Finds rows of a stage that their table refuses whatever else it holds, by one query for many instead of an attempt
-- for each, and takes them out of the stage, so that store_each() need not search for them. What it does not find,
-- store_each() does. Three kinds are looked for, one after the other:
--
--     casts         a text is no value of its column's type. `casts` are calls of cast_fault(), `values` the texts, both
--                   of the stage as r, and `kinds` the types. Only if another text of that column is one, or is known to have been: until
--                   then it may be the type that is at fault.
--     CHECK         of the columns that the rows have. Not where a trigger may change them before, nor if a function is
--                   called that may look at other rows.
--     foreign key   no row of that key is there, nor can these rows bring one: they are all of one table, inserted
--                   without a condition (`alone`), which is another one, and no trigger of it could.
--
-- A condition is believed only after the first row for which it holds was tried by `statement` and refused for that
-- very reason. Of a constraint, its message stands for the others; the row that a CHECK has failed for is shown only
-- if it is the only one.
--
-- Each of `sources` is the value for one of `names`, the columns, of the stage as s. Conditions see it as the column
-- has it, rounded for instance and with its collation, but not as a domain, which refuses rows too. Statements and conditions see the
-- search_path of the session, as in store_each().
CREATE FUNCTION :"schema".screen(stage text, first integer, last integer, statement text, relation oid, names text[],
                                 sources text[], alone boolean, casts text[], "values" text[], kinds text[],
                                 columns text[], known boolean[])
    RETURNS TABLE (place integer, upto integer, is_cast boolean, sqlstate text, message text, detail text,
                   column_name text)
    LANGUAGE plpgsql
    SET jit = off
AS $$
#variable_conflict use_variable
DECLARE
    cast_count CONSTANT integer := coalesce(pg_catalog.array_length(casts, 1), 0);
    attributes smallint[];
    family pg_catalog.oid[]; -- the table, its partitions, and what it is a partition of
    source pg_catalog.text;
    condition pg_catalog.text;
    refers boolean;
    passes boolean;
    places integer[];
    -- Of each of the places: why, in five characters (an SQLSTATE, or the number of a constraint), and what is said of
    -- it beyond that (a message, a detail).
    faults pg_catalog.text[];
    first_code pg_catalog.text;
    last_code pg_catalog.text;
    code pg_catalog.text;
    constraints pg_catalog.text[];
    chosen integer[];
    at integer;
    said pg_catalog.text;
    violated pg_catalog.text;
BEGIN
    attributes := ARRAY(SELECT a.attnum FROM pg_catalog.pg_attribute a
                         WHERE a.attrelid OPERATOR(pg_catalog.=) relation AND NOT a.attisdropped
                           AND a.attname::pg_catalog.text OPERATOR(pg_catalog.=) ANY (names));
    WITH RECURSIVE kind(name, type, typmod, sorted_by) AS (
        SELECT a.attname, a.atttypid, a.atttypmod, a.attcollation FROM pg_catalog.pg_attribute a
         WHERE a.attrelid OPERATOR(pg_catalog.=) relation AND a.attnum OPERATOR(pg_catalog.=) ANY (attributes)
        UNION ALL
        SELECT k.name, t.typbasetype, t.typtypmod, k.sorted_by FROM kind k
          JOIN pg_catalog.pg_type t ON t.oid OPERATOR(pg_catalog.=) k.type
         WHERE t.typtype OPERATOR(pg_catalog.=) 'd')
    SELECT pg_catalog.string_agg(pg_catalog.format(', (%s)::%s%s AS %I', u.source,
               pg_catalog.format_type(k.type, k.typmod),
               (SELECT pg_catalog.format(' COLLATE %I.%I', n.nspname, c.collname) FROM pg_catalog.pg_collation c
                  JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.collnamespace
                 WHERE c.oid OPERATOR(pg_catalog.=) k.sorted_by),
               k.name), '')
      INTO source
      FROM kind k JOIN pg_catalog.pg_type t ON t.oid OPERATOR(pg_catalog.=) k.type
      JOIN unnest(names, sources) AS u(name, source) ON u.name OPERATOR(pg_catalog.=) k.name::pg_catalog.text
     WHERE t.typtype OPERATOR(pg_catalog.<>) 'd';
    family := ARRAY(WITH RECURSIVE down AS (
                        SELECT relation AS oid UNION SELECT i.inhrelid FROM down d
                          JOIN pg_catalog.pg_inherits i ON i.inhparent OPERATOR(pg_catalog.=) d.oid),
                    up AS (
                        SELECT relation AS oid UNION SELECT i.inhparent FROM up u
                          JOIN pg_catalog.pg_inherits i ON i.inhrelid OPERATOR(pg_catalog.=) u.oid)
                    SELECT d.oid FROM down d UNION SELECT u.oid FROM up u);
    FOR step IN 1 .. cast_count OPERATOR(pg_catalog.+) 2 LOOP
        is_cast := step OPERATOR(pg_catalog.<=) cast_count;
        refers := step OPERATOR(pg_catalog.=) (cast_count OPERATOR(pg_catalog.+) 2);
        condition := NULL;
        IF is_cast THEN
            -- Where the type has a cast of its own from text, the statement uses that, and cast_fault() its input.
            IF NOT EXISTS (WITH RECURSIVE kind(oid) AS (
                               SELECT kinds[step]::pg_catalog.regtype::pg_catalog.oid
                               UNION ALL
                               SELECT t.typbasetype FROM kind k JOIN pg_catalog.pg_type t
                                   ON t.oid OPERATOR(pg_catalog.=) k.oid
                                WHERE t.typtype OPERATOR(pg_catalog.=) 'd')
                           SELECT FROM kind k JOIN pg_catalog.pg_cast c ON c.casttarget OPERATOR(pg_catalog.=) k.oid
                            WHERE c.castsource OPERATOR(pg_catalog.=) 'pg_catalog.text'::pg_catalog.regtype
                           UNION ALL -- nor of a row
                           SELECT FROM kind k JOIN pg_catalog.pg_type t ON t.oid OPERATOR(pg_catalog.=) k.oid
                            WHERE t.typtype OPERATOR(pg_catalog.=) 'c') THEN
                condition := casts[step];
            END IF;
        ELSIF NOT refers THEN
            SELECT 'CASE ' OPERATOR(pg_catalog.||) pg_catalog.string_agg(pg_catalog.format(
                       'WHEN %s THEN %L', c.violation, pg_catalog.lpad(c.number::pg_catalog.text, 5, '0')), ' '
                       ORDER BY c.number) OPERATOR(pg_catalog.||) ' END',
                   pg_catalog.array_agg(c.conname::pg_catalog.text ORDER BY c.number)
              INTO condition, constraints
              FROM (SELECT k.conname, pg_catalog.row_number() OVER (ORDER BY k.conname),
                           pg_catalog.format('(%s) IS FALSE', pg_catalog.pg_get_expr(k.conbin, relation))
                      FROM pg_catalog.pg_constraint k
                     WHERE k.conrelid OPERATOR(pg_catalog.=) relation AND k.contype OPERATOR(pg_catalog.=) 'c'
                       AND coalesce(k.conkey, '{}') OPERATOR(pg_catalog.<@) attributes
                       AND NOT EXISTS (
                               SELECT FROM pg_catalog.pg_depend d
                                 LEFT JOIN pg_catalog.pg_operator o ON o.oid OPERATOR(pg_catalog.=) d.refobjid
                                  AND d.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_operator'::pg_catalog.regclass
                                 JOIN pg_catalog.pg_proc f
                                   ON f.oid OPERATOR(pg_catalog.=) coalesce(o.oprcode::pg_catalog.oid, d.refobjid)
                                 JOIN pg_catalog.pg_language l ON l.oid OPERATOR(pg_catalog.=) f.prolang
                                WHERE d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_constraint'::pg_catalog.regclass
                                  AND d.objid OPERATOR(pg_catalog.=) k.oid
                                  AND d.refclassid OPERATOR(pg_catalog.=) ANY (ARRAY[
                                          'pg_catalog.pg_proc', 'pg_catalog.pg_operator']::pg_catalog.regclass[])
                                  AND l.lanname OPERATOR(pg_catalog.<>) ALL ('{internal,c}'::pg_catalog.name[]))) AS c(conname, number, violation)
             WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_trigger t -- BEFORE INSERT, FOR EACH ROW
                                WHERE t.tgrelid OPERATOR(pg_catalog.=) ANY (family)
                                  AND t.tgenabled OPERATOR(pg_catalog.<>) 'D'
                                  AND (t.tgtype OPERATOR(pg_catalog.&) 7::pg_catalog.int2) OPERATOR(pg_catalog.=) 7);
        ELSIF alone THEN
            SELECT 'CASE ' OPERATOR(pg_catalog.||) pg_catalog.string_agg(pg_catalog.format(
                       'WHEN %s THEN pg_catalog.concat(%L, %s)', c.violation,
                       pg_catalog.lpad(c.number::pg_catalog.text, 5, '0'), c.detail), ' ' ORDER BY c.number)
                   OPERATOR(pg_catalog.||) ' END',
                   pg_catalog.array_agg(c.conname::pg_catalog.text ORDER BY c.number)
              INTO condition, constraints
              FROM (SELECT k.conname, pg_catalog.row_number() OVER (ORDER BY k.conname),
                           pg_catalog.format('(%s) AND NOT EXISTS (SELECT FROM %s%I.%I p WHERE %s)',
                               (SELECT pg_catalog.string_agg(pg_catalog.format('r.%I IS NOT NULL', a.attname), ' AND ')
                                  FROM pg_catalog.pg_attribute a
                                 WHERE a.attrelid OPERATOR(pg_catalog.=) relation
                                   AND a.attnum OPERATOR(pg_catalog.=) ANY (k.conkey)),
                               CASE WHEN there.relkind OPERATOR(pg_catalog.=) 'r' THEN 'ONLY ' END, n.nspname,
                               there.relname,
                               (SELECT pg_catalog.string_agg(pg_catalog.format(
                                           'p.%I OPERATOR(%I.%s) r.%I', f.attname, s.nspname, o.oprname, a.attname),
                                           ' AND ')
                                  FROM unnest(k.conkey, k.confkey, k.conpfeqop) AS u(mine, its, operator)
                                  JOIN pg_catalog.pg_attribute a ON a.attrelid OPERATOR(pg_catalog.=) relation
                                                                AND a.attnum OPERATOR(pg_catalog.=) u.mine
                                  JOIN pg_catalog.pg_attribute f ON f.attrelid OPERATOR(pg_catalog.=) k.confrelid
                                                                AND f.attnum OPERATOR(pg_catalog.=) u.its
                                  JOIN pg_catalog.pg_operator o ON o.oid OPERATOR(pg_catalog.=) u.operator
                                  JOIN pg_catalog.pg_namespace s ON s.oid OPERATOR(pg_catalog.=) o.oprnamespace)),
                           (SELECT pg_catalog.format('%L, %s, %L',
                                       pg_catalog.format('Key (%s)=(', pg_catalog.string_agg(a.attname, ', '
                                                                                             ORDER BY u.number)),
                                       pg_catalog.string_agg(pg_catalog.format('r.%I', a.attname), ', '', '', '
                                                             ORDER BY u.number),
                                       pg_catalog.format(') is not present in table "%s".', there.relname))
                              FROM pg_catalog.unnest(k.conkey) WITH ORDINALITY AS u(mine, number)
                              JOIN pg_catalog.pg_attribute a ON a.attrelid OPERATOR(pg_catalog.=) relation
                                                            AND a.attnum OPERATOR(pg_catalog.=) u.mine)
                      FROM pg_catalog.pg_constraint k
                      JOIN pg_catalog.pg_class there ON there.oid OPERATOR(pg_catalog.=) k.confrelid
                      JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) there.relnamespace
                     WHERE k.conrelid OPERATOR(pg_catalog.=) relation AND k.contype OPERATOR(pg_catalog.=) 'f'
                       AND k.confmatchtype OPERATOR(pg_catalog.=) 's' AND NOT there.relrowsecurity
                       AND k.confrelid OPERATOR(pg_catalog.<>) ALL (family)
                       AND NOT EXISTS (SELECT FROM pg_catalog.pg_index i -- of periods, which need only be covered
                                        WHERE i.indexrelid OPERATOR(pg_catalog.=) k.conindid AND i.indisexclusion)
                       AND k.conkey OPERATOR(pg_catalog.<@) attributes) AS c(conname, number, violation, detail)
             WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_trigger t
                                WHERE t.tgrelid OPERATOR(pg_catalog.=) ANY (family) AND NOT t.tgisinternal);
        END IF;
        CONTINUE WHEN condition IS NULL;
        BEGIN
            EXECUTE pg_catalog.format(
                'SELECT pg_catalog.array_agg(x.place ORDER BY x.place), pg_catalog.array_agg(x.fault ORDER BY x.place),'
                ' pg_catalog.min(pg_catalog.left(x.fault, 5)), pg_catalog.max(pg_catalog.left(x.fault, 5))'
                ' FROM (SELECT r."a place of pgsinkd" AS place, %s AS fault'
                ' FROM (SELECT s.place AS "a place of pgsinkd"%s FROM pg_temp.%s s'
                ' WHERE s.place OPERATOR(pg_catalog.>=) $1 AND s.place OPERATOR(pg_catalog.<=) $2) r OFFSET 0) x'
                ' WHERE x.fault IS NOT NULL',
                condition, CASE WHEN is_cast THEN ', s.*' ELSE source END, stage)
               INTO places, faults, first_code, last_code USING first, last;
            IF is_cast AND places IS NOT NULL AND NOT known[step] THEN
                EXECUTE pg_catalog.format(
                    'SELECT EXISTS (SELECT FROM pg_temp.%s r WHERE r.place OPERATOR(pg_catalog.>=) $1'
                    ' AND r.place OPERATOR(pg_catalog.<=) $2 AND %s IS NOT NULL AND %s IS NULL)',
                    stage, "values"[step], condition)
                   INTO passes USING first, last;
                CONTINUE WHEN NOT passes;
            END IF;
        EXCEPTION WHEN OTHERS OR assert_failure THEN
            CONTINUE; -- a condition cannot be computed for one of the rows, or we may not read what it reads
        END;
        CONTINUE WHEN places IS NULL;
        FOR code IN SELECT DISTINCT pg_catalog.left(u.fault, 5) FROM pg_catalog.unnest(faults) AS u(fault)
                     WHERE first_code OPERATOR(pg_catalog.<>) last_code
                    UNION ALL SELECT first_code WHERE first_code OPERATOR(pg_catalog.=) last_code LOOP
            chosen := places;
            IF first_code OPERATOR(pg_catalog.<>) last_code THEN
                chosen := ARRAY(SELECT u.place FROM unnest(places, faults) AS u(place, fault)
                                 WHERE pg_catalog.left(u.fault, 5) OPERATOR(pg_catalog.=) code ORDER BY u.place);
            END IF;
            at := chosen[1];
            BEGIN
                EXECUTE statement USING at, at;
                RAISE EXCEPTION USING ERRCODE = 'SK002', MESSAGE = 'nothing of this is to stay';
            EXCEPTION WHEN OTHERS OR assert_failure THEN
                screen.sqlstate := SQLSTATE;
                GET STACKED DIAGNOSTICS said = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, violated = CONSTRAINT_NAME;
            END;
            CONTINUE WHEN screen.sqlstate OPERATOR(pg_catalog.<>)
                          CASE WHEN is_cast THEN code WHEN refers THEN '23503' ELSE '23514' END
                       OR NOT is_cast AND violated OPERATOR(pg_catalog.<>) constraints[code::pg_catalog.int4];
            EXECUTE pg_catalog.format('DELETE FROM pg_temp.%s s WHERE s.place OPERATOR(pg_catalog.=) ANY ($1)', stage)
              USING chosen;
            IF is_cast OR refers THEN -- with what is said of each
                RETURN QUERY
                    SELECT pg_catalog.min(i.place), pg_catalog.max(i.place), is_cast, screen.sqlstate,
                           CASE WHEN is_cast THEN i.more ELSE said END, CASE WHEN refers THEN i.more END,
                           CASE WHEN is_cast THEN columns[step] END
                      FROM (SELECT u.place, u.more,
                                   u.place OPERATOR(pg_catalog.-) pg_catalog.row_number()
                                       OVER (PARTITION BY u.more ORDER BY u.place) AS island
                              FROM (SELECT a.place, pg_catalog.substr(a.fault, 6) AS more
                                      FROM unnest(places, faults) AS a(place, fault)
                                     WHERE pg_catalog.left(a.fault, 5) OPERATOR(pg_catalog.=) code) u) i
                     GROUP BY i.more, i.island;
            ELSE
                RETURN QUERY
                    SELECT pg_catalog.min(i.place), pg_catalog.max(i.place), false, screen.sqlstate, said,
                           CASE WHEN pg_catalog.array_length(chosen, 1) OPERATOR(pg_catalog.=) 1 THEN detail END,
                           NULL::pg_catalog.text
                      FROM (SELECT c.place, c.place OPERATOR(pg_catalog.-) c.number AS island
                              FROM pg_catalog.unnest(chosen) WITH ORDINALITY AS c(place, number)) i
                     GROUP BY i.island;
            END IF;
        END LOOP;
    END LOOP;
END
$$;
COMMENT ON FUNCTION :"schema".screen(text, integer, integer, text, oid, text[], text[], boolean, text[], text[], text[],
                                     text[], boolean[]) IS
    'Finds staged rows that their table refuses by itself: by a cast, a CHECK or a foreign key; takes them out and returns them as ranges of places. Called by pgsinkd before store_each().';

-- A dead letter of the same record is rare: after seek() back. Until then it need not be looked for, row by row. The
-- daemon says so after it has looked for any of the ranges of offsets that it is about to store. Nobody else writes dead
-- letters of a partition whose ledger row is locked, and a replay only those that are there.
DROP TRIGGER dead_again ON :"schema".dead_letters;
CREATE TRIGGER dead_again BEFORE INSERT ON :"schema".dead_letters FOR EACH ROW
    WHEN (pg_catalog.current_setting('pgsinkd.letters_are_new', true) IS DISTINCT FROM 'yes')
    EXECUTE FUNCTION :"schema".dead_again();
COMMENT ON TRIGGER dead_again ON :"schema".dead_letters IS
    'A record that fails again renews its line: the new fault, attempts added. Not asked where letters_are_new() has said that there is none.';

CREATE FUNCTION :"schema".letters_are_new(sink text, topics text[], partitions integer[], froms bigint[],
                                          nexts bigint[])
    RETURNS boolean LANGUAGE sql
    SET search_path = pg_catalog, :"schema", pg_temp
AS $$
    SELECT set_config('pgsinkd.letters_are_new', CASE WHEN found.any THEN 'no' ELSE 'yes' END, true) = 'yes'
      FROM (SELECT EXISTS (SELECT FROM unnest(topics, partitions, froms, nexts) r(topic, partition, f, n)
                             JOIN dead_letters d ON d.sink = letters_are_new.sink AND d.topic = r.topic
                              AND d.partition = r.partition AND d."offset" >= r.f AND d."offset" < r.n)) found("any");
$$;
COMMENT ON FUNCTION :"schema".letters_are_new(text, text[], integer[], bigint[], bigint[]) IS
    'Internal: says to the transaction whether it may add dead letters of these ranges without looking for earlier ones of the same records.';

INSERT INTO :"schema".schema_version (version) VALUES (5);
