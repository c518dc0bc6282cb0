"""What a folder lacks to be a checkpoint is named, so that its owner can upload just that."""

from pilotlight.domain.checkpoint_config import WeightIndex
from pilotlight.domain.completeness import missing_files

from tests.factories import a_listing

SMALL = ("config.json", "tokenizer.json", "tokenizer_config.json")
INDEX_FILE = "model.safetensors.index.json"


def an_index(*shards: str) -> WeightIndex:
    return WeightIndex.model_validate({"weight_map": {f"layer.{n}": shard for n, shard in enumerate(shards)}})


def test_a_single_file_of_weights_and_the_small_files_are_whole():
    assert missing_files(a_listing(*SMALL, "model.safetensors"), None) == ()


def test_every_shard_that_the_index_names_must_be_there():
    listing = a_listing(*SMALL, INDEX_FILE, "model-1-of-3.safetensors")

    missing = missing_files(listing, an_index("model-1-of-3.safetensors", "model-2-of-3.safetensors", "x.safetensors"))

    assert missing == ("model-2-of-3.safetensors", "x.safetensors")


def test_an_empty_folder_lacks_everything_in_the_order_of_need():
    assert missing_files(a_listing("README.md"), None) == (
        *SMALL,
        "model.safetensors (or model.safetensors.index.json and its shards)",
    )


def test_a_long_list_is_cut():
    shards = [f"model-{n:05}-of-99999.safetensors" for n in range(1000)]

    assert len(missing_files(a_listing(*SMALL, INDEX_FILE), an_index(*shards))) == 20
