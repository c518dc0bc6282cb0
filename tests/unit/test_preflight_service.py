"""Preflight reads small files and the headers of weights, and says all that is wrong in one sentence."""

import json

import pytest
from pilotlight.adapters.template_vetting import TemplateVetting
from pilotlight.domain.errors import PreflightRefused, SourceNotFound
from pilotlight.domain.hosting import Hosting
from pilotlight.domain.preflight import Holder
from pilotlight.domain.safetensors import FIRST_READ_BYTES
from pilotlight.domain.source import Listing, Source, SourceFile
from pilotlight.domain.values import Backend
from pilotlight.services.preflight import Preflight

from local.checkpoints import write_checkpoint
from tests.fakes import FakeSpeeds, ManualClock

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


def over(source, imports=None, region="us-east-1"):
    return Preflight(source, TemplateVetting(ManualClock()), imports or Region(), region, FakeSpeeds())


@pytest.fixture
def build(tmp_path):
    def build(*, region="us-east-1", imports=None, **options):
        write_checkpoint(tmp_path, shard_bytes=50_000, **options)
        source = FolderSource(tmp_path)
        return over(source, imports, region), source

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


@pytest.mark.parametrize("backend", [backend for backend in Backend if backend.is_endpoint])
def test_bedrocks_places_are_not_asked_for_where_an_endpoint_is_wanted(build, backend):
    imports = Region("one", "two", "three")
    preflight, _ = build(imports=imports)

    inspection = preflight.require(SOURCE, backend)

    assert inspection.verdict.accepted
    assert inspection.verdict.proposal.usd_per_hour > 0
    assert imports.asked == 0


def test_what_the_user_wants_of_an_endpoint_is_judged(build):
    preflight, _ = build()
    hosting = Hosting.model_validate({"instance": {"type": "ml.g5.3xlarge"}})

    with pytest.raises(PreflightRefused, match=r"sagemaker-realtime in us-east-1 would not take .* instance: found"):
        preflight.require(SOURCE, Backend.SAGEMAKER_REALTIME, hosting)

    assert not preflight.judge(SOURCE, Backend.SAGEMAKER_ASYNC, hosting)[1].accepted
    assert preflight.judge(SOURCE, Backend.BEDROCK, hosting)[1].accepted


def test_what_would_be_staged_is_the_same_for_every_backend(build):
    preflight, source = build(quantised=True)
    (source.folder / "quantize_config.json").write_text(json.dumps({"bits": 4, "group_size": 128}))

    plans = [preflight.inspect(SOURCE, backend).plan for backend in Backend]

    assert plans[0] == plans[1] == plans[2]


def test_a_source_that_is_not_there_says_so(tmp_path):
    with pytest.raises(SourceNotFound):
        over(FolderSource(tmp_path)).judge(SOURCE, Backend.BEDROCK)


HOSTILE = "{% for m in messages %}\n{{ m.content.encode() }}{% endfor %}"
NAMED = [{"name": "default", "template": "{{ messages[0].content }}"}, {"name": "tools", "template": HOSTILE}]


@pytest.mark.parametrize(
    ("name", "template", "where"),
    [
        ("tokenizer_config.json", HOSTILE, "the one in tokenizer_config.json uses"),
        ("tokenizer_config.json", NAMED, "the one in tokenizer_config.json, named 'tools', uses"),
        ("processor_config.json", HOSTILE, "the one in processor_config.json uses"),
        ("chat_template.json", HOSTILE, "the one in chat_template.json uses"),
    ],
)
def test_a_hostile_template_is_refused_wherever_it_lies(build, name, template, where):
    preflight, source = build(chat_template=None)
    path = source.folder / name
    held = json.loads(path.read_bytes()) if path.exists() else {}
    path.write_text(json.dumps(held | {"chat_template": template}))

    (refusal,) = preflight.judge(SOURCE, Backend.BEDROCK)[1].refusals

    assert (refusal.name, refusal.found) == ("chat template", f"{where} the method 'encode' in line 2")
    assert "loops, macros" in refusal.supported
    assert refusal.advice


def test_a_hostile_template_in_a_file_of_its_own_is_refused(build):
    preflight, source = build(chat_template="separate")
    (source.folder / "chat_template.jinja").write_text(HOSTILE)

    with pytest.raises(PreflightRefused, match=r"the one in chat_template\.jinja uses the method 'encode' in line 2"):
        preflight.require(SOURCE, Backend.BEDROCK)


def test_a_model_without_a_chat_template_is_accepted(build):
    assert build(chat_template=None)[0].judge(SOURCE, Backend.BEDROCK)[1].accepted


def test_more_templates_than_any_model_has_are_refused_and_not_all_looked_into(build):
    preflight, source = build(chat_template=None)
    path = source.folder / "tokenizer_config.json"
    templates = [{"name": f"t{number}", "template": f"{{{{ x{number}.encode() }}}}"} for number in range(500)]
    path.write_text(json.dumps(json.loads(path.read_bytes()) | {"chat_template": templates}))

    refusals = preflight.judge(SOURCE, Backend.BEDROCK)[1].refusals

    assert len(refusals) == 9
    assert "is one of 500" in refusals[0].found
