"""A folder is looked at before a byte of it is sent, and everything that it lacks is told at once."""

import json
from itertools import combinations

import pytest
from pilotlight.domain.checkpoint_files import INDEX as PRODUCT_INDEX
from pilotlight.domain.completeness import NEEDED as PRODUCT_NEEDS
from pilotlight.domain.completeness import missing_files
from pilotlight.domain.file_names import LONGEST_KEY_BYTES as PRODUCT_LONGEST
from pilotlight.domain.file_names import MOST_FILES as PRODUCT_MOST
from pilotlight.domain.source import Listing, Source, SourceFile
from pilotlight_client import checkpoint
from pilotlight_client.checkpoint import INDEX, NEEDED, SINGLE, require_checkpoint
from pilotlight_client.errors import NotACheckpoint
from pilotlight_client.uploading import read_folder

HEADER = b'{"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
WEIGHTS = len(HEADER).to_bytes(8, "little") + HEADER + bytes(4)


@pytest.fixture
def folder(tmp_path):
    for name in NEEDED:
        (tmp_path / name).write_text("{}")
    (tmp_path / SINGLE).write_bytes(WEIGHTS)
    return tmp_path


def refusal(folder, there=()):
    with pytest.raises(NotACheckpoint) as caught:
        require_checkpoint(read_folder(folder), there)
    return caught.value


def shard(folder, *names):
    (folder / SINGLE).unlink()
    (folder / INDEX).write_text(json.dumps({"weight_map": {f"w{number}": name for number, name in enumerate(names)}}))


def test_the_client_asks_for_what_the_product_asks_for():
    assert (NEEDED, INDEX) == (PRODUCT_NEEDS, PRODUCT_INDEX)
    assert (checkpoint.MOST_FILES, checkpoint.LONGEST_KEY_BYTES) == (PRODUCT_MOST, PRODUCT_LONGEST)


def test_a_whole_checkpoint_passes(folder):
    require_checkpoint(read_folder(folder))


@pytest.mark.parametrize("left_out", [names for size in range(5) for names in combinations((*NEEDED, SINGLE), size)])
def test_what_is_missing_is_what_the_product_would_say(folder, left_out):
    for name in left_out:
        (folder / name).unlink()
    (folder / "readme.md").write_text("x")
    files = tuple(SourceFile(path=path.name, size_bytes=1) for path in folder.iterdir())
    listing = Listing(source=Source.parse("s3://bucket/uploads/demo/"), files=files)

    told = refusal(folder).missing if left_out else ()

    assert told == missing_files(listing, None)


def test_everything_that_is_missing_is_told_at_once(tmp_path):
    (tmp_path / "readme.md").write_text("x")

    refused = refusal(tmp_path)

    assert refused.missing == (*NEEDED, "model.safetensors (or model.safetensors.index.json and its shards)")
    assert all(name in str(refused) for name in NEEDED)
    assert str(refused).endswith("Nothing was sent.")
    assert refused.problem()["missing"] == list(refused.missing)


def test_a_shard_that_the_index_names_must_be_there(folder):
    shard(folder, "model-1.safetensors", "model-2.safetensors")
    (folder / "model-1.safetensors").write_bytes(WEIGHTS)

    assert refusal(folder).missing == ("model-2.safetensors",)


def test_what_the_bucket_holds_already_is_not_missing(folder):
    shard(folder, "model-1.safetensors")
    (folder / "tokenizer.json").unlink()

    require_checkpoint(read_folder(folder), there=["model-1.safetensors", "tokenizer.json"])


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "git-lfs"),
        (WEIGHTS[:20], "cut short"),
        (b"", "cut short"),
        (b"PK\x03\x04" + bytes(60), "is not a safetensors file"),
    ],
)
def test_weights_that_are_none_are_told(folder, content, told):
    (folder / SINGLE).write_bytes(content)

    assert told in str(refusal(folder))


@pytest.mark.parametrize("content", ["", "[]", "{", "null", "\xff"])
@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json", "pilotlight.json"])
def test_a_file_that_must_hold_an_object_and_does_not_is_told(folder, name, content):
    (folder / name).write_bytes(content.encode("latin-1"))

    assert f"{name} does not hold a JSON object" in str(refusal(folder))


def test_an_index_that_names_nothing_is_told(folder):
    (folder / INDEX).write_text('{"weight_map": {}}')

    assert "names no shards" in str(refusal(folder))


def test_weights_in_pickles_are_told_how_to_be_saved(folder):
    (folder / SINGLE).unlink()
    (folder / "pytorch_model.bin").write_bytes(b"x")

    assert "safe_serialization=True" in str(refusal(folder))


def test_an_adapter_is_told_to_be_merged(folder):
    (folder / "config.json").unlink()
    (folder / "adapter_config.json").write_text("{}")

    assert "merge it into its base model" in str(refusal(folder))


def test_a_checkpoint_one_folder_further_down_is_pointed_at(tmp_path, folder):
    inner = tmp_path / "model"
    inner.mkdir()
    (folder / "config.json").rename(inner / "config.json")

    assert "seems to be in model/: upload that folder" in str(refusal(folder))


@pytest.mark.parametrize("name", ["a\\b.txt", "a\u202eb.txt", "a\nb.txt"])
def test_a_name_for_which_the_whole_listing_would_be_refused_is_told(folder, name):
    (folder / name).write_text("x")

    assert "rename it" in str(refusal(folder))


def test_a_shard_behind_a_link_that_leads_out_is_named_with_what_to_do(folder, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "weights"
    elsewhere.write_bytes(WEIGHTS)
    shard(folder, "a.safetensors", "c.safetensors")
    (folder / "a.safetensors").write_bytes(WEIGHTS)
    (folder / "c.safetensors").symlink_to(elsewhere)

    refused = refusal(folder)

    assert "it lacks c.safetensors. Nothing was sent." in str(refused)
    assert "Left out: c.safetensors (a link that leads out of the folder)." in str(refused)
    assert str(refused).endswith(f": cp -rL {folder} NEW-FOLDER")
    assert refused.problem()["left_out"] == [{"path": "c.safetensors", "reason": "a link that leads out of the folder"}]


def test_links_to_nothing_are_not_to_be_copied(folder):
    (folder / "config.json").unlink()
    (folder / "config.json").symlink_to(folder / "nowhere")

    assert "config.json (a link to nothing). What they lead to is not on this machine" in str(refusal(folder))


def test_a_snapshot_of_nothing_but_links_says_how_to_upload_it(tmp_path):
    snapshot, blobs = tmp_path / "snapshots" / "c0ffee", tmp_path / "blobs"
    snapshot.mkdir(parents=True)
    blobs.mkdir()
    for number in range(12):
        (blobs / str(number)).write_text("{}")
        (snapshot / f"file-{number:02}").symlink_to(blobs / str(number))

    with pytest.raises(NotACheckpoint) as caught:
        read_folder(snapshot)

    assert "holds nothing to upload. Nothing was sent." in str(caught.value)
    assert "file-09 (a link that leads out of the folder) and 2 more." in str(caught.value)
    assert f"cp -rL {snapshot} NEW-FOLDER" in str(caught.value)
    assert len(caught.value.problem()["left_out"]) == 12


def test_a_refusal_without_links_speaks_of_none(folder):
    (folder / "config.json").unlink()

    assert str(refusal(folder)).endswith("Nothing was sent.")
    assert "left_out" not in refusal(folder).problem()
