"""Every name that we derive is one that its service takes, and the same thing always has the same name."""

import re
from datetime import UTC, datetime
from functools import cache

import botocore.session
from botocore.model import Shape
from hypothesis import given, settings
from hypothesis import strategies as st
from pilotlight.domain import names
from pilotlight.domain.artifact import weights_prefix
from pilotlight.domain.source import Source
from pilotlight.domain.values import NAME_MAX, NAME_PATTERN

from tests.factories import NOON

WORDS = st.from_regex(r"[a-z][a-z0-9]{0,9}(-[a-z0-9]{1,8}){0,4}", fullmatch=True)
NAMES = WORDS.filter(lambda name: len(name) <= NAME_MAX)
LONGEST = "a" * NAME_MAX
GENERATIONS = st.integers(1, 999)
ATTEMPTS = st.integers(1, 99)
BIRTHS = st.datetimes(datetime(2024, 1, 1), datetime(2060, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 (hypothesis wants naive bounds)
EXECUTION_NAME_MAX = 80  # Source: AWS Step Functions API reference, StartExecution
quick = settings(max_examples=25, derandomize=True, deadline=None)


@cache
def member(operation: str, *path: str) -> Shape:
    """Return a member of an operation's input, from the service model of the pinned botocore."""
    shape = botocore.session.get_session().get_service_model("bedrock").operation_model(operation).input_shape
    for name in path:
        shape = shape.members[name]
    return shape


def takes(shape: Shape, text: str) -> bool:
    rules = shape.metadata
    long_enough = rules.get("min", 0) <= len(text) <= rules.get("max", 10**6)
    return long_enough and re.fullmatch(rules.get("pattern", ".*"), text) is not None


@quick
@given(NAMES, GENERATIONS, ATTEMPTS, BIRTHS)
def test_bedrock_takes_the_names_of_jobs_models_and_tokens_of_every_deployment(name, generation, attempt, born):
    assert re.match(NAME_PATTERN, name)
    model = names.imported_model_name(name, generation)
    job = names.import_job_name(name, generation, attempt, born)
    token = names.import_token("some-stack", job)

    assert takes(member("CreateModelImportJob", "importedModelName"), model), model
    assert takes(member("CreateModelImportJob", "jobName"), job), job
    assert takes(member("CreateModelImportJob", "clientRequestToken"), token), token


def test_bedrock_takes_the_names_of_the_longest_name_there_is():
    job = names.import_job_name(LONGEST, 999, 99, datetime(2060, 1, 1, tzinfo=UTC))

    assert takes(member("CreateModelImportJob", "jobName"), job)
    assert len(job) <= 63
    assert len(names.imported_model_name(LONGEST, 999)) <= 63


@quick
@given(st.from_regex(r"hf://[A-Za-z0-9_.-]{1,20}/[A-Za-z0-9_-]{1,20}", fullmatch=True), st.text("0123456789abcdef"))
def test_bedrock_takes_the_prefix_of_every_artifact(text, revision):
    artifact_id = names.artifact_id(Source.parse(text.replace("..", "-")).at(revision))

    uri = f"s3://some-bucket/{weights_prefix(artifact_id)}"
    assert takes(member("CreateModelImportJob", "modelDataSource", "s3DataSource", "s3Uri"), uri), uri


@quick
@given(NAMES, GENERATIONS, ATTEMPTS, BIRTHS)
def test_names_of_executions_fit_and_tell_generations_attempts_and_rounds_apart(name, generation, attempt, born):
    runs = [
        names.run_name(name, generation, 1, born),
        names.run_name(name, generation, attempt + 1, born),
        names.run_name(name, generation + 1, 1, born),
        names.teardown_name(name, generation, attempt, born),
        names.wake_name(name, generation, "0123456789ab", born),
        names.staging_name("a0123456789abcdef012", attempt, born),  # pragma: allowlist secret (an id)
    ]

    assert len(set(runs)) == len(runs)
    assert all(len(run) <= EXECUTION_NAME_MAX and re.fullmatch(r"[0-9A-Za-z_-]+", run) for run in runs)


def test_a_model_has_one_name_for_all_attempts_and_a_job_one_for_each():
    assert names.imported_model_name("llama", 2) == "pilotlight-llama-g2"
    assert names.import_job_name("llama", 2, 1, NOON) != names.import_job_name("llama", 2, 2, NOON)


def test_a_stack_made_again_does_not_meet_its_former_jobs():
    later = NOON.replace(second=1)

    assert names.import_job_name("llama", 1, 1, NOON) != names.import_job_name("llama", 1, 1, later)


def test_a_stack_made_again_does_not_meet_its_former_executions():
    before, after = [
        {
            names.run_name("llama", 1, 1, born),
            names.run_name("llama", 1, 2, born),
            names.teardown_name("llama", 1, 1, born),
            names.wake_name("llama", 1, "0123456789ab", born),
            names.staging_name("a0123", 1, born),
        }
        for born in (NOON, NOON.replace(second=1))
    ]

    assert before & after == set()


def test_two_stacks_do_not_share_a_token():
    assert names.import_token("one", "job") != names.import_token("two", "job")


def test_the_same_source_and_revision_share_an_artifact_and_no_others_do():
    one, two = Source.parse("hf://org/a").at("r1"), Source.parse("hf://org/a").at("r2")

    assert names.artifact_id(one) == names.artifact_id(Source.parse("hf://org/a@main").at("r1"))
    assert names.artifact_id(one) != names.artifact_id(two)


def test_what_makes_a_resource_ours_is_stack_deployment_and_generation():
    assert names.ownership_tags("prod", "llama", 3) == {
        "pilotlight:stack": "prod",
        "pilotlight:deployment": "llama",
        "pilotlight:generation": "3",
    }
