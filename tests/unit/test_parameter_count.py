"""How many parameters a model has is counted in the headers of its weights, and what that may cost is told."""

import json

import pytest
from pilotlight.domain import bedrock_support as bedrock
from pilotlight.domain.source import Source
from pilotlight.domain.values import Backend

from tests.factories import a_checkpoint

SOURCE = Source.parse("hf://acme/llama-8b")


def shard(**tensors: tuple[int, ...]) -> bytes:
    """Return a file of tensors of these shapes, in bfloat16."""
    described, end = {}, 0
    for name, shape in tensors.items():
        size = 2
        for extent in shape:
            size *= extent
        described[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [end, end + size]}
        end += size
    header = json.dumps(described).encode()
    return len(header).to_bytes(8, "little") + header + bytes(end)


@pytest.fixture
def files():
    shards = {"a.safetensors": shard(embed=(100, 8), norm=(8,)), "b.safetensors": shard(head=(8, 100), scale=())}
    files = {**a_checkpoint(), **shards}
    del files["model.safetensors"]
    index = {
        "metadata": {"total_size": 1},  # what somebody wrote there counts for nothing
        "weight_map": {
            "embed": "a.safetensors",
            "norm": "a.safetensors",
            "head": "b.safetensors",
            "scale": "b.safetensors",
        },
    }
    return {**files, "model.safetensors.index.json": json.dumps(index).encode()}


def inspected(world, files):
    world.source.push("acme/llama-8b", files)
    return world.preflight.inspect(SOURCE, Backend.BEDROCK)


def test_shapes_are_counted_over_all_shards_whatever_the_index_says(world, files):
    assert inspected(world, files).plan.facts.parameter_count == 800 + 8 + 800 + 1


def test_one_file_without_an_index_is_counted_too(world):
    files = {**a_checkpoint(), "model.safetensors": shard(embed=(1000, 3))}

    assert inspected(world, files).plan.facts.parameter_count == 3000


def test_quantised_weights_tell_none(world, files):
    config = json.loads(files["config.json"])
    files["config.json"] = json.dumps({**config, "quantization_config": {"quant_method": "gptq", "bits": 4}}).encode()

    assert inspected(world, files).plan.facts.parameter_count is None


def test_what_it_may_cost_is_told_and_refuses_nothing(world, files):
    verdict = inspected(world, files).verdict

    (cost,) = [check for check in verdict.checks if check.name == "cost"]
    assert cost.outcome == "passed"
    assert cost.found == "1,609 parameters, some 2 custom model units: $6.86 for an hour that is warm"


@pytest.mark.parametrize(
    ("parameters", "units"),
    [
        (1, 2),
        (8_030_261_248, 2),
        (8_030_261_249, 3),
        (14_000_000_000, 3),
        (32_000_000_000, 5),
        (70_553_706_496, 8),
        (100_000_000_000, 11),
    ],
)
def test_units_are_those_of_the_models_of_which_they_are_known_and_between_them_on_a_line(parameters, units):
    assert bedrock.units_of(parameters) == units
