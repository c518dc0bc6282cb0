"""Every disguise is refused before a byte is staged, with its reason; and every sound file is accepted."""

import json

import pytest
from pilotlight.domain.checkpoint_files import why_skipped
from pilotlight.domain.deployment import Status
from pilotlight.domain.errors import SourceRefused
from pilotlight.domain.file_contents import CHECK_LIMITS
from pilotlight.domain.file_names import deceit, sound_listing
from pilotlight.domain.preflight import Outcome
from pilotlight.domain.source import Source, SourceFile
from pilotlight.domain.values import Backend

from tests.factories import COMMIT, HUB_SOURCE, a_checkpoint, some_weights
from tests.faults.corpus.disguises import LEFT_OUT, foreign_files, polyglots, sound_files
from tests.faults.corpus.names import DECEIVING, HONEST, MISTAKABLE, UNSTAGED_SHARDS
from tests.faults.corpus.templates import FAMILIES, REACHING_OUT, USING_UP
from tests.faults.corpus.weight_files import file_of, hostile_weights, sound_weights, tensor
from tests.world import World

READ_FOR_A_VERDICT = (
    *("config.json", "generation_config.json", "tokenizer_config.json", "processor_config.json"),
    "model.safetensors.index.json",
)
SOURCE = Source.parse(HUB_SOURCE)
FOREIGN, POLYGLOTS, SOUND = foreign_files(), polyglots(), sound_files()
HOSTILE_WEIGHTS, SOUND_WEIGHTS = hostile_weights(), sound_weights()


@pytest.fixture(scope="module")
def world():
    return World()


def verdict_on(world, files):
    world.source.push("acme/llama-8b", files)
    return world.preflight.judge(SOURCE, Backend.BEDROCK)[1]


def refused_because(world, files):
    return {check.name: check.found for check in verdict_on(world, files).refusals}


@pytest.mark.parametrize("name", [*READ_FOR_A_VERDICT, *CHECK_LIMITS, "model.safetensors"])
@pytest.mark.parametrize("disguise", FOREIGN)
def test_a_foreign_file_under_an_allowed_name_is_refused(world, disguise, name):
    refusals = refused_because(world, a_checkpoint() | {name: FOREIGN[disguise]})

    assert {"files", "weights"} & set(refusals)
    assert name in " ".join(refusals.values()) or "weights have" in refusals["weights"]


@pytest.mark.parametrize("polyglot", POLYGLOTS)
def test_a_file_that_is_something_else_as_well_is_refused(world, polyglot):
    name, content = POLYGLOTS[polyglot]

    refusals = refused_because(world, a_checkpoint() | {name: content})

    assert name in " ".join(refusals.values())


@pytest.mark.parametrize("rule", HOSTILE_WEIGHTS)
def test_weights_that_break_a_rule_are_refused(world, rule):
    assert "weights" in refused_because(world, a_checkpoint() | {"model.safetensors": HOSTILE_WEIGHTS[rule]})


@pytest.mark.parametrize("what", SOUND)
def test_a_sound_file_is_accepted_and_staged(world, what):
    name, content = SOUND[what]

    verdict = verdict_on(world, a_checkpoint() | {name: content})

    assert verdict.accepted
    assert name in verdict.staged


@pytest.mark.parametrize("edge", [edge for edge, file in SOUND_WEIGHTS.items() if len(file) >= 1024])
def test_sound_weights_are_accepted(world, edge):
    assert verdict_on(world, a_checkpoint() | {"model.safetensors": SOUND_WEIGHTS[edge]}).accepted


@pytest.mark.parametrize(("name", "word"), LEFT_OUT.items())
def test_what_is_left_out_is_told_with_its_reason(world, name, word):
    verdict = verdict_on(world, a_checkpoint() | {name: b"x" * 2048})

    assert word in {file.path: file.reason for file in verdict.skipped}[name]
    assert verdict.accepted
    assert name not in verdict.staged
    warned = [check.found for check in verdict.checks if check.outcome is Outcome.WARNED and check.name == "left out"]
    assert any(name in found for found in warned) == why_skipped(name).startswith("never staged")


# ---- names ---------------------------------------------------------------------------------------------------


def listing_with(name, **fields):
    return sound_listing(SOURCE.at(COMMIT), [SourceFile(**{"path": name, "size_bytes": 10, **fields})])


@pytest.mark.parametrize("name", DECEIVING)
def test_a_listing_with_a_name_that_deceives_is_refused_whole(name):
    with pytest.raises(SourceRefused, match="Nothing of it is staged"):
        listing_with(name)


@pytest.mark.parametrize("name", HONEST)
def test_names_of_real_models_are_listed(name):
    assert deceit(name) is None
    assert listing_with(name).file(name)


def test_a_file_that_no_bucket_can_hold_is_refused():
    with pytest.raises(SourceRefused, match="more bytes than S3"):
        listing_with("model.safetensors", size_bytes=10**15)


@pytest.mark.parametrize("name", UNSTAGED_SHARDS)
def test_an_index_cannot_call_anything_weights(world, name):
    files = a_checkpoint(shards={"model-1.safetensors": b"1" * 2048})
    index = {"weight_map": {"layer.0": "model-1.safetensors", "layer.1": name}}
    files |= {"model.safetensors.index.json": json.dumps(index).encode(), name: some_weights(b"2" * 2048, "layer.1")}
    if name in a_checkpoint():
        files[name] = a_checkpoint()[name]

    assert "weights" in refused_because(world, files)


@pytest.mark.parametrize("name", DECEIVING)
def test_an_index_cannot_lead_out_of_its_folder(world, name):
    files = a_checkpoint(shards={"model-1.safetensors": b"1" * 2048})
    index = {"weight_map": {"layer.0": "model-1.safetensors", "layer.1": name}}
    files["model.safetensors.index.json"] = json.dumps(index).encode()

    assert "weights" in refused_because(world, files)


@pytest.mark.parametrize(("name", "staged"), MISTAKABLE)
def test_a_name_that_may_be_mistaken_for_a_staged_one_is_refused(world, name, staged):
    refusals = refused_because(world, a_checkpoint() | {name: b"{}"})

    assert repr(staged) in refusals["files"]


# ---- shards and their index ----------------------------------------------------------------------------------


def sharded(weight_map, shards):
    files = a_checkpoint(shards={})
    return files | shards | {"model.safetensors.index.json": json.dumps({"weight_map": weight_map}).encode()}


def shard(*names):
    size = 1024
    entries = {name: tensor("U8", (size,), (size * place, size * place + size)) for place, name in enumerate(names)}
    return file_of(entries, bytes(size * len(names)))


TWO = {"a": "1.safetensors", "b": "2.safetensors"}


@pytest.mark.parametrize(
    ("weight_map", "shards", "told"),
    [
        (TWO, {"1.safetensors": shard("a")}, "1 of the 2 shards"),
        (TWO, {"1.safetensors": shard("a"), "2.safetensors": shard("c")}, "names 1 tensors that its shards do not"),
        (TWO, {"1.safetensors": shard("a", "b"), "2.safetensors": shard("b")}, "1 tensors lie in two shards"),
        (TWO, {"1.safetensors": shard("b"), "2.safetensors": shard("a")}, "names 2 tensors"),
        (TWO, {"1.safetensors": shard("a"), "2.safetensors": shard("b")[:-1]}, "2.safetensors is not sound"),
        (TWO, {"1.safetensors": shard("a"), "2.safetensors": shard("b") + b"x"}, "2.safetensors is not sound"),
    ],
)
def test_shards_that_disagree_with_one_another_or_the_index_are_refused(world, weight_map, shards, told):
    assert told in refused_because(world, sharded(weight_map, shards))["weights"]


def test_shards_that_agree_are_accepted(world):
    files = sharded({**TWO, "c": "1.safetensors"}, {"1.safetensors": shard("a", "c"), "2.safetensors": shard("b")})

    assert verdict_on(world, files).accepted


# ---- chat templates ------------------------------------------------------------------------------------------


def with_template(template):
    """Return a checkpoint whose tokenizer has that template, by itself or as one of several."""
    files = a_checkpoint()
    return files | {"tokenizer_config.json": json.dumps(tokenizer_of(files) | {"chat_template": template}).encode()}


def tokenizer_of(files):
    return json.loads(files["tokenizer_config.json"])


def as_file_of_its_own(template):
    return a_checkpoint() | {"chat_template.jinja": template.encode()}


def as_one_of_several(template):
    return with_template([{"name": "default", "template": "{{ bos_token }}"}, {"name": "rag", "template": template}])


PLACES = (with_template, as_file_of_its_own, as_one_of_several)
HOSTILE_TEMPLATES = REACHING_OUT + USING_UP


@pytest.mark.parametrize("number", range(len(HOSTILE_TEMPLATES)))
def test_a_hostile_template_is_refused_before_it_is_staged(world, number):
    place = PLACES[number % len(PLACES)]

    refusals = refused_because(world, place(HOSTILE_TEMPLATES[number]))

    assert {"chat template", "files"} & set(refusals)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("family", FAMILIES)
def test_the_template_of_a_family_is_accepted(world, family, place):
    assert verdict_on(world, place(FAMILIES[family])).accepted


# ---- before it is staged -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("model.safetensors", FOREIGN["zip"] * 10),
        ("tokenizer.model", FOREIGN["pickle of protocol 2"]),
        ("tokenizer_config.json", with_template(REACHING_OUT[0])["tokenizer_config.json"]),
    ],
)
def test_staging_looks_again_and_stages_nothing_of_a_source_that_has_turned_bad(name, content):
    world = World()
    world.source.push("acme/llama-8b", a_checkpoint() | {"tokenizer.model": SOUND["a sentencepiece model"][1]})
    world.bring(Status.STAGING)
    commit = world.artifact().revision
    world.source.rewrite("acme/llama-8b", commit, {name: content})

    with pytest.raises(SourceRefused, match=name):
        world.staging.plan(world.staging_task())

    assert (world.bucket.objects, world.bucket.uploads) == ({}, {})
