-- Step 6: rows of the ledger that another session has locked; sessions that a pooler exchanges.
--
-- A locked row holds up its own partition and no other. By hand:
--     psql -X -1 -v ON_ERROR_STOP=1 -v schema=pgsinkd -f 006_locks.sql
-- Undo, after all daemons have been stopped and an older version is installed:
-- DROP FUNCTION pgsinkd.locked(text, text, text[], integer[], text[]), pgsinkd.holder_text(integer, xid),
-- pgsinkd.in_session(text, text), pgsinkd.advance(text, text[], integer[], bigint[], bigint[], bigint[], integer[],
-- bigint[], bigint[], bigint[], integer[], text);
-- DELETE FROM pgsinkd.schema_version WHERE version = 6.

-- Which of these rows are locked against claim() and advance() just now, and by whom. Waits for nothing.
--
-- A row's xmax is the transaction that locks it, which may be a subtransaction, or a multixact if several do. Whoever
-- has the lock on that transaction, and a lock on the table as well (an xid and a multixact may be the same number),
-- holds the row. A process that only waits for the row, as another daemon may, is not meant. to_end: for each place
-- the transaction, as an earlier call has named it, whose session is to be ended; or NULL. A session that this role
-- may not end goes on, and `refused` says why.
CREATE FUNCTION :"schema".locked(sink text, owner text, topics text[], partitions integer[], to_end text[])
    RETURNS TABLE (place integer, mine boolean, xid text, pid integer, holder text, ended integer, refused text)
    LANGUAGE plpgsql
    SET search_path = pg_catalog, :"schema", pg_temp
    SET enable_seqscan = off
    SET lock_timeout = '100ms'
AS $$
#variable_conflict use_column
DECLARE
    ledger constant oid := 'offsets'::regclass;
    role constant text := current_setting('role');
    c record;
    h record;
    row_xmax xid;
    members xid[];
BEGIN
    SELECT string_agg(holder_text(l.pid, NULL), ' and ') INTO holder
      FROM pg_locks l
     WHERE l.locktype = 'relation' AND l.relation = ledger AND l.granted
       AND l.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
       AND l.mode IN ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock');
    IF holder IS NOT NULL THEN
        place := 0; -- the whole table
        RETURN NEXT;
        RETURN;
    END IF;
    xid := ''; -- of the last row: mostly one session holds all of them
    FOR c IN
        SELECT u.topic, u.partition, u.place::integer AS place
          FROM unnest(topics, partitions) WITH ORDINALITY AS u(topic, partition, place)
         ORDER BY u.place
    LOOP
        PERFORM FROM offsets o
          WHERE o.sink = locked.sink AND o.topic = c.topic AND o.partition = c.partition
            FOR NO KEY UPDATE SKIP LOCKED;
        CONTINUE WHEN FOUND;
        SELECT o.xmax, coalesce(o.owner = locked.owner, false) INTO row_xmax, mine
          FROM offsets o
         WHERE o.sink = locked.sink AND o.topic = c.topic AND o.partition = c.partition;
        CONTINUE WHEN NOT FOUND;
        place := c.place;
        ended := 0;
        IF xid <> row_xmax::text THEN
            xid := row_xmax::text;
            pid := NULL;
            holder := NULL;
            refused := NULL;
            members := NULL;
            IF NOT EXISTS (SELECT FROM pg_locks l WHERE l.transactionid = row_xmax AND l.granted) THEN
                BEGIN
                    SELECT array_agg(m.xid) INTO members
                      FROM pg_get_multixact_members(row_xmax) m
                     WHERE m.mode <> 'keysh'; -- which does not stand in our way
                EXCEPTION WHEN OTHERS THEN
                    NULL; -- it is none
                END;
            END IF;
            FOR h IN
                SELECT DISTINCT l.pid, l.transactionid
                  FROM pg_locks l
                 WHERE l.locktype = 'transactionid' AND l.mode = 'ExclusiveLock' AND l.granted
                   AND l.transactionid = ANY (coalesce(members, ARRAY[row_xmax]))
                   AND EXISTS (SELECT FROM pg_locks r
                                WHERE r.locktype = 'relation' AND r.relation = ledger AND r.granted
                                  AND r.virtualtransaction = l.virtualtransaction)
            LOOP
                pid := coalesce(pid, h.pid);
                holder := concat_ws(' and ', holder, holder_text(h.pid, h.transactionid));
                IF h.pid IS NOT NULL AND to_end[c.place] = xid THEN
                    BEGIN
                        ended := ended + pg_terminate_backend(h.pid)::integer;
                    EXCEPTION WHEN insufficient_privilege THEN
                        refused := SQLERRM;
                    END;
                    BEGIN -- with SET role in force: as the role of the login, which may be the session's as well
                        IF refused IS NOT NULL AND role <> 'none' THEN
                            PERFORM set_config('role', 'none', true);
                            ended := ended + pg_terminate_backend(h.pid)::integer;
                            PERFORM set_config('role', role, true);
                            refused := NULL;
                        END IF;
                    EXCEPTION WHEN insufficient_privilege THEN
                        NULL; -- the role is back
                    END;
                END IF;
            END LOOP;
            holder := coalesce(holder, 'a transaction that cannot be found');
        END IF;
        RETURN NEXT;
    END LOOP;
END
$$;
COMMENT ON FUNCTION :"schema".locked(text, text, text[], integer[], text[]) IS
    'The rows of these partitions that another transaction has locked, as places in the arrays, and who that is; place 0 stands for the whole table. Ends the sessions of transactions named in to_end. Called by pgsinkd when a claim or an advance has waited in vain.';

CREATE FUNCTION :"schema".holder_text(pid integer, xid xid) RETURNS text LANGUAGE sql
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT coalesce(
        (SELECT format('process %s (user %s, application %s, %s)', a.pid, quote_literal(a.usename),
                       quote_literal(a.application_name),
                       coalesce(a.state || ', its transaction began ' || to_char(a.xact_start, 'YYYY-MM-DD HH24:MI:SS TZ'),
                                'its state is hidden from this role'))
           FROM pg_stat_activity a WHERE a.pid = holder_text.pid),
        (SELECT format('prepared transaction %s (user %s, since %s)', quote_literal(p.gid), quote_literal(p.owner),
                       to_char(p.prepared, 'YYYY-MM-DD HH24:MI:SS TZ'))
           FROM pg_prepared_xacts p WHERE p.transaction = holder_text.xid),
        'process ' || holder_text.pid)
$$;
COMMENT ON FUNCTION :"schema".holder_text(integer, xid) IS
    'Internal: a session, or a prepared transaction, in words.';

-- A connection leaves a marker in the session that it sets up. A pooler that gives each transaction another session is
-- recognised by it.
CREATE FUNCTION :"schema".in_session(session text, patience text) RETURNS boolean LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF session IS DISTINCT FROM current_setting('pgsinkd.session', true) THEN
        RAISE EXCEPTION USING ERRCODE = 'SK004', MESSAGE = 'this is another session than the one that was set up';
    END IF;
    PERFORM set_config('lock_timeout', patience, true);
    RETURN true;
END
$$;
COMMENT ON FUNCTION :"schema".in_session(text, text) IS
    'Internal: raises SK004 in another session than the one whose marker is given, as a pooler in transaction mode may give us; else sets lock_timeout for the transaction.';

-- As advance() of step 3, which stays for daemons that run while this step is applied; but it does nothing in another
-- session (see in_session()), and does not wait long for a row that somebody has locked (see locked()). Tables are
-- waited for as postgres.lock_timeout says.
CREATE FUNCTION :"schema".advance(sink text, topics text[], partitions integer[], owner_epochs bigint[],
                                  froms bigint[], nexts bigint[], leader_epochs integer[],
                                  last_timestamps_ms bigint[], end_offsets bigint[],
                                  fp_offsets bigint[], fp_crcs integer[], session text)
    RETURNS void LANGUAGE plpgsql
    SET search_path = pg_catalog, :"schema", pg_temp
    SET lock_timeout = '250ms'
AS $$
#variable_conflict use_column
DECLARE
    i integer := 0;
    t text;
BEGIN
    IF session IS DISTINCT FROM current_setting('pgsinkd.session', true) THEN
        PERFORM in_session(session, NULL);
    END IF;
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
                                      bigint[], bigint[], bigint[], integer[], text) IS
    'Moves next_offset of many partitions by compare-and-set; raises SK001 if any of them has moved or was claimed by another. Raises SK004 in another session than the one whose marker is given. -1 stands for unknown. Called by pgsinkd first in every transaction.';

INSERT INTO :"schema".schema_version (version) VALUES (6);
