"""Confluent's own serializers, in an environment of their own: Debian's python3-confluent-kafka is older and lacks them.

tools/lib.sh installs them from PyPI.
"""

import base64
import json
import subprocess
import sys
from pathlib import Path

from kit import kafka, wait

VERSION = "2.16.1"
HOME = kafka.CACHE / f"confluent-kafka-{VERSION}-py{sys.version_info.major}.{sys.version_info.minor}"
PYTHON = HOME / "bin" / "python"
WRITER = Path(__file__).with_name("confluent_writer.py")


def part(schema, values, references=()):
    """Keys or values in Avro. What JSON has no word for: see confluent_writer.py."""
    return {"kind": "AVRO", "schema": json.dumps(schema), "values": values, "references": list(references)}


def json_part(schema, values):
    """In JSON, by a JSON Schema."""
    return {"kind": "JSON", "schema": json.dumps(schema), "values": values}


def protobuf_part(root, text, message, values):
    """In Protobuf: the text of a .proto file, which is compiled in the directory `root`; values as Protobuf's JSON."""
    proto, compiled = root / "test.proto", root / "test.bin"
    proto.write_text(text)
    subprocess.run(["protoc", f"-I{root}", "--include_imports", f"--descriptor_set_out={compiled}", proto], check=True)
    schema = base64.b64encode(compiled.read_bytes()).decode()
    return {"kind": "PROTOBUF", "schema": schema, "message": message, "values": values}


def write(registry, topic, key, value, *, framing="prefix"):
    """[(key, value, headers)] of records whose schemas are registered at that address meanwhile. framing: "header" wants
    them to be registered before."""
    assert PYTHON.exists(), f"no client of Confluent's in {HOME}: run tools/test, it fetches what the tests need"
    job = {"registry": registry, "topic": topic, "framing": framing, "key": key, "value": value}
    done = subprocess.run([PYTHON, WRITER], input=json.dumps(job), capture_output=True, text=True,
                          timeout=60 * wait.FACTOR)  # fmt: skip
    assert done.returncode == 0, done.stderr
    return [(base64.b64decode(its_key), base64.b64decode(data), [(name, base64.b64decode(t)) for name, t in headers])
            for its_key, data, headers in map(json.loads, done.stdout.splitlines())]  # fmt: skip
