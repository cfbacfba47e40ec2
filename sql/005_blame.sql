-- Step 5: whose fault it is that a row is refused.
--
-- store_each() also catches what may be a fault of the target rather than of the row, so that the rows beside it can
-- speak for the target: it returns which rows had an effect, and whether the statement fails without any row.
--
-- Undo, when no daemon runs: DROP FUNCTION pgsinkd.store_each; make it again as in step 2;
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
--                       What has been stored by then is to be rolled back.
--
-- The codes are those of src/pg/sqlstate.c (sqlstate_blame). What it takes for a fault of the session (ERROR_LINK,
-- ERROR_FENCED) is raised as it came.
--
-- Each of `casts` belongs to a part and to a column of its rows. It computes that column for the place $1 and says
-- whether the result is NULL. They are only used for a row that is refused and may not be at fault.
--
-- The statements are prepared, for an attempt costs less than to plan it. The settings make that
-- plan read the staged rows by their places, whatever is thought of their number, and keep it from
-- being compiled. There is no search_path among them: statements and triggers see that of the
-- session. So every operator here is named with its schema.
CREATE FUNCTION :"schema".store_each(statements text[], runs_part integer[], runs_first integer[],
                                     runs_last integer[], casts text[] DEFAULT '{}',
                                     casts_part integer[] DEFAULT '{}', casts_column text[] DEFAULT '{}')
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
    of_record CONSTANT text[] := '{40002}';
    of_doubt CONSTANT text[] := '{22P03}';
    of_doubt_class CONSTANT text[] := '{01,02,03,09,0B,0F,0Z,10,20,21,24,27,2D,2F,34,38,39,3B,42,54,HV,XX}';
    of_unfit CONSTANT text[] := '{2200H,22P04,42501,42703,42704,42883,42P01,42P10,53400,55000,55P02,58P01}';
    of_unfit_class CONSTANT text[] := '{0A,0L,0P,28,2B,3D,3F,F0}';
    of_target CONSTANT text[] := '{XX001,XX002}';
    of_target_class CONSTANT text[] := '{08,25,53,55,57,58,72}';
    pass integer := 1;
    truncates boolean[];
    ready boolean[];
    rows integer := 0;
    todo integer;
    todo_run integer[];
    todo_first integer[];
    todo_last integer[];
    at integer;
    size integer;
    part integer;
    has_type text;
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
    blames text[];
    states text[];
    messages text[];
    details text[];
    columns text[];
    constraints text[];
    tables text[];
    stored integer; -- ranges
    stored_run integer[];
    stored_first integer[];
    stored_last integer[];
    stored_effects bigint[];
    suspect_states text[]; -- for each part: the first code that may be the target's,
    suspects integer[];    -- how many rows have been refused with it,
    bare_states text[];    -- and what it says when it is given no row
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
    <<passes>> LOOP
        BEGIN
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
                            IF NOT ready[part] THEN
                                EXECUTE pg_catalog.format('PREPARE pgsinkd_each_%s (integer, integer) AS WITH x AS'
                                                          ' (%s RETURNING 1) SELECT pg_catalog.count(*) FROM x',
                                                          part, statements[part]);
                                ready[part] := true;
                            END IF;
                            IF truncates[part] THEN
                                EXECUTE statements[part];
                                effects := 1;
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
                            IF blame OPERATOR(pg_catalog.=) ANY ('{target,again}'::pg_catalog.text[]) THEN
                                place := at;
                                effects := NULL;
                                store_each.sqlstate := SQLSTATE;
                                RETURN NEXT;
                                RETURN;
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
            -- Passes 2 and 4 check everything at once, so nothing can be left for the end.
            IF is_over OR pass OPERATOR(pg_catalog.=) ANY ('{2,4}'::pg_catalog.int4[])
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
COMMENT ON FUNCTION :"schema".store_each(text[], integer[], integer[], integer[], text[], integer[], text[]) IS
    'Stores staged rows and returns those that PostgreSQL refuses, with the fault of each and whose it may be, and the ranges that are stored. Called by pgsinkd when a transaction was refused because of its rows.';

INSERT INTO :"schema".schema_version (version) VALUES (5);
