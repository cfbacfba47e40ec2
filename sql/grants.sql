-- What roles need that do not own the schema; each of the three variables may be left out:
--     psql -X -v ON_ERROR_STOP=1 -v schema=pgsinkd -v role=pgsinkd -v reader=watcher -v operator=oncall -f grants.sql
--
-- Functions run with the caller's rights, so whoever calls one can do no more by it than by SQL of his own; only the
-- two triggers of the ledger that write history run with their owner's, and they note what has happened. The others could
-- do so as well; then EXECUTE, which PUBLIC has unless it was taken away, would be all that it takes to move a partition.
-- So an operator has rights on those columns that the functions change.

-- role: the daemon. Each target table needs INSERT besides:  GRANT INSERT ON public.orders TO pgsinkd;
\if :{?role}
GRANT USAGE ON SCHEMA :"schema" TO :"role";
GRANT SELECT ON :"schema".schema_version TO :"role";
GRANT SELECT, INSERT, UPDATE ON :"schema".offsets TO :"role";
GRANT SELECT, INSERT ON :"schema".gaps, :"schema".topic_entries, :"schema".schemas TO :"role";
GRANT SELECT, INSERT, UPDATE ON :"schema".partitions, :"schema".static_members TO :"role";
GRANT SELECT, INSERT, UPDATE, DELETE ON :"schema".dead_letters TO :"role";
GRANT SELECT, INSERT, DELETE ON :"schema".paused TO :"role";
GRANT SELECT, INSERT, UPDATE, DELETE ON :"schema".seeks, :"schema".heartbeats TO :"role";
GRANT SELECT, INSERT, DELETE ON :"schema".history TO :"role";
GRANT SELECT, INSERT, UPDATE, DELETE ON :"schema".history_starts TO :"role";
-- PUBLIC has this right unless ALTER DEFAULT PRIVILEGES took it away.
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA :"schema" TO :"role";
GRANT SELECT ON :"schema".lag, :"schema".status, :"schema".standing, :"schema".instances, :"schema".dead_letters_text
   TO :"role";
\endif

-- reader and operator both see everything but what records hold. Keys, values and headers of dead letters are not
-- granted, nor their message, which may quote the record. The choice is yours:
--     GRANT SELECT ON pgsinkd.dead_letters, pgsinkd.dead_letters_text TO watcher;
-- The reason in `standing` and the last error in `instances` and `status` are granted. They may quote the one record
-- that a partition has stopped at, as the log does. This list is the only one: "watchers" are those of the two roles
-- that were named.
\unset watchers
\if :{?reader}
\set watchers :"reader"
\endif
\if :{?operator}
\if :{?reader}
\set watchers :"reader" , :"operator"
\else
\set watchers :"operator"
\endif
\endif
\if :{?watchers}
GRANT USAGE ON SCHEMA :"schema" TO :watchers;
GRANT SELECT ON :"schema".schema_version, :"schema".offsets, :"schema".gaps, :"schema".partitions,
      :"schema".topic_entries, :"schema".static_members, :"schema".paused, :"schema".seeks, :"schema".heartbeats,
      :"schema".lag, :"schema".status, :"schema".standing, :"schema".instances, :"schema".history,
      :"schema".history_starts, :"schema".schemas
   TO :watchers;
GRANT SELECT (sink, topic, partition, "offset", route, timestamp, error_class, sqlstate, "column", failed_at, attempts,
              replay_requested_at) ON :"schema".dead_letters TO :watchers;
GRANT EXECUTE ON FUNCTION :"schema".text_of(bytea), :"schema".verify(text) TO :watchers;
\endif

-- operator: pause(), resume(), seek(), reset(), replay(), discard(); deletes old rows of gaps, and what is known of a
-- registry that was made again. Of dead letters it sees
-- no more than a reader, so it may replay and discard what it cannot read.
\if :{?operator}
GRANT UPDATE (next_offset, leader_epoch, owner_epoch, updated_at, fp_offset, fp_crc, standing, standing_since,
              standing_reason, standing_sqlstate, standing_hint, standing_retry_at), DELETE
   ON :"schema".offsets TO :"operator";
GRANT UPDATE (first_offset, first_reason, first_at, cluster_id, topic_id) ON :"schema".partitions TO :"operator";
GRANT INSERT, DELETE ON :"schema".paused TO :"operator";
-- What it moves is noted in history by triggers, with the owner's rights. So it needs no right to insert there, by which
-- it could hide a hole from verify().
GRANT INSERT, UPDATE, DELETE ON :"schema".seeks TO :"operator";
GRANT UPDATE (replay_requested_at), DELETE ON :"schema".dead_letters TO :"operator";
GRANT DELETE ON :"schema".gaps, :"schema".schemas TO :"operator";
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA :"schema" TO :"operator";
\endif
