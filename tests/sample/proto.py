"""A Protobuf message as ``protoc`` would generate it, made at run time."""

from __future__ import annotations

from typing import Any

from google.protobuf import timestamp_pb2
from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import Default
from google.protobuf.message_factory import GetMessageClass

_FILE = "tests/sample/order.proto"


def order_message() -> Any:
    """Return the class of a message with a field of each kind that contracts have."""
    pool = Default()
    try:
        file = pool.FindFileByName(_FILE)
    except KeyError:
        file = pool.AddSerializedFile(_file().SerializeToString()) or pool.FindFileByName(_FILE)
    return GetMessageClass(file.message_types_by_name["Order"])


def _file() -> FileDescriptorProto:
    file = FileDescriptorProto(
        name=_FILE,
        package="tests.sample",
        syntax="proto3",
        dependency=[timestamp_pb2.DESCRIPTOR.name],
    )
    line = file.message_type.add(name="Line")
    line.field.add(name="sku", number=1, type=9, label=1)
    order = file.message_type.add(name="Order")
    order.field.add(name="order_id", number=1, type=9, label=1)
    order.field.add(name="number", number=2, type=3, label=1)
    order.field.add(name="lines", number=3, type=11, label=3, type_name=".tests.sample.Line")
    order.field.add(
        name="placed_at", number=4, type=11, label=1, type_name=".google.protobuf.Timestamp"
    )
    order.field.add(name="blob", number=5, type=FieldDescriptorProto.TYPE_BYTES, label=1)
    order.field.add(name="note", number=6, type=9, label=1, proto3_optional=True, oneof_index=0)
    order.oneof_decl.add(name="_note")
    return file
