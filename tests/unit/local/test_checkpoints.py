"""The checkpoints made on the spot are what their formats ask for."""

import json
import struct
import zlib
from pathlib import Path
from typing import Any

import jinja2.sandbox
import pytest

from local.checkpoints import Checkpoint, write_checkpoint
from local.checkpoints.tokenizer import CHAT_TEMPLATE, SPECIAL_TOKENS

PART_BYTES = 5 * 1024 * 1024


def header(path: Path) -> tuple[dict[str, Any], int]:
    with path.open("rb") as file:
        length = struct.unpack("<Q", file.read(8))[0]
        return json.loads(file.read(length)), 8 + length


def small(folder: Path, **wanted: Any) -> Checkpoint:
    return write_checkpoint(folder, shard_bytes=60_000, **wanted)


def test_the_usual_checkpoint_has_shards_that_exceed_a_part(tmp_path):
    made = write_checkpoint(tmp_path)

    assert 30_000_000 < made.total_size < 42_000_000
    assert all((tmp_path / name).stat().st_size > PART_BYTES for name in made.weights)


def test_every_shard_is_a_safetensors_file_without_gaps(tmp_path):
    made = small(tmp_path)

    for name in made.weights:
        tensors, data_begins = header(tmp_path / name)
        tensors.pop("__metadata__")
        offset = 0
        for tensor in tensors.values():
            start, end = tensor["data_offsets"]
            size = 2
            for length in tensor["shape"]:
                size *= length
            assert (start, end) == (offset, offset + size)
            offset = end
        assert (tmp_path / name).stat().st_size == data_begins + offset
        assert data_begins % 8 == 0


def test_the_index_names_each_tensor_s_shard_and_the_tensors_bytes(tmp_path):
    made = small(tmp_path)

    index = json.loads((tmp_path / "model.safetensors.index.json").read_text())
    held = {tensor: name for name in made.weights for tensor in header(tmp_path / name)[0]}
    held.pop("__metadata__")

    assert index["weight_map"] == held
    assert index["metadata"]["total_size"] == made.total_size == made.parameter_count * 2
    assert made.weights == (
        "model-00002-of-3.safetensors",
        "model-1-of-3.safetensors",
        "weights-c.safetensors",
    )


def test_the_shapes_are_those_that_the_configuration_states(tmp_path):
    made = small(tmp_path, single_file=True)

    config = json.loads((tmp_path / "config.json").read_text())
    tensors, _ = header(tmp_path / "model.safetensors")

    assert made.weights == ("model.safetensors",)
    assert tensors["model.embed_tokens.weight"]["shape"] == [config["vocab_size"], config["hidden_size"]]
    last = f"model.layers.{config['num_hidden_layers'] - 1}.self_attn.k_proj.weight"
    assert tensors[last]["shape"] == [
        config["num_key_value_heads"] * config["head_dim"],
        config["hidden_size"],
    ]


def test_the_same_seed_gives_the_same_bytes_and_another_one_does_not(tmp_path):
    names = [small(tmp_path / str(number), seed=seed).weights[0] for number, seed in enumerate((1, 1, 2))]
    first, again, other = ((tmp_path / str(n) / name).read_bytes() for n, name in enumerate(names))

    assert first == again
    assert first != other


def test_the_weights_are_finite_numbers(tmp_path):
    made = small(tmp_path)
    path = tmp_path / made.weights[0]

    data = path.read_bytes()[header(path)[1] :]

    assert {byte & 0x7F for byte in data[1::2]} <= {0x3A, 0x3B, 0x3C, 0x3D}


def test_the_tokenizer_has_every_byte_and_only_merges_of_its_own_tokens(tmp_path):
    small(tmp_path)

    tokenizer = json.loads((tmp_path / "tokenizer.json").read_text())
    vocabulary = tokenizer["model"]["vocab"]
    ids = [*vocabulary.values(), *(token["id"] for token in tokenizer["added_tokens"])]

    assert sum(len(token) == 1 for token in vocabulary) == 256
    assert sorted(ids) == list(range(len(ids)))
    assert [token["content"] for token in tokenizer["added_tokens"]] == list(SPECIAL_TOKENS)
    for merge in tokenizer["model"]["merges"]:
        left, right = merge.split(" ")
        assert {left, right, left + right} <= vocabulary.keys()


def test_the_chat_template_puts_the_system_first_and_drops_former_reasoning():
    render = jinja2.sandbox.ImmutableSandboxedEnvironment().from_string(CHAT_TEMPLATE).render

    prompt = render(
        bos_token="<B>",
        eos_token="<E>",
        add_generation_prompt=True,
        messages=[
            {"role": "user", "content": "2+2?"},
            {"role": "assistant", "content": "<think>\nhm\n</think>\n\n4"},
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "3+3?"},
        ],
    )

    assert prompt == "<B>Be brief.<｜User｜>2+2?<｜Assistant｜>4<E><｜User｜>3+3?<｜Assistant｜><think>\n"


@pytest.mark.parametrize(("place", "inside", "separate"), [("inside", 1, 0), ("separate", 0, 1), (None, 0, 0)])
def test_the_chat_template_is_where_it_is_wanted(tmp_path, place, inside, separate):
    made = small(tmp_path, chat_template=place)

    config = json.loads((tmp_path / "tokenizer_config.json").read_text())
    assert ("chat_template" in config) == inside
    assert ("chat_template.jinja" in made.files) == separate


def test_the_clutter_is_what_repositories_carry_and_the_picture_opens(tmp_path):
    made = small(tmp_path)

    picture = (tmp_path / "figures/benchmark.png").read_bytes()
    length = struct.unpack(">I", picture[33:37])[0]

    assert {"LICENSE", "README.md", ".gitattributes", "original/consolidated.00.pth"} <= set(made.files)
    assert picture.startswith(b"\x89PNG\r\n\x1a\n")
    assert len(zlib.decompress(picture[41 : 41 + length])) == 8 * 9


def test_a_checkpoint_can_be_one_that_no_importer_takes(tmp_path):
    quantised = small(tmp_path / "q", quantised=True, max_position_embeddings=1_048_576, architecture="falcon")
    pickled = small(tmp_path / "p", pickle_only=True, with_tokenizer=False, clutter=False)
    torn = small(tmp_path / "t", missing_shard=True)

    config = json.loads((quantised.folder / "config.json").read_text())
    assert config["quantization_config"]["quant_method"] == "gptq"
    assert (config["model_type"], config["max_position_embeddings"]) == ("falcon", 1_048_576)
    assert pickled.files == ("config.json", "generation_config.json", "pytorch_model.bin")
    named = json.loads((torn.folder / "model.safetensors.index.json").read_text())["weight_map"].values()
    assert set(named) - set(torn.files) == {"weights-c.safetensors"}
