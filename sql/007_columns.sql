-- Step 7: is a table still the one that rows were made for?
--
-- Rows are encoded for the columns that the catalog had when they were made. These functions are called inside the
-- transaction that stores them, and fail (SK003) if the table is another one by now, so that nothing is stored by an old
-- description of it.
--
-- Undo, when no daemon runs: DROP FUNCTION pgsinkd.columns_are, pgsinkd.columns_now, pgsinkd.columns_signature;
-- DELETE FROM pgsinkd.schema_version WHERE version = 7.

-- The same text is computed by src/pg/catalog.c; a test compares the two. Indexes are compared by what they are over,
-- so that a rebuilt one is no change. A domain can change without its tables, and is costly to look up: only where the
-- table has one.
CREATE FUNCTION :"schema".columns_signature(rel oid, domains boolean) RETURNS text LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    result text;
BEGIN
    result := (SELECT concat(r.rel, ':', md5(concat(
        (SELECT string_agg(concat_ws(' ', a.attnum, a.attname, a.atttypid, a.atttypmod, a.attnotnull, a.atthasdef,
                                     a.attidentity, a.attgenerated, a.attcollation), ',' ORDER BY a.attnum)
           FROM pg_attribute a
          WHERE a.attrelid = r.rel AND a.attnum > 0 AND NOT a.attisdropped), '|',
        (SELECT string_agg(concat_ws(' ', i.indisprimary, i.indnkeyatts, i.indkey), ','
                           ORDER BY i.indisprimary, i.indnkeyatts, i.indkey::text)
           FROM pg_index i
          WHERE i.indrelid = r.rel AND i.indisunique AND i.indimmediate AND i.indisvalid
            AND i.indpred IS NULL AND i.indexprs IS NULL), '|',
        EXISTS (SELECT FROM pg_rewrite w WHERE w.ev_class = r.rel), '|',
        (SELECT c.relpersistence FROM pg_class c WHERE c.oid = r.rel))))
      FROM (SELECT $1) AS r(rel));
    IF domains THEN
        result := (SELECT concat(result, ':', md5(
            (WITH RECURSIVE d(typ) AS (
                 SELECT a.atttypid FROM pg_attribute a WHERE a.attrelid = r.rel AND a.attnum > 0
                 UNION
                 SELECT CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE t.typelem END
                   FROM d JOIN pg_type t ON t.oid = d.typ
                  WHERE t.typtype = 'd' OR t.typlen = -1 AND t.typelem <> 0)
             SELECT string_agg(concat_ws(' ', t.oid, t.typbasetype, t.typtypmod, t.typnotnull, t.typdefault IS NULL), ','
                               ORDER BY t.oid)
               FROM d JOIN pg_type t ON t.oid = d.typ
              WHERE t.typtype = 'd')))
          FROM (SELECT $1) AS r(rel));
    END IF;
    RETURN result;
END
$$;
COMMENT ON FUNCTION :"schema".columns_signature(oid, boolean) IS
    'What decides how rows are made for a table, as one text: its columns, unique indexes, rules, whether it is logged, and its domains if it has any.';

-- VOLATILE: what is read is what is committed now, whatever the caller's snapshot is.
CREATE FUNCTION :"schema".columns_now(rel oid, signature text) RETURNS boolean LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, :"schema", pg_temp
AS $$
BEGIN
    IF columns_signature(rel, split_part(signature, ':', 3) <> '') IS DISTINCT FROM signature THEN
        RAISE EXCEPTION USING ERRCODE = 'SK003',
            MESSAGE = format('the columns of table %s have changed', coalesce(rel::regclass::text, 'unknown'));
    END IF;
    RETURN true;
END
$$;
COMMENT ON FUNCTION :"schema".columns_now(oid, text) IS
    'Raises SK003 unless the table has this signature now. Called by pgsinkd before a rejected record becomes a dead letter.';

-- A guard that is folded into the plan of the statement that stores rows. The plan is made after the lock of the table
-- is held; the planner computes this call, because it is IMMUTABLE and has constant arguments, and it reads what is
-- committed then, because columns_now() is VOLATILE. The result is a constant of a plan that any change of the table
-- throws away. So it costs nothing as long as the plan is good, and a table that is altered while the statement waits
-- for its lock is noticed as well. For nothing else: it is not immutable.
CREATE FUNCTION :"schema".columns_are(rel regclass, signature text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE
    SET search_path = pg_catalog, :"schema", pg_temp
AS $$
BEGIN
    RETURN columns_now(rel, signature);
END
$$;
COMMENT ON FUNCTION :"schema".columns_are(regclass, text) IS
    'Internal: a guard in the plan of the statements that store rows; raises SK003 unless the table has this signature.';

INSERT INTO :"schema".schema_version (version) VALUES (7);
