-- What the role that pgsinkd connects as needs when somebody else owns the schema:
--     psql -X -v ON_ERROR_STOP=1 -v schema=pgsinkd -v role=pgsinkd -f grants.sql
-- Each target table needs INSERT besides:  GRANT INSERT ON public.orders TO pgsinkd;
GRANT USAGE ON SCHEMA :"schema" TO :"role";
GRANT SELECT ON :"schema".schema_version TO :"role";
GRANT SELECT, INSERT, UPDATE ON :"schema".offsets TO :"role";
GRANT SELECT, INSERT ON :"schema".gaps, :"schema".topic_entries TO :"role";
GRANT SELECT, INSERT, UPDATE ON :"schema".partitions, :"schema".static_members TO :"role";
GRANT SELECT, INSERT, UPDATE, DELETE ON :"schema".dead_letters TO :"role";
GRANT SELECT, INSERT, DELETE ON :"schema".paused TO :"role";
GRANT SELECT, INSERT, UPDATE, DELETE ON :"schema".seeks, :"schema".heartbeats TO :"role";
-- PUBLIC has this right unless ALTER DEFAULT PRIVILEGES took it away.
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA :"schema" TO :"role";
GRANT SELECT ON :"schema".lag, :"schema".status, :"schema".standing, :"schema".dead_letters_text TO :"role";
GRANT SELECT, INSERT, DELETE ON :"schema".history TO :"role";
GRANT SELECT, INSERT, UPDATE ON :"schema".history_starts TO :"role";
