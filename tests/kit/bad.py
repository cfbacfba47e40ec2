"""Bad records of every kind, and a table that refuses them."""

import json

TABLE = """
CREATE TABLE parents (id int PRIMARY KEY);
INSERT INTO parents VALUES (1);
CREATE TYPE mood AS ENUM ('sad', 'ok');
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.note = 'refuse me' THEN
        RAISE EXCEPTION 'this record is refused';
    END IF;
    RETURN NEW;
END $$;
CREATE TABLE events (
    seq bigint GENERATED ALWAYS AS IDENTITY, _partition int NOT NULL, _offset bigint NOT NULL,
    id bigint NOT NULL, note text,
    small int2, real float4, exact numeric(6, 2), short varchar(5), narrow char(3), flag bool, uid uuid,
    day date, at timestamptz, clock time, bytes bytea, document jsonb,
    positive int CHECK (positive > 0), once int UNIQUE, parent int REFERENCES parents
);
CREATE TRIGGER refuse BEFORE INSERT ON events FOR EACH ROW EXECUTE FUNCTION refuse();
"""

# name -> the bytes of the record; None = tombstone
BAD = {
    "not json": b"hello",
    "cut off": b'{"id": 1, "note": "x"',
    "nothing": b"",
    "two documents": b'{"id": 1} {"id": 2}',
    "json null": b"null",
    "json array": b"[1, 2]",
    "json number": b"17",
    "tombstone": None,
    "bad utf-8": b'{"id": 1, "note": "\xff\xfe"}',
    "lone surrogate": b'{"id": 1, "note": "\\ud800"}',
    "nul in text": b'{"id": 1, "note": "a\\u0000b"}',
    "nul in jsonb": b'{"id": 1, "document": {"a": "\\u0000"}}',
    "null for not null": b'{"id": null}',
    "not null is missing": b'{"note": "x"}',
    "text for a number": b'{"id": "abc"}',
    "fraction for an integer": b'{"id": 1.5}',
    "object for a number": b'{"id": {"a": 1}}',
    "bigint out of range": b'{"id": 9223372036854775808}',
    "smallint out of range": b'{"id": 1, "small": 32768}',
    "real out of range": b'{"id": 1, "real": 1e300}',
    "numeric too big": b'{"id": 1, "exact": 12345.67}',
    "varchar too long": b'{"id": 1, "short": "sixsix"}',
    "char too long": b'{"id": 1, "narrow": "four"}',
    "text for a boolean": b'{"id": 1, "flag": "maybe"}',
    "bad uuid": b'{"id": 1, "uid": "a0eebc99-9c0b-4ef8-bb6d"}',
    "bad date": b'{"id": 1, "day": "2026-02-30"}',
    "bad timestamp": b'{"id": 1, "at": "yesterday-ish"}',
    "bad time": b'{"id": 1, "clock": "25:00:00"}',
    "bad bytea": b'{"id": 1, "bytes": "***"}',
    "check constraint": b'{"id": 1, "positive": -1}',
    "unique constraint": b'{"id": 1, "once": 1}',
    "foreign key": b'{"id": 1, "parent": 99}',
    "trigger exception": b'{"id": 1, "note": "refuse me"}',
}
COLUMN = {  # what the error line must name, where one column is to blame
    "nul in text": "note", "nul in jsonb": "document", "null for not null": "id", "not null is missing": "id",
    "text for a number": "id", "fraction for an integer": "id", "object for a number": "id",
    "bigint out of range": "id", "smallint out of range": "small", "real out of range": "real",
    "numeric too big": "exact", "varchar too long": "short", "char too long": "narrow",
    "text for a boolean": "flag", "bad uuid": "uid", "bad date": "day", "bad timestamp": "at",
    "bad time": "clock", "bad bytea": "bytes",
}  # fmt: skip


def contents(record):
    """Not of bad records: the checker asks only for those that are rows."""
    document = json.loads(record.value)
    return {"id": document["id"], "note": document.get("note")}
