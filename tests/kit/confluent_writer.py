"""Runs in an environment of its own, with Confluent's client for Python from PyPI: see kit/confluent.py.

Reads a job as JSON from stdin, lets Confluent's own serializers write its keys and values, which register the schemas, and
writes one line of JSON for each record: key and value in base64, and the headers that were set.
"""

import base64
import datetime
import decimal
import json
import sys
import uuid

from confluent_kafka.schema_registry import Schema, SchemaReference, SchemaRegistryClient
from confluent_kafka.schema_registry import header_schema_id_serializer, prefix_schema_id_serializer
from confluent_kafka.schema_registry.avro import AvroSerializer
from confluent_kafka.schema_registry.json_schema import JSONSerializer
from confluent_kafka.schema_registry.protobuf import ProtobufSerializer
from confluent_kafka.serialization import MessageField, SerializationContext
from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory

# What JSON has no word for: {"$decimal": "1.50"}
SPECIAL = {
    "$decimal": decimal.Decimal,
    "$bytes": base64.b64decode,
    "$date": datetime.date.fromisoformat,
    "$time": datetime.time.fromisoformat,
    "$datetime": datetime.datetime.fromisoformat,
    "$uuid": uuid.UUID,
    "$tuple": tuple,  # a branch of a union, by its name
}


def special(found):
    [(name, value)] = found.items() if len(found) == 1 else [(None, None)]
    return SPECIAL[name](value) if name in SPECIAL else found


def conf(framing):
    if framing == "header":  # takes what is registered, or it would not learn its GUID
        return {"auto.register.schemas": False, "use.latest.version": True,
                "schema.id.serializer": header_schema_id_serializer}  # fmt: skip
    return {"schema.id.serializer": prefix_schema_id_serializer}


def avro(client, part, options):
    references = [SchemaReference(r["name"], r["subject"], r["version"]) for r in part.get("references", ())]
    return AvroSerializer(client, Schema(part["schema"], "AVRO", references), conf=options)


def json_schema(client, part, options):
    return JSONSerializer(part["schema"], client, conf=options)


def protobuf(client, part, options):
    """schema: a FileDescriptorSet in base64."""
    pool = descriptor_pool.DescriptorPool()
    for file in descriptor_pb2.FileDescriptorSet.FromString(base64.b64decode(part["schema"])).file:
        pool.AddSerializedFile(file.SerializeToString())
    kind = message_factory.GetMessageClass(pool.FindMessageTypeByName(part["message"]))
    write = ProtobufSerializer(kind, client, conf=options | {"use.deprecated.format": False})
    return lambda value, context: write(json_format.ParseDict(value, kind(), descriptor_pool=pool), context)


KINDS = {"AVRO": avro, "JSON": json_schema, "PROTOBUF": protobuf}


def main():
    job = json.load(sys.stdin, object_hook=special)
    client = SchemaRegistryClient({"url": job["registry"]})
    parts = [(field, job[field]) for field in (MessageField.KEY, MessageField.VALUE)]
    writers = {field: KINDS[part["kind"]](client, part, conf(job["framing"])) for field, part in parts}
    for values in zip(*(part["values"] for _, part in parts), strict=True):
        headers, texts = [], []
        for (field, _), value in zip(parts, values, strict=True):
            data = writers[field](value, SerializationContext(job["topic"], field, headers))
            texts.append(base64.b64encode(data).decode())
        print(json.dumps([*texts, [[name, base64.b64encode(text).decode()] for name, text in headers]]))


if __name__ == "__main__":
    main()
