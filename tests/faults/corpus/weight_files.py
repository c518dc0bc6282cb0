"""Safetensors files that break one rule of the format each, and sound ones at the format's edges."""

import json
import struct
from collections.abc import Mapping
from typing import Any

PAIR = {"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}
EIGHT = bytes(8)


def file_of(header: Mapping[str, Any] | bytes, data: bytes = b"", *, length: int | None = None) -> bytes:
    """Return a file with that header, which claims to be `length` bytes long."""
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(raw) if length is None else length) + raw + data


def tensor(dtype: Any = "F32", shape: Any = (2,), offsets: Any = (0, 8), **more: Any) -> dict[str, Any]:
    """Return one tensor's entry."""
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets, **more}


def one(**entry: Any) -> bytes:
    """Return a file of eight bytes of data with one tensor, whose entry is changed."""
    return file_of({"a": tensor(**entry)}, EIGHT)


def raw_entry(text: str) -> bytes:
    """Return a file whose one tensor is told by this JSON, word for word."""
    return file_of(b'{"a":' + text.encode() + b"}", EIGHT)


def hostile_weights() -> dict[str, bytes]:
    """Return every broken file by the rule that it breaks."""
    two = {"a": tensor(), "b": tensor(offsets=(8, 16))}
    return {
        "empty file": b"",
        "seven bytes": b"\x08\0\0\0\0\0\0",
        "length of zero": file_of(b""),
        "length of one": file_of(b"{"),
        "length bomb of 2^63": file_of({}, length=2**63),
        "length bomb of 2^64-1": file_of({}, length=2**64 - 1),
        "length bomb of 99 MB": file_of({}, length=99_000_000),
        "length beyond the end": file_of(PAIR, EIGHT, length=200),
        "length too short": file_of(PAIR, EIGHT, length=20),
        "no header": struct.pack("<Q", 8) + EIGHT,
        "overlap": file_of({"a": tensor(), "b": tensor(offsets=(4, 12))}, bytes(12)),
        "same bytes twice": file_of({"a": tensor(), "b": tensor()}, EIGHT),
        "hole before": file_of({"a": tensor(shape=(1,), offsets=(4, 8))}, EIGHT),
        "hole between": file_of({"a": tensor(), "b": tensor(offsets=(12, 20))}, bytes(20)),
        "out of bounds": one(shape=(2_000_000,), offsets=(0, 8_000_000)),
        "offsets turned round": one(offsets=(8, 0)),
        "three offsets": one(offsets=(0, 4, 8)),
        "one offset": one(offsets=(8,)),
        "offsets as text": one(offsets=("0", "8")),
        "offsets as an object": one(offsets={"0": 8}),
        "offsets as floats": raw_entry('{"dtype":"F32","shape":[2],"data_offsets":[0.0,8.0]}'),
        "trailing bytes": file_of(PAIR, EIGHT + b"#!/bin/sh\n"),
        "one byte short": file_of(PAIR, bytes(7)),
        "data without tensors": file_of({}, EIGHT),
        "duplicate tensor": file_of(b'{"a":%b,"a":%b}' % ((json.dumps(tensor()).encode(),) * 2), EIGHT),
        "duplicate field": raw_entry('{"dtype":"F32","dtype":"I32","shape":[2],"data_offsets":[0,8]}'),
        "duplicate metadata": file_of(b'{"__metadata__":{"k":"a","k":"b"},' + json.dumps(PAIR).encode()[1:], EIGHT),
        "deep JSON": file_of(b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
        "deep objects": file_of(b'{"a":' * 50_000 + b"1" + b"}" * 50_000),
        "flood of lists": file_of(b'{"a":[' + b"[]," * 2_500_000 + b"[]]}"),
        "negative dimension": one(shape=(-2,)),
        "negative zero": raw_entry('{"dtype":"F32","shape":[-0],"data_offsets":[0,0]}'),
        "float dimension": raw_entry('{"dtype":"F32","shape":[2.0],"data_offsets":[0,8]}'),
        "exponent": raw_entry('{"dtype":"F32","shape":[2e0],"data_offsets":[0,8]}'),
        "dimension that is true": one(shape=(True, 2)),
        "dimension as text": one(shape=("2",)),
        "shape that is a number": one(shape=2),
        "shape that is null": one(shape=None),
        "nested shape": one(shape=((2,),)),
        "huge dimension": raw_entry('{"dtype":"F32","shape":[' + "9" * 30 + '],"data_offsets":[0,8]}'),
        "number of a million digits": raw_entry(
            '{"dtype":"F32","shape":[' + "9" * 1_000_000 + '],"data_offsets":[0,8]}'
        ),
        "product overflows to eight bytes": one(dtype="F64", shape=(2**32, 2**32, 1)),
        "product overflows before a zero": one(shape=(2**62, 2**62, 0), offsets=(0, 0)),
        "dimension beyond 64 bits beside a zero": one(shape=(0, 2**64), offsets=(0, 0)),
        "NaN": raw_entry('{"dtype":"F32","shape":[NaN],"data_offsets":[0,8]}'),
        "infinity": raw_entry('{"dtype":"F32","shape":[Infinity],"data_offsets":[0,8]}'),
        "unknown dtype": one(dtype="F33"),
        "dtype in lower case": one(dtype="f32"),
        "dtype that is a number": one(dtype=32),
        "dtype that is a list": one(dtype=["F32"]),
        "wrong size for its dtype": one(dtype="F64"),
        "wrong size for its shape": one(shape=(3,)),
        "half a byte": one(dtype="F4", shape=(3,), offsets=(0, 1)),
        "no dtype": raw_entry('{"shape":[2],"data_offsets":[0,8]}'),
        "no shape": raw_entry('{"dtype":"F32","data_offsets":[0,8]}'),
        "no offsets": raw_entry('{"dtype":"F32","shape":[2]}'),
        "a field too many": one(code="import os"),
        "entry that is a list": raw_entry('["F32",[2],[0,8]]'),
        "entry that is null": raw_entry("null"),
        "metadata with a number": file_of({"__metadata__": {"k": 1}, **PAIR}, EIGHT),
        "metadata with an object": file_of({"__metadata__": {"k": {}}, **PAIR}, EIGHT),
        "metadata that is a list": file_of({"__metadata__": ["k"], **PAIR}, EIGHT),
        "metadata that is text": file_of({"__metadata__": "k", **PAIR}, EIGHT),
        "invalid UTF-8": file_of(b'{"\xff\xfe":' + json.dumps(tensor()).encode() + b"}", EIGHT),
        "overlong UTF-8": file_of(b'{"\xc0\xaf":' + json.dumps(tensor()).encode() + b"}", EIGHT),
        "half a surrogate pair": file_of(b'{"\\ud800":' + json.dumps(tensor()).encode() + b"}", EIGHT),
        "control character in a name": file_of(b'{"a\x00b":' + json.dumps(tensor()).encode() + b"}", EIGHT),
        "byte order mark": file_of(b"\xef\xbb\xbf" + json.dumps(PAIR).encode(), EIGHT),
        "UTF-16": file_of(json.dumps(PAIR).encode("utf-16-le"), EIGHT),
        "leading space": file_of(b" " + json.dumps(PAIR).encode(), EIGHT),
        "leading newline": file_of(b"\n" + json.dumps(PAIR).encode(), EIGHT),
        "padding of NULs": file_of(json.dumps(PAIR).encode() + bytes(8), EIGHT),
        "padding of newlines": file_of(json.dumps(PAIR).encode() + b"\n\n", EIGHT),
        "header that is a list": file_of(b"[" + json.dumps(PAIR).encode() + b"]", EIGHT),
        "two documents": file_of(json.dumps(PAIR).encode() * 2, EIGHT),
        "comment": file_of(json.dumps(PAIR).encode()[:-1] + b"/* */}", EIGHT),
        "trailing comma": file_of(json.dumps(PAIR).encode()[:-1] + b",}", EIGHT),
        "single quotes": file_of(json.dumps(PAIR).replace('"', "'").encode(), EIGHT),
        "truncated JSON": file_of(json.dumps(PAIR).encode()[:-5], EIGHT),
        "shard cut short": file_of(two, bytes(12)),
    }


def sound_weights() -> dict[str, bytes]:
    """Return sound files at the edges of the format."""
    padded = json.dumps(PAIR).encode()
    many = {f"layer.{number}": tensor(offsets=(8 * number, 8 * number + 8)) for number in range(5_000)}
    mixed = {
        "bool": tensor("BOOL", (3,), (0, 3)),
        "u8": tensor("U8", (1,), (3, 4)),
        "bf16": tensor("BF16", (2, 1), (4, 8)),
        "i64": tensor("I64", (1, 1, 1), (8, 16)),
        "f8": tensor("F8_E4M3", (4,), (16, 20)),
    }
    return {
        "one tensor": file_of(PAIR, EIGHT),
        "no tensor": file_of({}),
        "metadata": file_of({"__metadata__": {"format": "pt"}, **PAIR}, EIGHT),
        "metadata alone": file_of({"__metadata__": {}}),
        "padding of spaces": file_of(padded + b" " * (-len(padded) % 8 + 8), EIGHT),
        "spaces within": file_of(json.dumps(PAIR, indent=4).encode(), EIGHT),
        "scalar": file_of({"a": tensor(shape=(), offsets=(0, 4))}, bytes(4)),
        "empty tensor": file_of({"a": tensor(shape=(0, 7), offsets=(0, 0)), "b": tensor()}, EIGHT),
        "empty tensors at the end": file_of({"a": tensor(), "b": tensor(shape=(0,), offsets=(8, 8))}, EIGHT),
        "out of order": file_of({"a": tensor(offsets=(8, 16)), "b": tensor()}, bytes(16)),
        "every kind of width": file_of(mixed, bytes(20)),
        "name in Chinese": file_of({"模型": tensor()}, EIGHT),
        "escaped name": file_of(b'{"\\u006c\\ud83d\\ude00":' + json.dumps(tensor()).encode() + b"}", EIGHT),
        "header beyond the first read": file_of(many, bytes(40_000)),
    }
