-- Step 11: what the schema registry has said of the schemas that records name, so that a start, and a replay of old
-- records, need no registry.
--
-- Undo, when no daemon runs: DROP TABLE pgsinkd.schemas; DELETE FROM pgsinkd.schema_version WHERE version = 11.

-- A registry never gives a number to another schema, so a row is written once and never changed. A registry that was
-- made again at the same address does give them out again: then its rows are deleted (docs/registry.md).
CREATE TABLE :"schema".schemas (
    registry   text NOT NULL,
    ref        text NOT NULL,
    type       text NOT NULL,
    text       text NOT NULL,
    refs       jsonb NOT NULL DEFAULT '[]',
    first_seen timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (registry, ref)
);
COMMENT ON TABLE :"schema".schemas IS
    'Schemas that records name, as the registry has said. Written by the daemons, read when they meet a number that they do not know.';
COMMENT ON COLUMN :"schema".schemas.registry IS 'Its first URL, without user and password, and its context.';
COMMENT ON COLUMN :"schema".schemas.ref IS 'What records name it by: id 7, guid 0123..., globalId 7, contentId 7.';
COMMENT ON COLUMN :"schema".schemas.type IS 'AVRO, PROTOBUF or JSON.';
COMMENT ON COLUMN :"schema".schemas.refs IS
    'What it refers to, as {place, name, text}, each before whatever needs it.';

INSERT INTO :"schema".schema_version (version) VALUES (11);
