"""A header of weights is sound when every byte of the file is told exactly once, and by nothing that is not."""

import json
import struct
import tracemalloc
from math import prod

import pytest
import safetensors
from hypothesis import given, settings
from hypothesis import strategies as st
from pilotlight.domain.safetensors import UnsoundError, header_end, read_header

from tests.faults.corpus.weight_files import file_of, hostile_weights, sound_weights

BITS = {"BOOL": 8, "U8": 8, "I16": 16, "F16": 16, "BF16": 16, "I32": 32, "F32": 32, "F64": 64, "U64": 64, "F8_E5M2": 8}
HOSTILE, SOUND = hostile_weights(), sound_weights()
MORE_THAN_A_HEADER_TAKES = 64 * 1024 * 1024


def is_sound_here(file):
    try:
        read_header(file, len(file))
    except UnsoundError:
        return False
    return True


def is_sound_there(file):
    """Ask the format's reference implementation."""
    try:
        safetensors.deserialize(file)
    except safetensors.SafetensorError:
        return False
    return True


@pytest.mark.parametrize("rule", HOSTILE)
def test_a_file_that_breaks_a_rule_is_refused_and_the_rule_is_told(rule):
    with pytest.raises(UnsoundError) as caught:
        read_header(HOSTILE[rule], len(HOSTILE[rule]))

    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("edge", SOUND)
def test_a_sound_file_is_read_as_its_reference_reads_it(edge):
    tensors = read_header(SOUND[edge], len(SOUND[edge]))

    reference = dict(safetensors.deserialize(SOUND[edge]))
    assert {name: (tensor.dtype, list(tensor.shape)) for name, tensor in tensors.items()} == {
        name: (told["dtype"], told["shape"]) for name, told in reference.items()
    }


@pytest.mark.parametrize("bomb", [name for name in HOSTILE if "bomb" in name])
def test_a_claimed_length_allocates_nothing(bomb):
    tracemalloc.start()
    with pytest.raises(UnsoundError, match="claims"):
        header_end(HOSTILE[bomb][:8], 10**12)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak < 1024 * 1024


@pytest.mark.parametrize("rule", ["flood of lists", "deep JSON", "deep objects", "number of a million digits"])
def test_what_a_header_makes_of_memory_is_bounded(rule):
    tracemalloc.start()
    assert not is_sound_here(HOSTILE[rule])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak < MORE_THAN_A_HEADER_TAKES


@st.composite
def sound_files(draw):
    """Files as any writer may write them: any names, shapes and order, padded or not."""
    shapes = st.lists(st.integers(0, 5), max_size=3)
    described = draw(st.dictionaries(st.text(min_size=1, max_size=8), st.tuples(st.sampled_from(sorted(BITS)), shapes)))
    described.pop("__metadata__", None)
    entries, offset = {}, 0
    for name, (dtype, shape) in described.items():
        end = offset + prod(shape) * BITS[dtype] // 8
        entries[name] = {"dtype": dtype, "shape": shape, "data_offsets": [offset, end]}
        offset = end
    if draw(st.booleans()):
        entries["__metadata__"] = draw(st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=2))
    shuffled = dict(draw(st.permutations(sorted(entries.items()))))
    raw = json.dumps(shuffled, ensure_ascii=draw(st.booleans())).encode()
    return file_of(raw + b" " * draw(st.integers(0, 9)), bytes(offset))


@st.composite
def damaged_files(draw):
    """Sound files in which somebody changed, removed or added bytes, or swapped one number for another."""
    file = bytearray(draw(sound_files()))
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.integers(0, len(file)))
        match draw(st.sampled_from(["change", "remove", "add", "number", "length"])):
            case "change" if place < len(file):
                file[place] = draw(st.integers(0, 255))
            case "remove":
                del file[place : place + draw(st.integers(1, 4))]
            case "add":
                file[place:place] = draw(st.binary(min_size=1, max_size=4))
            case "number":
                digits = [index for index, byte in enumerate(file) if 0x30 <= byte <= 0x39]
                if digits:
                    file[draw(st.sampled_from(digits))] = draw(st.sampled_from(b"0123456789-.e"))
            case "length" if len(file) >= 8:
                file[:8] = struct.pack("<Q", draw(st.integers(0, 2**64 - 1) | st.integers(0, len(file))))
    return bytes(file)


@settings(max_examples=150, deadline=None)
@given(sound_files())
def test_whatever_is_written_by_the_rules_is_accepted(file):
    assert is_sound_there(file)
    assert is_sound_here(file)


@settings(max_examples=400, deadline=None)
@given(damaged_files())
def test_what_the_reference_refuses_is_refused(file):
    assert is_sound_there(file) or not is_sound_here(file)


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=300))
def test_noise_is_refused_and_nothing_else_happens(noise):
    assert not is_sound_here(noise)
