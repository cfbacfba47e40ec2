"""Values in Avro, written and read by Apache Avro's own library for Python, and framed as Confluent's serializer does."""

import io
import json
import struct

import avro.io
import avro.schema


def record(name, *fields, namespace="shop"):
    listed = [{"name": name, "type": type_} for name, type_ in fields]
    return {"type": "record", "name": name, "namespace": namespace, "fields": listed}


def encode(schema, value):
    out = io.BytesIO()
    avro.io.DatumWriter(avro.schema.parse(json.dumps(schema))).write(value, avro.io.BinaryEncoder(out))
    return out.getvalue()


def framed(number, schema, value):
    return b"\0" + struct.pack(">i", number) + encode(schema, value)


def decode(schema, data):
    return avro.io.DatumReader(avro.schema.parse(json.dumps(schema))).read(avro.io.BinaryDecoder(io.BytesIO(data)))
