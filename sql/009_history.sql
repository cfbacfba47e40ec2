-- Step 9: a history of what moved the ledger, and the proof from it that nothing was left out.
--
-- With `audit: true` each transaction of the daemon writes one row of history, with the spans that it has moved. What
-- moves a partition otherwise (a gap, an operator) leaves a row there as well, whatever `audit` says: that is rare, and
-- happens in triggers that a transaction of the daemon never fires. verify() reads all of it.
--
-- The ids of the rows of one partition rise in the order of their transactions: each takes its id while it holds the
-- lock of the partition's row of the ledger.
--
-- Undo, when no daemon runs: DROP FUNCTION pgsinkd.verify, pgsinkd.trim_history; DROP TRIGGER moved ON pgsinkd.offsets;
-- DROP TRIGGER begun ON pgsinkd.offsets; DROP TRIGGER passed ON pgsinkd.gaps; DROP FUNCTION pgsinkd.note_move_row; make
-- tell() as in step 4; DROP FUNCTION pgsinkd.note_move; DROP TABLE pgsinkd.history, pgsinkd.history_starts;
-- DELETE FROM pgsinkd.schema_version WHERE version = 9.

CREATE TABLE :"schema".history (
    sink         text COLLATE "C" NOT NULL,
    id           bigint           NOT NULL GENERATED ALWAYS AS IDENTITY,
    kind         text             NOT NULL DEFAULT 'store',
    owner        text,
    xid          xid8             NOT NULL DEFAULT pg_current_xact_id(),
    committed_at timestamptz      NOT NULL DEFAULT clock_timestamp(),
    duration_ms  double precision NOT NULL DEFAULT extract(epoch FROM clock_timestamp() - now())::double precision * 1000,
    topics       text[]           NOT NULL,
    partitions   integer[]        NOT NULL,
    froms        bigint[]         NOT NULL,
    nexts        bigint[]         NOT NULL,
    records      bigint           NOT NULL DEFAULT 0,
    "rows"       bigint           NOT NULL DEFAULT 0,
    dead_letters bigint           NOT NULL DEFAULT 0,
    bytes        bigint           NOT NULL DEFAULT 0,
    PRIMARY KEY (sink, id)
);
COMMENT ON TABLE :"schema".history IS
    'What has moved next_offset: with audit: true one row for each transaction of the daemon, written in that transaction, and for each partition that it begins; and in any case one for each gap and each move by hand. verify() proves from it that no offset was left out. Kept for history_retention.';
COMMENT ON COLUMN :"schema".history.sink IS 'Name of the sink, from its configuration.';
COMMENT ON COLUMN :"schema".history.id IS
    'Rises, for each partition, in the order of the transactions. Numbers may be missing: of what was rolled back.';
COMMENT ON COLUMN :"schema".history.kind IS
    'store: a transaction of the daemon. replay: one that has tried dead letters again; its spans are their offsets. gap: kafka.on_gap has passed offsets. seek: next_offset was set by hand. begin: the row of the ledger is new. reset: it was deleted, by reset() or by hand, and what is older counts no more.';
COMMENT ON COLUMN :"schema".history.owner IS
    'Who: the process, host:pid:random; or the role, where it was done by hand.';
COMMENT ON COLUMN :"schema".history.xid IS 'The transaction, as pg_current_xact_id() says.';
COMMENT ON COLUMN :"schema".history.committed_at IS
    'When the row was written: the last thing before COMMIT. A transaction cannot know when its COMMIT ends.';
COMMENT ON COLUMN :"schema".history.duration_ms IS
    'How long the transaction had taken by then, in milliseconds, as the server sees it: without COMMIT, and without the time in which the batch was collected.';
COMMENT ON COLUMN :"schema".history.topics IS 'Topic of each span; the next three have its other fields at the same place.';
COMMENT ON COLUMN :"schema".history.partitions IS 'Partition of each span.';
COMMENT ON COLUMN :"schema".history.froms IS
    'next_offset of each span before the transaction; NULL = there was no row of the ledger.';
COMMENT ON COLUMN :"schema".history.nexts IS 'next_offset of each span after it; NULL = the row of the ledger was deleted.';
COMMENT ON COLUMN :"schema".history.records IS
    'Records of the transaction. Fewer than the offsets of its spans where Kafka has offsets without a record.';
COMMENT ON COLUMN :"schema".history."rows" IS
    'Rows that these records made, deletes included. Of several with one key only the last need have been sent.';
COMMENT ON COLUMN :"schema".history.dead_letters IS 'Dead letters that these records made.';
COMMENT ON COLUMN :"schema".history.bytes IS 'Bytes of rows and dead letters, as they were encoded for PostgreSQL.';

CREATE TABLE :"schema".history_starts (
    sink        text COLLATE "C" NOT NULL,
    topic       text COLLATE "C" NOT NULL,
    partition   integer          NOT NULL,
    next_offset bigint           NOT NULL,
    trimmed     boolean          NOT NULL,
    after_id    bigint           NOT NULL,
    noted_at    timestamptz      NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (sink, topic, partition)
);
COMMENT ON TABLE :"schema".history_starts IS
    'Where the history of each partition begins, kept by trim_history(), so that verify() notices when the oldest rows of history were taken away otherwise.';
COMMENT ON COLUMN :"schema".history_starts.sink IS 'Name of the sink, from its configuration.';
COMMENT ON COLUMN :"schema".history_starts.topic IS 'Kafka topic.';
COMMENT ON COLUMN :"schema".history_starts.partition IS 'Kafka partition.';
COMMENT ON COLUMN :"schema".history_starts.next_offset IS 'Its first row begins here, if it is not trimmed: here at the latest.';
COMMENT ON COLUMN :"schema".history_starts.trimmed IS
    'Older rows were deleted for their age; false: history was begun by a daemon with audit: true.';
COMMENT ON COLUMN :"schema".history_starts.after_id IS
    'A row of history that is not newer: if a reset is newer than that, this was forgotten with the partition.';
COMMENT ON COLUMN :"schema".history_starts.noted_at IS 'When this was written.';

-- A role that may move a partition but not write history can still do so: then verify() has no explanation.
CREATE FUNCTION :"schema".note_move(kind text, owner text, sink text, topic text, partition integer,
                                    from_offset bigint, next_offset bigint)
    RETURNS void LANGUAGE plpgsql
    SET search_path = pg_catalog, :"schema", pg_temp
AS $$
BEGIN
    INSERT INTO history (sink, kind, owner, topics, partitions, froms, nexts)
    VALUES ($3, $1, $2, ARRAY[$4], ARRAY[$5], ARRAY[$6], ARRAY[$7]);
EXCEPTION WHEN insufficient_privilege THEN
    NULL;
END
$$;
COMMENT ON FUNCTION :"schema".note_move(text, text, text, text, integer, bigint, bigint) IS
    'Internal: a row of history for what has moved a partition without storing.';

CREATE FUNCTION :"schema".note_move_row() RETURNS trigger LANGUAGE plpgsql
    SET search_path = pg_catalog, :"schema", pg_temp
AS $$
BEGIN
    IF TG_ARGV[0] = 'gap' THEN
        PERFORM note_move('gap', (SELECT o.owner FROM offsets o WHERE o.sink = NEW.sink AND o.topic = NEW.topic
                                     AND o.partition = NEW.partition),
                          NEW.sink, NEW.topic, NEW.partition, NEW.from_offset, NEW.next_offset);
    ELSIF TG_OP = 'INSERT' THEN
        IF current_setting('pgsinkd.audit', true) = 'on' THEN -- else what it stores next leaves no row
            PERFORM note_move('begin', coalesce(NEW.owner, current_user), NEW.sink, NEW.topic, NEW.partition, NULL,
                              NEW.next_offset);
        END IF;
    ELSE
        PERFORM note_move('seek', current_user, NEW.sink, NEW.topic, NEW.partition, OLD.next_offset, NEW.next_offset);
    END IF;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION :"schema".note_move_row() IS 'Internal: what moves a partition leaves a row of history.';

-- seek() sets owner_epoch, and so does claim(); advance() does not, so it never asks the WHEN.
CREATE TRIGGER moved AFTER UPDATE OF owner_epoch ON :"schema".offsets FOR EACH ROW
    WHEN (OLD.next_offset <> NEW.next_offset AND OLD.updated_at <> NEW.updated_at)
    EXECUTE FUNCTION :"schema".note_move_row();
COMMENT ON TRIGGER moved ON :"schema".offsets IS 'seek() leaves a row of history.';
CREATE TRIGGER begun AFTER INSERT ON :"schema".offsets FOR EACH ROW
    EXECUTE FUNCTION :"schema".note_move_row();
COMMENT ON TRIGGER begun ON :"schema".offsets IS
    'The beginning of a partition leaves a row of history, with audit: true.';
CREATE TRIGGER passed AFTER INSERT ON :"schema".gaps FOR EACH ROW
    EXECUTE FUNCTION :"schema".note_move_row('gap');
COMMENT ON TRIGGER passed ON :"schema".gaps IS 'A gap leaves a row of history.';

-- An UPDATE by hand leaves updated_at alone, and is what the trigger moved_by_hand looks for.
CREATE OR REPLACE FUNCTION :"schema".tell() RETURNS trigger LANGUAGE plpgsql
    SET search_path = pg_catalog, :"schema", pg_temp
AS $$
BEGIN
    IF TG_LEVEL = 'STATEMENT' THEN
        PERFORM pg_notify('pgsinkd', '');
    ELSIF TG_OP = 'DELETE' THEN
        PERFORM note_move('reset', current_user, OLD.sink, OLD.topic, OLD.partition, OLD.next_offset, NULL);
        PERFORM pg_notify('pgsinkd', OLD.sink);
    ELSIF (OLD.sink, OLD.topic, OLD.partition, OLD.next_offset, OLD.owner_epoch)
       <> (NEW.sink, NEW.topic, NEW.partition, NEW.next_offset, NEW.owner_epoch) THEN
        IF OLD.next_offset <> NEW.next_offset THEN
            PERFORM note_move('seek', current_user, NEW.sink, NEW.topic, NEW.partition, OLD.next_offset,
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

-- A prefix of the rows goes, in the order of their ids, so that what is left of each partition is without a hole. Where
-- it ended is kept, unless a reset has ended it. A row of the ledger that is just being deleted is passed: its reset may
-- have a lower id than the newest row that is seen here.
CREATE FUNCTION :"schema".trim_history(sink text, keep interval, max_rows integer)
    RETURNS bigint LANGUAGE plpgsql
    SET search_path = pg_catalog, :"schema", pg_temp
AS $$
#variable_conflict use_column
DECLARE
    bound bigint;
    deleted bigint;
BEGIN
    INSERT INTO history_starts (sink, topic, partition, next_offset, trimmed, after_id)
    SELECT o.sink, o.topic, o.partition, o.next_offset, false, newest.id
      FROM offsets o
     CROSS JOIN (SELECT coalesce(max(h.id), 0) AS id FROM history h WHERE h.sink = trim_history.sink) AS newest
     WHERE o.sink = trim_history.sink
       AND NOT EXISTS (SELECT FROM history_starts s
                        WHERE s.sink = o.sink AND s.topic = o.topic AND s.partition = o.partition)
       FOR KEY SHARE OF o SKIP LOCKED
    ON CONFLICT DO NOTHING;
    SELECT coalesce(min(f.id) FILTER (WHERE f.committed_at >= now() - trim_history.keep), max(f.id) + 1) INTO bound
      FROM (SELECT h.id, h.committed_at FROM history h
             WHERE h.sink = trim_history.sink
             ORDER BY h.id
             LIMIT max_rows) f;
    WITH gone AS (
        DELETE FROM history h WHERE h.sink = trim_history.sink AND h.id < bound
        RETURNING h.id, h.kind, h.committed_at, h.topics, h.partitions, h.nexts
    ), ended AS ( -- the last row of each partition, and whether any anchors its chain, as in verify()
        SELECT DISTINCT ON (u.topic, u.partition) u.topic COLLATE "C" AS topic, u.partition, u.next_offset, g.kind, g.id,
               g.committed_at,
               bool_or(g.kind IN ('store', 'begin')) OVER (PARTITION BY u.topic, u.partition) AS anchors
          FROM gone g, unnest(g.topics, g.partitions, g.nexts) AS u(topic, partition, next_offset)
         WHERE g.kind <> 'replay'
         ORDER BY u.topic, u.partition, g.id DESC
    ), kept AS (
        INSERT INTO history_starts AS s (sink, topic, partition, next_offset, trimmed, after_id)
        SELECT trim_history.sink, e.topic, e.partition, e.next_offset, true, e.id
          FROM ended e
          LEFT JOIN history_starts b ON b.sink = trim_history.sink AND b.topic = e.topic AND b.partition = e.partition
         WHERE e.kind <> 'reset' AND (e.anchors OR b.trimmed OR b.noted_at <= e.committed_at)
        ON CONFLICT (sink, topic, partition) DO UPDATE
           SET next_offset = excluded.next_offset, trimmed = true, after_id = excluded.after_id,
               noted_at = clock_timestamp()
    ), forgotten AS (
        DELETE FROM history_starts s USING ended e
         WHERE e.kind = 'reset' AND s.sink = trim_history.sink AND s.topic = e.topic AND s.partition = e.partition
           AND s.after_id < e.id
    )
    SELECT count(*) INTO deleted FROM gone;
    RETURN deleted;
END
$$;
COMMENT ON FUNCTION :"schema".trim_history(text, interval, integer) IS
    'Deletes rows of history that are older than keep, of the oldest max_rows; writes down where the history of each partition begins; returns how many rows are gone. Called by pgsinkd with audit: true, at most once a minute.';

-- One statement, so one snapshot: exact while a daemon runs. It sorts the history of the sink once, by partition and id.
--
--     start     step 1         step 2             last step      ledger
--     offset <= [from, next) = [from, next) ... = [from, next) = next_offset
--
-- A step that is not `store` explains itself; between two steps nothing does. What an operator did before the first
-- transaction of history, or before an auditing daemon noted the start, belongs to no chain; nor does anything from
-- before the last reset.
CREATE FUNCTION :"schema".verify(sink text)
    RETURNS TABLE (topic text, partition integer, from_offset bigint, next_offset bigint, what text, detail text)
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, :"schema", pg_temp
    SET jit = off SET work_mem = '64MB'
AS $$
WITH forgot AS (
    SELECT DISTINCT ON (u.topic, u.partition) u.topic, u.partition, u.f, h.id, h.owner, h.xid, h.committed_at
      FROM history h CROSS JOIN LATERAL (SELECT h.topics[1] COLLATE "C", h.partitions[1], h.froms[1]) AS u(topic, partition, f)
     WHERE h.sink = $1 AND h.kind = 'reset'
     ORDER BY u.topic, u.partition, h.id DESC
), start AS (
    SELECT s.topic, s.partition, s.next_offset, s.trimmed, s.noted_at
      FROM history_starts s LEFT JOIN forgot r ON r.topic = s.topic AND r.partition = s.partition
     WHERE s.sink = $1 AND (r.id IS NULL OR s.after_id >= r.id)
), step AS (
    SELECT h.id, h.kind, h.owner, h.xid, h.committed_at, u.topic COLLATE "C" AS topic, u.partition, u.f, u.n,
           hashtextextended(u.topic COLLATE "C", 0) AS hash -- which is sorted faster than the name
      FROM history h CROSS JOIN LATERAL unnest(h.topics, h.partitions, h.froms, h.nexts) AS u(topic, partition, f, n)
     WHERE h.sink = $1 AND h.kind NOT IN ('replay', 'reset')
), anchored AS (
    SELECT c.*, bool_or(c.kind IN ('store', 'begin')) OVER (PARTITION BY c.partition, c.hash, c.topic
                                                            ORDER BY c.id ROWS UNBOUNDED PRECEDING)
                OR coalesce(s.trimmed OR s.noted_at <= c.committed_at, false) AS counts
      FROM step c
      LEFT JOIN start s ON s.topic = c.topic AND s.partition = c.partition
      LEFT JOIN forgot r ON r.topic = c.topic AND r.partition = c.partition
     WHERE r.id IS NULL OR c.id > r.id
), chain AS (
    SELECT c.*, lag(c.n) OVER w AS before, lag(c.committed_at) OVER w AS before_at, lead(c.id) OVER w AS after
      FROM anchored c
     WHERE c.counts
    WINDOW w AS (PARTITION BY c.partition, c.hash, c.topic ORDER BY c.id)
), told AS ( -- of each partition: the ends of its chain, what is not a plain step, and where two do not meet
    SELECT c.topic, c.partition, count(*) FILTER (WHERE c.kind = 'store') AS transactions,
           min(c.f) FILTER (WHERE c.before IS NULL) AS first_from, bool_or(c.before IS NULL AND c.kind = 'begin') AS begins,
           min(c.n) FILTER (WHERE c.before IS NULL) AS first_next, min(c.committed_at) AS first_at,
           min(c.n) FILTER (WHERE c.after IS NULL) AS last_next, max(c.committed_at) AS last_at,
           array_agg(c.id ORDER BY c.id) FILTER (WHERE c.kind <> 'store' OR c.f <> c.before) AS ids,
           array_agg(c.kind ORDER BY c.id) FILTER (WHERE c.kind <> 'store' OR c.f <> c.before) AS kinds,
           array_agg(c.before ORDER BY c.id) FILTER (WHERE c.kind <> 'store' OR c.f <> c.before) AS befores,
           array_agg(c.before_at ORDER BY c.id) FILTER (WHERE c.kind <> 'store' OR c.f <> c.before) AS befores_at,
           array_agg(c.f ORDER BY c.id) FILTER (WHERE c.kind <> 'store' OR c.f <> c.before) AS froms,
           array_agg(c.n ORDER BY c.id) FILTER (WHERE c.kind <> 'store' OR c.f <> c.before) AS nexts,
           array_agg(c.owner ORDER BY c.id) FILTER (WHERE c.kind <> 'store' OR c.f <> c.before) AS owners,
           array_agg(c.xid ORDER BY c.id) FILTER (WHERE c.kind <> 'store' OR c.f <> c.before) AS xids,
           array_agg(c.committed_at ORDER BY c.id) FILTER (WHERE c.kind <> 'store' OR c.f <> c.before) AS times
      FROM chain c
     GROUP BY c.partition, c.hash, c.topic
), back AS ( -- what was set back, also by what belongs to no chain
    SELECT DISTINCT u.topic COLLATE "C" AS topic, u.partition
      FROM history h CROSS JOIN LATERAL unnest(h.topics, h.partitions, h.froms, h.nexts) AS u(topic, partition, f, n)
     WHERE h.sink = $1 AND h.kind IN ('gap', 'seek', 'begin') AND (u.n < u.f OR h.kind = 'begin')
), known AS ( -- every partition that anything is known of
    SELECT o.topic, o.partition FROM offsets o WHERE o.sink = $1
    UNION SELECT t.topic, t.partition FROM told t
    UNION SELECT s.topic, s.partition FROM start s
), part AS (
    SELECT k.topic, k.partition, o.next_offset AS ledger, s.next_offset AS start, s.trimmed, s.noted_at, t.transactions,
           t.first_from, t.begins, t.first_next, t.first_at, t.last_next, t.last_at, r.id AS reset_id,
           r.f AS reset_from, r.owner AS reset_by, r.committed_at AS reset_at, r.xid AS reset_xid,
           b.topic IS NOT NULL OR r.id IS NOT NULL AS is_set_back,
           -- where the proof begins
           CASE WHEN s.trimmed THEN s.next_offset
                WHEN t.topic IS NOT NULL THEN coalesce(t.first_from, t.first_next)
                ELSE s.next_offset END AS proven_from,
           coalesce(t.last_next, s.next_offset) AS ends,
           (SELECT count(*) FROM dead_letters d
             WHERE d.sink = $1 AND d.topic = k.topic AND d.partition = k.partition) AS letters,
           (SELECT count(*) FROM dead_letters d
             WHERE d.sink = $1 AND d.topic = k.topic AND d.partition = k.partition
               AND d."offset" >= o.next_offset) AS letters_ahead,
           (SELECT count(*) FROM gaps g
             WHERE g.sink = $1 AND g.topic = k.topic AND g.partition = k.partition) AS gaps,
           (SELECT max(g.next_offset) FROM gaps g
             WHERE g.sink = $1 AND g.topic = k.topic AND g.partition = k.partition
               AND g.next_offset > o.next_offset) AS gap_ahead
      FROM known k
      LEFT JOIN offsets o ON o.sink = $1 AND o.topic = k.topic AND o.partition = k.partition
      LEFT JOIN start s ON s.topic = k.topic AND s.partition = k.partition
      LEFT JOIN forgot r ON r.topic = k.topic AND r.partition = k.partition
      LEFT JOIN told t ON t.topic = k.topic AND t.partition = k.partition
      LEFT JOIN back b ON b.topic = k.topic AND b.partition = k.partition
), found AS (
    -- between two rows
    SELECT t.topic, t.partition, least(j.before, j.f) AS f, greatest(j.before, j.f) AS n,
           CASE WHEN j.f > j.before THEN 'hole' ELSE 'overlap' END AS what,
           format(CASE WHEN j.f > j.before THEN 'no row of history between %s and %s: audit was off, or rows were deleted'
                       ELSE 'offsets were passed twice, without a move in between, between %s and %s' END,
                  j.before_at, j.at) AS detail, j.id AS place
      FROM told t CROSS JOIN LATERAL unnest(t.ids, t.befores, t.befores_at, t.froms, t.times)
           AS j(id, before, before_at, f, at)
     WHERE j.f <> j.before
    UNION ALL -- what explains itself
    SELECT t.topic, t.partition, coalesce(j.f, j.before), j.n, j.kind,
           format(CASE j.kind WHEN 'gap' THEN 'kafka.on_gap passed these offsets, by %s at %s, transaction %s'
                              WHEN 'seek' THEN 'next_offset was set by hand, by %s at %s, transaction %s'
                              ELSE 'the row of the ledger was made, by %s at %s, transaction %s' END,
                  j.owner, j.at, j.xid), j.id
      FROM told t CROSS JOIN LATERAL unnest(t.ids, t.kinds, t.befores, t.froms, t.nexts, t.owners, t.times, t.xids)
           AS j(id, kind, before, f, n, owner, at, xid)
     WHERE j.kind <> 'store'
    UNION ALL
    SELECT p.topic, p.partition, p.reset_from, NULL, 'reset',
           format('the row of the ledger was deleted, by %s at %s, transaction %s: what is older counts no more',
                  p.reset_by, p.reset_at, p.reset_xid), p.reset_id
      FROM part p
     WHERE p.reset_id IS NOT NULL
    UNION ALL -- before the first row
    SELECT p.topic, p.partition, least(p.start, p.first_from), greatest(p.start, p.first_from),
           CASE WHEN p.first_from > p.start THEN 'hole' ELSE 'overlap' END,
           format('the oldest row of history, of %s, does not begin where history did, as history_starts says: rows were deleted, or audit was off',
                  p.first_at), 0
      FROM part p
     WHERE p.first_from > p.start OR p.trimmed AND p.first_from < p.start
    UNION ALL -- after the last row
    SELECT p.topic, p.partition, least(p.ends, p.ledger), greatest(p.ends, p.ledger),
           CASE WHEN p.ledger > p.ends THEN 'hole' ELSE 'overlap' END,
           format('history ends at offset %s%s, and the ledger says %s', p.ends, ', at ' || p.last_at, p.ledger),
           9223372036854775806
      FROM part p
     WHERE p.ends <> p.ledger
    UNION ALL
    SELECT p.topic, p.partition, p.ends, p.ends, 'no ledger row',
           'its row is gone, and no reset was noted: the partition begins again as kafka.start says', 9223372036854775806
      FROM part p
     WHERE p.ledger IS NULL
    UNION ALL
    SELECT p.topic, p.partition, p.ledger, p.ledger, 'dead letters ahead',
           format('%s dead letters are at next_offset or beyond it, so next_offset was higher when they were written',
                  p.letters_ahead), 9223372036854775807
      FROM part p
     WHERE p.letters_ahead > 0 AND NOT p.is_set_back
    UNION ALL
    SELECT p.topic, p.partition, p.ledger, p.gap_ahead, 'gap ahead',
           'a gap ends beyond next_offset, so next_offset was higher when it was passed', 9223372036854775807
      FROM part p
     WHERE p.gap_ahead IS NOT NULL AND NOT p.is_set_back
), faults AS (
    SELECT f.topic, f.partition, count(*) AS faults
      FROM found f
     WHERE f.what IN ('hole', 'overlap', 'no ledger row', 'dead letters ahead', 'gap ahead')
     GROUP BY f.topic, f.partition
)
SELECT r.topic, r.partition, r.f, r.n, r.what, r.detail
  FROM (SELECT p.topic, p.partition, p.proven_from, p.ledger,
               CASE WHEN f.faults > 0 THEN 'not proven'
                    WHEN p.proven_from IS NULL THEN 'no history'
                    ELSE 'proven' END,
               CASE WHEN f.faults > 0 THEN format('%s findings, %s transactions in history', f.faults,
                                                  coalesce(p.transactions, 0))
                    WHEN p.proven_from IS NULL
                    THEN format('there is no history, so it is not known whether every offset below next_offset was stored; %s dead letters and %s gaps, which fit the ledger',
                                p.letters, p.gaps)
                    ELSE format('every offset of this range was passed once by a transaction, or is explained: %s transactions%s',
                                coalesce(p.transactions, 0), ', from ' || p.first_at || ' to ' || p.last_at) END,
               -1
          FROM part p LEFT JOIN faults f ON f.topic = p.topic AND f.partition = p.partition
        UNION ALL
        SELECT f.topic, f.partition, f.f, f.n, f.what, f.detail, f.place FROM found f
       ) AS r(topic, partition, f, n, what, detail, place)
 ORDER BY r.topic, r.partition, r.place, r.what
$$;
COMMENT ON FUNCTION :"schema".verify(text) IS
    'For operators: proves from history that offsets are contiguous up to next_offset, or lists where they are not. One row for each partition says proven (from_offset to next_offset), not proven, or no history; after it come its findings (hole, overlap, no ledger row, dead letters ahead, gap ahead) and what explains itself (gap, seek, begin, reset). Of what was forgotten by reset(), and has not begun again, it says nothing. Exact while a daemon runs: it reads one snapshot.';

INSERT INTO :"schema".schema_version (version) VALUES (9);
