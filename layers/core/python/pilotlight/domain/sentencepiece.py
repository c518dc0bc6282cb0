"""Is this a sentencepiece model? Read as the bare protobuf that it is, without a library that would load it.

Source: google/sentencepiece, sentencepiece_model.proto: ModelProto has pieces (1), trainer_spec (2), normalizer_spec
(3), self_test_data (4) and denormalizer_spec (5), all of them length-delimited; a piece has a text (1), a score (2,
32 bits) and a type (3).
"""

from collections.abc import Iterator

MOST_PIECES = 2_000_000
_VARINT, _LENGTH, _FIXED32 = 0, 2, 5
_PIECES = 1
_MODEL_FIELDS = frozenset(range(1, 6))
_PIECE_FORMS = {1: _LENGTH, 2: _FIXED32, 3: _VARINT}
_FIRST_EXTENSION = 200

Field = tuple[int, int, int, int]
"""Number, wire type, and where the value begins and ends."""


class _MalformedError(ValueError):
    """Not protobuf."""


def is_sentencepiece(content: bytes) -> bool:
    """Say whether every byte belongs to a model with at least one piece."""
    pieces = 0
    try:
        for number, form, begin, end in _fields(content, 0, len(content)):
            if form != _LENGTH or (number not in _MODEL_FIELDS and number < _FIRST_EXTENSION):
                return False
            if number == _PIECES:
                pieces += 1
                if pieces > MOST_PIECES or not _is_piece(content, begin, end):
                    return False
    except _MalformedError:
        return False
    return pieces > 0


def _is_piece(content: bytes, begin: int, end: int) -> bool:
    named = False
    for number, form, start, stop in _fields(content, begin, end):
        if number < _FIRST_EXTENSION and _PIECE_FORMS.get(number) != form:
            return False
        if number == 1:
            named = _is_text(content[start:stop])
    return named


def _is_text(raw: bytes) -> bool:
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True


def _fields(content: bytes, begin: int, end: int) -> Iterator[Field]:
    position = begin
    while position < end:
        tag, position = _varint(content, position, end)
        number, form = tag >> 3, tag & 7
        start = position
        match form:
            case 0:
                _, position = _varint(content, position, end)
            case 1:
                position += 8
            case 2:
                length, start = _varint(content, position, end)
                position = start + length
            case 5:
                position += 4
            case _:
                raise _MalformedError
        if position > end or number == 0:
            raise _MalformedError
        yield number, form, start, position


def _varint(content: bytes, position: int, end: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if position >= end:
            raise _MalformedError
        byte = content[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise _MalformedError
