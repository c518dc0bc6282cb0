"""A verdict says what was found, what is supported and what to do; every refusal at once."""

import json
from datetime import UTC, datetime

import pytest
from pilotlight.domain import bedrock_support
from pilotlight.domain.artifact import ModelFacts
from pilotlight.domain.checkpoint import Checkpoint, CheckpointPlan, DerivedFile
from pilotlight.domain.preflight import Holder, Outcome, Places, judge
from pilotlight.domain.problems import Problem
from pilotlight.domain.source import SourceFile
from pilotlight.domain.values import Backend

FACTS = ModelFacts(
    architecture="LlamaForCausalLM",
    model_type="llama",
    dtype="bfloat16",
    context_tokens=131_072,
    weight_bytes=141_100_000_000,
    tokenizer_class="LlamaTokenizerFast",
    chat_template="{{ messages }}",
)
FILES = tuple(SourceFile(path=path, size_bytes=10) for path in bedrock_support.REQUIRED_FILES)


def checkpoint(*, files=FILES, derived=(), model_class="same", quantisation=None, eos_ids=(), problems=(), **facts):
    known = FACTS.changed(**facts)
    return Checkpoint(
        plan=CheckpointPlan(files=files, derived=derived, facts=known, total_bytes=30),
        model_class=known.architecture if model_class == "same" else model_class,
        quantisation=quantisation,
        eos_ids=frozenset(eos_ids),
        problems=problems,
    )


def verdict_on(subject, region="us-east-1", **options):
    return judge(subject, Backend.BEDROCK, region=region, **options)


def outcomes(verdict):
    return {check.name: check.outcome for check in verdict.checks if check.outcome is not Outcome.PASSED}


def only_refusal(verdict):
    (check,) = verdict.refusals
    return check


def test_a_seventy_billion_llama_is_accepted():
    verdict = verdict_on(checkpoint(), places=Places(quota=3))

    assert verdict.accepted
    assert outcomes(verdict) == {}
    assert verdict.staged == tuple(sorted(bedrock_support.REQUIRED_FILES))


@pytest.mark.parametrize("family", bedrock_support.FAMILIES, ids=lambda family: family.model_type)
def test_every_family_is_accepted_in_its_regions_and_refused_elsewhere(family):
    subject = checkpoint(
        model_type=family.model_type, architecture=family.architecture, weight_bytes=10**9, eos_ids=family.eos_ids
    )

    assert all(verdict_on(subject, region).accepted for region in family.regions)
    assert [check.name for check in verdict_on(subject, "ap-southeast-1").refusals] == ["region"]


@pytest.mark.parametrize(
    ("name", "changes", "words"),
    [
        ("architecture", {"model_type": "falcon", "architecture": "FalconForCausalLM"}, "falcon (FalconForCausalLM)"),
        ("architecture", {"architecture": "LlamaForSequenceClassification"}, "llama (LlamaForSequence"),
        ("architecture", {"model_type": "qwen3", "architecture": "Qwen3ForRanking"}, "Qwen3ForRanking"),
        ("architecture", {"model_type": "unknown"}, "no model_type"),
        ("dtype", {"dtype": "float8_e4m3fn"}, "float8_e4m3fn"),
        ("quantisation", {"quantisation": "gptq"}, "gptq"),
        ("quantisation", {"quantisation": "mxfp4"}, "mxfp4"),
        ("size", {"weight_bytes": 200 * 10**9}, "200.0 GB"),
        ("context", {"context_tokens": 131_073}, "131073 tokens"),
        ("tokenizer", {"tokenizer_class": "TokenizersBackend"}, "TokenizersBackend"),
        ("files", {"files": FILES[:2]}, "no tokenizer.json"),
    ],
)
def test_each_limit_refuses_by_its_name_with_what_was_found_and_what_to_do(name, changes, words):
    check = only_refusal(verdict_on(checkpoint(**changes)))

    assert check.name == name
    assert words in check.found
    assert check.supported
    assert check.advice


def test_a_multimodal_model_has_the_smaller_limit():
    vision = {"model_type": "mllama", "architecture": "MllamaForConditionalGeneration"}

    assert verdict_on(checkpoint(**vision, weight_bytes=100 * 10**9 - 1)).accepted
    assert only_refusal(verdict_on(checkpoint(**vision, weight_bytes=100 * 10**9))).supported == "less than 100.0 GB"


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("dtype", {"dtype": None}),
        ("context", {"context_tokens": None}),
        ("tokenizer", {"tokenizer_class": None}),
        ("chat template", {"chat_template": None}),
        ("architecture", {"model_class": None}),
        (
            "chat template",
            {
                "files": FILES[:1] + FILES[2:],
                "derived": (
                    DerivedFile(
                        path="tokenizer_config.json",
                        text="{}",
                        derived_from=("tokenizer_config.json", "chat_template.jinja"),
                    ),
                ),
            },
        ),
    ],
)
def test_what_is_only_unsaid_or_changed_by_us_warns_and_does_not_refuse(name, changes):
    verdict = verdict_on(checkpoint(**changes))

    assert verdict.accepted
    assert outcomes(verdict) == {name: Outcome.WARNED}


def test_gpt_oss_needs_its_three_end_tokens_and_its_own_region():
    oss = {"model_type": "gpt_oss", "architecture": "GptOssForCausalLM", "weight_bytes": 10**9, "quantisation": "mxfp4"}

    verdict = verdict_on(checkpoint(**oss, eos_ids=(200002, 199999)), "us-west-2")

    assert [check.name for check in verdict.refusals] == ["generation config", "region"]
    assert "GPT-OSS is imported" in verdict.refusals[1].advice
    assert verdict_on(checkpoint(**oss, eos_ids=(200002, 199999, 200012))).accepted


def holders(*names):
    return tuple(
        Holder(name=name, arn=f"arn:{name}", created_at=datetime(2026, 11, 20, 9, tzinfo=UTC)) for name in names
    )


def test_a_fourth_model_against_a_quota_of_three_is_refused_naming_the_holders_and_the_code():
    check = only_refusal(verdict_on(checkpoint(), places=Places(quota=3, holders=holders("one", "two", "three"))))

    assert check.name == "quota"
    assert "3 of 3" in check.found
    assert all(f"{name} (since 2026-11-20T09:00:00Z)" in check.found for name in ("one", "two", "three"))
    assert "L-45B04988" in check.supported
    assert "Tear down one" in check.advice
    assert "raise L-45B04988" in check.advice


def test_a_model_that_holds_its_place_already_needs_no_other():
    places = Places(quota=3, holders=holders("one", "two", "mine"))

    assert verdict_on(checkpoint(), places=places, own_model_name="mine").accepted
    assert not verdict_on(checkpoint(), places=places, own_model_name="other").accepted


def test_every_refusal_is_told_and_not_only_the_first():
    problem = Problem(subject="weights", found="pickles only", supported="safetensors", advice="Convert it.")
    subject = checkpoint(
        model_type="falcon", dtype="int8", quantisation="awq", context_tokens=10**6, problems=(problem,)
    )

    verdict = verdict_on(subject, "eu-west-1", places=Places(quota=0))

    names = [check.name for check in verdict.refusals]
    assert names == ["architecture", "dtype", "quantisation", "context", "weights", "region", "quota"]
    assert not verdict.accepted


def test_weights_under_a_name_that_only_others_find_are_refused():
    problem = Problem(subject="weights", found="gptq_model.safetensors", supported="safetensors", advice="Rename it.")
    subject = checkpoint().changed(irregular=(problem,))

    assert only_refusal(verdict_on(subject)).found == "gptq_model.safetensors"


def test_a_verdict_survives_its_json():
    verdict = verdict_on(checkpoint(), places=Places(quota=3))

    assert type(verdict).model_validate(json.loads(json.dumps(verdict.dump()))) == verdict
