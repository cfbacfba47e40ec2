"""Values in Protobuf, written by Google's own library for Python, and framed as Confluent's serializer does."""

import struct
import subprocess
import tempfile
from pathlib import Path

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory


def compiled(text):
    """{full name: class} of the messages of a .proto text, those inside of others too."""
    with tempfile.TemporaryDirectory() as folder:
        file, out = Path(folder, "it.proto"), Path(folder, "it.set")
        file.write_text(text)
        command = ["protoc", "-I", folder, "--include_imports", f"--descriptor_set_out={out}", file]
        subprocess.run(command, check=True)
        pool = descriptor_pool.DescriptorPool()
        for part in descriptor_pb2.FileDescriptorSet.FromString(out.read_bytes()).file:
            pool.Add(part)
    factory = message_factory.MessageFactory(pool)
    found = {}

    def take(messages):
        for message in messages:
            found[message.full_name] = factory.GetPrototype(message)
            take(message.nested_types)

    take(pool.FindFileByName("it.proto").message_types_by_name.values())
    return found


def zigzag(n):
    """A varint as Confluent's frame has it; n is small."""
    return bytes([2 * n])


def framed(number, message, indexes=(0,)):
    """indexes: where the message stands in the file; the first one of the file is a single 0."""
    where = b"\0" if tuple(indexes) == (0,) else b"".join(map(zigzag, (len(indexes), *indexes)))
    return b"\0" + struct.pack(">i", number) + where + message.SerializeToString()
