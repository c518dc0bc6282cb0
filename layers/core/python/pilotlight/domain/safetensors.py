"""The header of a safetensors file: what its first bytes promise of all the others.

Eight bytes give the header's length, little-endian; the header is a JSON object of tensors and, perhaps, metadata;
then comes the data, every byte of it of exactly one tensor. Nothing here reads anything, and nothing is allocated
that the file did not send. Source: huggingface/safetensors, README, "Format".
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pilotlight.domain.strict_json import UnreadableError, json_object

LENGTH_BYTES = 8
LARGEST_HEADER_BYTES = 16 * 1024 * 1024  # the largest in use have two; the format itself allows 100 MB
FIRST_READ_BYTES = 64 * 1024  # holds the header of most files, so that one read does

_METADATA = "__metadata__"
_FIELDS = {"dtype", "shape", "data_offsets"}
_LARGEST_COUNT = 2**64 - 1
_BITS = {
    "BOOL": 8,
    "F4": 4,
    "F6_E2M3": 6,
    "F6_E3M2": 6,
    "U8": 8,
    "I8": 8,
    "F8_E5M2": 8,
    "F8_E4M3": 8,
    "F8_E8M0": 8,
    "F8_E4M3FNUZ": 8,
    "F8_E5M2FNUZ": 8,
    "I16": 16,
    "U16": 16,
    "F16": 16,
    "BF16": 16,
    "I32": 32,
    "U32": 32,
    "F32": 32,
    "C64": 64,
    "F64": 64,
    "I64": 64,
    "U64": 64,
}


class UnsoundError(ValueError):
    """The file is not sound safetensors; the text says why, quoting names in part only."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """One tensor: `begin` and `end` count from the first byte of the data."""

    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


def header_end(head: bytes, size_bytes: int) -> int:
    """Return where the header of a file of that size ends and its data begins, from its first eight bytes.

    Raises: UnsoundError for a length that no header has.
    """
    if len(head) < LENGTH_BYTES or size_bytes < LENGTH_BYTES:
        raise UnsoundError(f"it has {size_bytes} bytes, and the header's length alone takes {LENGTH_BYTES}")
    length = int.from_bytes(head[:LENGTH_BYTES], "little")
    if not 2 <= length <= LARGEST_HEADER_BYTES:
        raise UnsoundError(f"its header claims {length} bytes; sound ones have 2 to {LARGEST_HEADER_BYTES}")
    if LENGTH_BYTES + length > size_bytes:
        raise UnsoundError(f"its header claims {length} bytes, more than the file has")
    return LENGTH_BYTES + length


def read_header(head: bytes, size_bytes: int) -> dict[str, Tensor]:
    """Return the tensors of a file, whose first bytes these are, at least to the header's end.

    Raises: UnsoundError, naming the rule that it breaks.
    """
    end = header_end(head, size_bytes)
    document = _document(head[LENGTH_BYTES:end])
    _require_metadata(document.pop(_METADATA, {}))
    tensors = {name: _tensor(name, entry) for name, entry in document.items()}
    _require_cover(tensors, size_bytes - end)
    return tensors


def _document(raw: bytes) -> dict[str, Any]:
    if not raw.startswith(b"{"):
        raise UnsoundError("its header does not begin with {")
    if raw.rstrip(b" ")[-1:] != b"}":
        raise UnsoundError("its header does not end with } and spaces")
    try:
        document = json_object(raw, naturals=True)
        json.dumps(document, ensure_ascii=False).encode()  # half a surrogate pair is no text
    except UnreadableError as exc:
        raise UnsoundError(f"its header cannot be read: {exc}") from exc
    except UnicodeEncodeError as exc:
        raise UnsoundError("its header holds half of a surrogate pair") from exc
    return document


def _require_metadata(metadata: Any) -> None:
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise UnsoundError("its __metadata__ is not an object of texts")


def _tensor(name: str, entry: Any) -> Tensor:
    told = repr(name[:80])
    if not isinstance(entry, dict) or set(entry) != _FIELDS:
        raise UnsoundError(f"tensor {told} is not told by dtype, shape and data_offsets alone")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in _BITS:
        raise UnsoundError(f"tensor {told} has an unknown dtype")
    if not _are_counts(shape):
        raise UnsoundError(f"the shape of tensor {told} is not a list of whole numbers")
    if not _are_counts(offsets) or len(offsets) != 2:
        raise UnsoundError(f"the data_offsets of tensor {told} are not two whole numbers")
    begin, end = offsets
    if end - begin != _size_bytes(told, dtype, shape):
        raise UnsoundError(f"tensor {told} spans {end - begin} bytes, not those of its dtype and shape")
    return Tensor(dtype=dtype, shape=tuple(shape), begin=begin, end=end)


def _are_counts(values: Any) -> bool:
    """Say whether these are numbers of 64 bits; a bool is none."""
    return isinstance(values, list) and all(type(value) is int and value <= _LARGEST_COUNT for value in values)


def _size_bytes(told: str, dtype: str, shape: list[int]) -> int:
    """Return the bytes of a tensor; no step of the product may leave 64 bits, or another reader would overflow."""
    bits = 1
    for factor in (*shape, _BITS[dtype]):
        bits *= factor
        if bits > _LARGEST_COUNT:
            raise UnsoundError(f"the shape of tensor {told} overflows")
    if bits % 8:
        raise UnsoundError(f"tensor {told} does not fill whole bytes")
    return bits // 8


def _require_cover(tensors: Mapping[str, Tensor], data_bytes: int) -> None:
    """Pass tensors that cover the data exactly once. Raises: UnsoundError."""
    position = 0
    for name, tensor in sorted(tensors.items(), key=lambda item: (item[1].begin, item[1].end)):
        if tensor.begin != position:
            what = "overlaps another" if tensor.begin < position else "leaves a hole before it"
            raise UnsoundError(f"tensor {name[:80]!r} {what}")
        position = tensor.end
    if position > data_bytes:
        raise UnsoundError(f"its tensors need {position} bytes, and {data_bytes} follow the header")
    if position < data_bytes:
        raise UnsoundError(f"{data_bytes - position} bytes that belong to no tensor follow its data")
