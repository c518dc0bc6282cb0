"""Preflight reads small files and the headers of weights, and says all that is wrong in one sentence."""

import json

import pytest
from pilotlight.domain.errors import PreflightRefused, SourceNotFound
from pilotlight.domain.preflight import Holder
from pilotlight.domain.safetensors import FIRST_READ_BYTES
from pilotlight.domain.source import Listing, Source, SourceFile
from pilotlight.domain.values import Backend
from pilotlight.services.preflight import Preflight

from local.checkpoints import write_checkpoint

SOURCE = Source.parse("hf://acme/model")
COMMIT = "c" * 40


class FolderSource:
    """A source over a folder; `read_paths` tells what was read whole, `ranges` what in part."""

    def __init__(self, folder):
        self.folder = folder
        self.read_paths = []
        self.ranges = {}

    def resolve(self, source):
        paths = sorted(path for path in self.folder.rglob("*") if path.is_file())
        if not paths:
            raise SourceNotFound("nothing there")
        files = (
            SourceFile(path=path.relative_to(self.folder).as_posix(), size_bytes=path.stat().st_size) for path in paths
        )
        return Listing(source=source.at(COMMIT), files=tuple(files))

    def read(self, source, path, *, limit_bytes):
        assert source.revision == COMMIT
        self.read_paths.append(path)
        content = (self.folder / path).read_bytes()
        assert len(content) <= limit_bytes
        return content

    def stream(self, source, file, *, offset, size_bytes):
        assert source.revision == COMMIT
        self.ranges[file.path] = (offset, size_bytes)
        yield (self.folder / file.path).read_bytes()[offset:][:size_bytes]


class Region:
    """Imported models of a region; `asked` counts the questions."""

    def __init__(self, *names, quota=3):
        self.names, self.quota, self.asked = names, quota, 0

    def holders(self):
        self.asked += 1
        return [Holder(name=name, arn=f"arn:{name}") for name in self.names]

    def model_quota(self):
        self.asked += 1
        return self.quota


@pytest.fixture
def build(tmp_path):
    def build(*, region="us-east-1", imports=None, **options):
        write_checkpoint(tmp_path, shard_bytes=50_000, **options)
        source = FolderSource(tmp_path)
        return Preflight(source, imports or Region(), region), source

    return build


def test_a_sound_model_is_pinned_planned_and_accepted_from_small_files_and_headers(build):
    preflight, source = build()

    inspection = preflight.require(SOURCE, Backend.BEDROCK)

    assert inspection.listing.revision == COMMIT
    assert inspection.verdict.accepted
    assert inspection.plan.total_bytes == inspection.verdict.total_bytes > 150_000
    assert set(source.read_paths) == {
        "config.json",
        "generation_config.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "model.safetensors.index.json",
    }
    weights = {path for path in inspection.plan.paths if path.endswith(".safetensors")}
    assert set(source.ranges) == weights
    assert all(offset == 0 and size_bytes <= FIRST_READ_BYTES for offset, size_bytes in source.ranges.values())


def test_a_separate_template_is_read_and_folded(build):
    preflight, _ = build(chat_template="separate")

    inspection = preflight.require(SOURCE, Backend.BEDROCK)

    (derived,) = inspection.plan.derived
    assert json.loads(derived.content)["chat_template"] == inspection.plan.facts.chat_template


def test_a_refusal_is_one_paragraph_with_every_reason_and_the_reasons_as_data(build):
    preflight, _ = build(architecture="falcon", quantised=True, max_position_embeddings=10**6)

    with pytest.raises(PreflightRefused) as caught:
        preflight.require(SOURCE, Backend.BEDROCK)

    message = str(caught.value)
    assert message.startswith(f"bedrock in us-east-1 would not take hf://acme/model@{COMMIT}: (1) architecture: found")
    assert "\n" not in message
    assert [refusal["name"] for refusal in caught.value.detail["refusals"]] == [
        "architecture",
        "quantisation",
        "context",
    ]
    assert json.loads(caught.value.to_message())["code"] == "preflight-refused"


@pytest.mark.parametrize("options", [{"pickle_only": True}, {"missing_shard": True}, {"with_tokenizer": False}])
def test_an_incomplete_model_is_judged_and_not_raised(build, options):
    preflight, _ = build(**options)

    listing, verdict = preflight.judge(SOURCE, Backend.BEDROCK)

    assert listing.revision == COMMIT
    assert not verdict.accepted


def test_the_holders_of_a_full_region_are_named(build):
    preflight, _ = build(imports=Region("one", "two", "three"))

    with pytest.raises(PreflightRefused, match="one, two, three"):
        preflight.require(SOURCE, Backend.BEDROCK)

    assert preflight.require(SOURCE, Backend.BEDROCK, own_model_name="two").verdict.accepted


def test_a_region_without_model_import_is_not_asked_for_its_models(build):
    imports = Region()
    preflight, _ = build(region="eu-west-1", imports=imports)

    _, verdict = preflight.judge(SOURCE, Backend.BEDROCK)

    assert [check.name for check in verdict.refusals] == ["region"]
    assert imports.asked == 0


def test_a_source_that_is_not_there_says_so(tmp_path):
    with pytest.raises(SourceNotFound):
        Preflight(FolderSource(tmp_path), Region(), "us-east-1").judge(SOURCE, Backend.BEDROCK)
