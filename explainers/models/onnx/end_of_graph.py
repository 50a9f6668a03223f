"""What an ONNX file computes last, read from its bytes: the runtime does not tell."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

# Operations that pass values on, or pick, join or limit them.
PASSING = frozenset(
    ("Cast", "Clip", "Concat", "Flatten", "Gather", "Identity", "Reshape", "Slice", "Squeeze", "Unsqueeze")
)
# Field numbers of ModelProto, GraphProto, NodeProto and ValueInfoProto in onnx.proto3.
GRAPH, NODE, OUTPUT, NAME = 7, 1, 12, 1
NODE_INPUT, NODE_OUTPUT, NODE_TYPE = 1, 2, 4


@dataclass
class _Node:
    kind: str = ""
    inputs: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)


def end_of_file(data: bytes) -> str | None:
    """The operation that the file's output comes out of, such as "Softmax"; what merely passes values on is looked
    through. None where it cannot be told."""
    try:
        graph = b"".join(value for number, value in _fields(data) if number == GRAPH)
        nodes = [_node(value) for number, value in _fields(graph) if number == NODE]
        results = [_text(value, NAME) for number, value in _fields(graph) if number == OUTPUT]
    except (IndexError, ValueError):  # no protocol buffer, or one with fields that are not known
        return None
    makers = {name: node for node in nodes for name in node.outputs}
    return _end(results[0], makers, 0) if len(results) == 1 else None


def _end(name: str, makers: dict[str, _Node], depth: int) -> str | None:
    node = makers.get(name)
    if node is None or depth > 50:
        return None
    if node.kind not in PASSING:
        return node.kind
    sources = node.inputs if node.kind == "Concat" else node.inputs[:1]
    ends = {_end(source, makers, depth + 1) for source in sources}
    return ends.pop() if len(ends) == 1 else None


def _node(data: bytes) -> _Node:
    node = _Node()
    for number, value in _fields(data):
        if number == NODE_INPUT:
            node.inputs.append(value.decode())
        elif number == NODE_OUTPUT:
            node.outputs.append(value.decode())
        elif number == NODE_TYPE:
            node.kind = value.decode()
    return node


def _text(data: bytes, wanted: int) -> str:
    return next((value.decode() for number, value in _fields(data) if number == wanted), "")


def _fields(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Fields of a protocol buffer that have a length (texts and messages), by their numbers."""
    at = 0
    while at < len(data):
        key, at = _number(data, at)
        number, kind = key >> 3, key & 7
        if kind == 2:
            length, at = _number(data, at)
            if at + length > len(data):
                raise ValueError("cut off")
            yield number, data[at : at + length]
            at += length
        elif kind == 0:
            _, at = _number(data, at)
        elif kind in (1, 5):
            at += 8 if kind == 1 else 4
        else:
            raise ValueError(f"wire type {kind}")


def _number(data: bytes, at: int) -> tuple[int, int]:
    """A varint, and where it ends."""
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
