"""Judgements of what endpoints are made of: mostly of what must not be removed, whatever the records say."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pilotlight.adapters.endpoint_scaling import STEP_SUFFIX
from pilotlight.domain import names
from pilotlight.domain.bundle import bundle_folder
from pilotlight.domain.deployment import Deployment, Status
from pilotlight.domain.endpoint import Seen, Update, rollback_alarm_name
from pilotlight.domain.endpoint_orphans import (
    BUNDLES,
    FoundAlarm,
    FoundHosted,
    FoundTarget,
    Owner,
    alarm_owner,
    allowed_by_tags,
    bundle_owner,
    endpoint_owner,
    judge_alarm,
    judge_bundle,
    judge_component,
    judge_definition,
    judge_endpoint,
    judge_target,
    needed_revisions,
    revision_owner,
    target_owner,
)
from pilotlight.domain.orphans import FoundExecution, judge_execution
from pilotlight.domain.reconciliation import Decision, Rules, Scene, Verdict
from pilotlight.domain.values import Backend

from tests.factories import NOON, a_deployment, an_endpoint

STACK = "pilotlight"
OLD = Scene(now=NOON + timedelta(days=365), rules=Rules(stack=STACK))
AT_NOON = Scene(now=NOON, rules=Rules(stack=STACK))
LIVE = [status for status in Status if status is not Status.GONE]
statuses = st.sampled_from(Status)
generations = st.integers(min_value=1, max_value=4)
ages = st.one_of(st.none(), st.integers(min_value=-60, max_value=300).map(lambda age: NOON - timedelta(minutes=age)))
some_name = st.from_regex(r"[a-z][a-z0-9]{0,5}(-(g[0-9]|v[0-9]|[a-z0-9]{1,4})){0,4}", fullmatch=True)


def hosted(name: str = "pilotlight-llama-g1", created_at: Any = NOON) -> FoundHosted:
    return FoundHosted(name=name, arn=f"arn/{name}", created_at=created_at)


def part(generation: int = 1, revision: int = 1, created_at: Any = NOON) -> FoundHosted:
    return hosted(names.revision_name("llama", generation, revision), created_at)


def a_target(resource_id: str = "endpoint/pilotlight-llama-g1/variant/main", created_at: Any = NOON) -> FoundTarget:
    return FoundTarget(
        resource_id=resource_id, dimension="sagemaker:variant:DesiredInstanceCount", created_at=created_at
    )


def an_alarm(name: str = "pilotlight-llama-g1-failures", changed_at: Any = NOON) -> FoundAlarm:
    return FoundAlarm(name=name, arn=f"arn/{name}", changed_at=changed_at)


def a_record(status: Status = Status.SERVING, generation: int = 1, **endpoint: Any) -> Deployment:
    there = an_endpoint(**{"exists": True, **endpoint})
    return a_deployment(status=status, generation=generation, backend=Backend.SAGEMAKER_ASYNC, endpoint=there)


def an_update(revision: int, previous: int) -> Update:
    return Update(number=1, revision=revision, previous=previous, started_at=NOON)


def running(revision: int = 1, generation: int = 1, status: str = "InService") -> Seen:
    name = names.endpoint_name("llama", generation)
    return Seen(name=name, arn=f"arn/{name}", status=status, config_name=f"{name}-v{revision}")


def decided(verdict: Verdict | None) -> Decision | None:
    return verdict.decision if verdict else None


def verdicts_without_use(
    record: Deployment | None, scene: Scene, *, generation: int, since: Any
) -> dict[str, Verdict | None]:
    """Judge one thing of each kind, of which SageMaker says that nothing is in use."""
    endpoint = names.endpoint_name("llama", generation)
    found = part(generation, 1, since)
    kept = frozenset({1})
    return {
        "endpoint": judge_endpoint(hosted(endpoint, since), record, scene),
        "component": judge_component(found, record, scene, kept=kept),
        "definition": judge_definition(found, record, scene, kept=kept),
        "target": judge_target(a_target(f"endpoint/{endpoint}/variant/main", since), record, scene),
        "scaled component": judge_target(a_target(f"inference-component/{endpoint}-v1", since), record, scene),
        "alarm": judge_alarm(an_alarm(f"{endpoint}-from-zero", since), record, scene),
    }


# ---- what every kind has in common ---------------------------------------------------------------------------


@given(statuses, generations, generations, ages)
def test_a_thing_is_removed_only_when_its_generation_is_over_and_it_is_old(
    status: Status, recorded: int, found: int, since: datetime | None
) -> None:
    verdicts = verdicts_without_use(a_record(status, recorded), AT_NOON, generation=found, since=since)

    over = recorded > found or (recorded == found and status is Status.GONE)
    old = since is not None and timedelta(hours=1) <= NOON - since
    assert {kind for kind, each in verdicts.items() if decided(each) is Decision.REMOVE} == (
        set(verdicts) if over and old else set()
    )


@given(st.integers(min_value=0, max_value=365 * 24 * 60).map(lambda age: NOON - timedelta(minutes=age)), generations)
def test_what_has_no_record_is_never_removed_but_told_once_it_is_old(since: datetime, generation: int) -> None:
    verdicts = verdicts_without_use(None, AT_NOON, generation=generation, since=since)
    bundle = judge_bundle(f"llama-g{generation}", None, since, AT_NOON)

    expected = Decision.LOOK if NOON - since >= timedelta(hours=1) else Decision.LEAVE
    assert {decided(each) for each in (*verdicts.values(), bundle)} == {expected}


@given(statuses, st.integers(min_value=1, max_value=3))
def test_what_is_of_a_later_generation_than_the_record_is_for_a_person(status: Status, recorded: int) -> None:
    record = a_record(status, recorded)

    verdicts = verdicts_without_use(record, OLD, generation=recorded + 1, since=NOON)
    bundle = judge_bundle(f"llama-g{recorded + 1}", record, NOON, OLD)

    assert {decided(each) for each in (*verdicts.values(), bundle)} == {Decision.LOOK}


@pytest.mark.parametrize("status", LIVE)
def test_what_a_live_generation_uses_is_nobodys_business(status: Status) -> None:
    record = a_record(status)

    verdicts = verdicts_without_use(record, OLD, generation=1, since=NOON)

    told = verdicts.pop("endpoint")
    assert decided(told) is (Decision.LEAVE if status is Status.FAILED else None)
    assert set(verdicts.values()) == {None}
    assert judge_bundle("llama-g1", record, NOON, OLD) is None


@pytest.mark.parametrize("kind", ["endpoint", "component", "definition", "target", "scaled component", "alarm"])
def test_what_has_no_known_age_is_for_a_person(kind: str) -> None:
    verdicts = verdicts_without_use(a_record(Status.GONE), OLD, generation=1, since=None)

    assert decided(verdicts[kind]) is Decision.LOOK


# ---- whose it is ---------------------------------------------------------------------------------------------


@given(some_name.filter(lambda name: len(name) <= 32), st.integers(1, 10**9 - 1), st.integers(1, 10**9 - 1))
def test_a_name_that_we_give_tells_whose_a_thing_is(name: str, generation: int, revision: int) -> None:
    endpoint = names.endpoint_name(name, generation)
    owner, made = Owner(name, generation), Owner(name, generation, revision)

    assert endpoint_owner(endpoint) == owner
    assert revision_owner(names.revision_name(name, generation, revision)) == made
    assert revision_owner(names.component_name(name, generation, revision)) == made
    assert target_owner(f"endpoint/{endpoint}/variant/main") == owner
    assert target_owner(f"inference-component/{names.component_name(name, generation, revision)}") == made
    assert alarm_owner(f"{endpoint}{STEP_SUFFIX}") == owner
    assert alarm_owner(rollback_alarm_name(endpoint)) == owner
    assert bundle_owner(bundle_folder(name, generation).removeprefix(BUNDLES).rstrip("/")) == owner
    assert (owner.endpoint, owner.as_user) == (endpoint, f"{name}-g{generation}")


@pytest.mark.parametrize(
    "name",
    [
        "llama-g1",
        "pilotlight",
        "pilotlight-",
        "pilotlight-llama",
        "pilotlight--g1",
        "pilotlight-llama-g",
        "pilotlight-llama-g01",
        "pilotlight-llama-g1-",
        "pilotlight-llama-g1-v",
        "pilotlight-llama-g1-v0",
        "pilotlight-llama-g1-v01",
        "pilotlight-llama-g1-v1-copy",
        "pilotlight-Llama-g1",
        "pilotlight-my--llama-g1",
        "pilotlight-1llama-g1",
        "pilotlight-llama-g١",
        f"pilotlight-{'l' * 33}-g1",
        "pilotlight-llama-g1\n",
        "PILOTLIGHT-llama-g1",
        "mypilotlight-llama-g1",
        "",
    ],
)
def test_a_name_that_we_would_not_give_is_nobodys_business(name: str) -> None:
    gone = a_record(Status.GONE, 9)
    seen = [
        judge_endpoint(hosted(name), gone, OLD),
        judge_definition(hosted(name), gone, OLD, kept=frozenset()),
        judge_component(hosted(name), gone, OLD, kept=frozenset()),
        judge_target(a_target(f"endpoint/{name}/variant/main"), gone, OLD),
        judge_target(a_target(f"inference-component/{name}"), gone, OLD),
        judge_alarm(an_alarm(f"{name}-failures"), gone, OLD),
    ]

    assert seen == [None] * 6


def test_a_thing_of_one_kind_is_not_taken_for_one_of_another() -> None:
    gone = a_record(Status.GONE, 9)

    assert judge_endpoint(hosted("pilotlight-llama-g1-v1"), gone, OLD) is None
    assert judge_definition(hosted("pilotlight-llama-g1"), gone, OLD, kept=frozenset()) is None
    assert judge_component(hosted("pilotlight-llama-g1"), gone, OLD, kept=frozenset()) is None
    assert judge_alarm(an_alarm("pilotlight-llama-g1"), gone, OLD) is None
    assert judge_alarm(an_alarm("pilotlight-llama-g1-v1-failures"), gone, OLD) is None


@pytest.mark.parametrize(
    "resource_id",
    [
        "endpoint/pilotlight-llama-g1/variant/shadow",
        "endpoint/pilotlight-llama-g1",
        "endpoint/pilotlight-llama-g1-v1/variant/main",
        "endpoint/pilotlight-llama-g1/variant/main/more",
        "inference-component/pilotlight-llama-g1",
        "inference-component/mine",
        "table/pilotlight-llama-g1",
        "",
    ],
)
def test_what_scales_anything_else_is_nobodys_business(resource_id: str) -> None:
    assert judge_target(a_target(resource_id), a_record(Status.GONE, 9), OLD) is None


@pytest.mark.parametrize(
    "tags",
    [
        None,
        {},
        {names.TAG_DEPLOYMENT: "llama", names.TAG_GENERATION: "1"},
        {**names.ownership_tags("another", "llama", 1)},
    ],
)
def test_what_has_not_this_stacks_tag_is_nobodys_business(tags: dict[str, str] | None) -> None:
    removal = Verdict(decision=Decision.REMOVE, reason="over")

    assert allowed_by_tags(removal, tags, Owner("llama", 1), OLD) is None


@pytest.mark.parametrize(
    "tags",
    [
        {names.TAG_STACK: STACK},
        names.ownership_tags(STACK, "other", 1),
        names.ownership_tags(STACK, "llama", 2),
        {names.TAG_STACK: STACK, names.TAG_DEPLOYMENT: "llama"},
    ],
)
def test_what_has_our_name_and_the_tags_of_another_is_for_a_person(tags: dict[str, str]) -> None:
    removal = Verdict(decision=Decision.REMOVE, reason="over")

    assert decided(allowed_by_tags(removal, tags, Owner("llama", 1), OLD)) is Decision.LOOK


def test_what_its_name_and_its_tags_agree_on_is_decided_as_it_was() -> None:
    removal = Verdict(decision=Decision.REMOVE, reason="over")
    tags = {**names.revision_tags(STACK, "llama", 1, 2, "abc"), "team": "search"}

    assert allowed_by_tags(removal, tags, Owner("llama", 1, 2), OLD) == removal
    assert allowed_by_tags(None, tags, Owner("llama", 1, 2), OLD) is None
    assert allowed_by_tags(None, tags, Owner("other", 1, 2), OLD) is None


# ---- endpoints -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["Creating", "InService", "Updating", "Failed", "OutOfService", "Deleting"])
def test_what_is_being_deleted_is_left_to_it(status: str) -> None:
    gone, kept = a_record(Status.GONE), frozenset[int]()

    endpoint = judge_endpoint(hosted().changed(status=status), gone, OLD)
    component = judge_component(part().changed(status=status), gone, OLD, kept=kept)

    expected = None if status == "Deleting" else Decision.REMOVE
    assert (decided(endpoint), decided(component)) == (expected, expected)


@pytest.mark.parametrize("status", LIVE)
def test_an_endpoint_that_its_record_takes_to_be_gone_is_noted_where_nobody_is_at_work(status: Status) -> None:
    record = a_record(status, exists=False, parked=status is Status.SERVING)

    at_rest = status in (Status.FAILED, Status.SERVING)
    assert decided(judge_endpoint(hosted(), record, OLD)) is (Decision.ADOPT if at_rest else None)


@pytest.mark.parametrize("status", [Status.FAILED, Status.SERVING])
def test_an_endpoint_whose_live_record_tells_of_none_is_for_a_person(status: Status) -> None:
    record = a_deployment(status=status, backend=Backend.SAGEMAKER_ASYNC)

    assert decided(judge_endpoint(hosted(), record, OLD)) is Decision.LOOK


# ---- what revisions are made of ------------------------------------------------------------------------------


def both(found: FoundHosted, record: Deployment, kept: set[int], seen: Seen | None = None) -> set[Decision | None]:
    judged = {
        judge(found, record, OLD, kept=frozenset(kept), seen=seen) for judge in (judge_component, judge_definition)
    }
    return {decided(verdict) for verdict in judged}


@pytest.mark.parametrize("status", LIVE)
@pytest.mark.parametrize("seen", [None, running(3), running(1, status="Updating")])
def test_a_revision_with_a_record_keeps_what_it_is_made_of(status: Status, seen: Seen | None) -> None:
    record = a_record(status, revision=3, newest_revision=3)

    assert both(part(revision=1), record, {1}, seen) == {None}


@pytest.mark.parametrize("status", LIVE)
def test_what_a_forgotten_revision_left_goes_when_it_is_old(status: Status) -> None:
    record = a_record(status, revision=3, newest_revision=3)
    young = Scene(now=NOON + timedelta(minutes=59), rules=Rules(stack=STACK))

    assert both(part(revision=1), record, {3}, running(3)) == {Decision.REMOVE}
    assert both(part(revision=1), record, {3}) == {Decision.REMOVE}
    assert decided(judge_definition(part(revision=1), record, young, kept=frozenset({3}))) is Decision.LEAVE


@pytest.mark.parametrize("status", ["Creating", "Updating", "SystemUpdating", "RollingBack", "Deleting"])
def test_nothing_is_taken_from_under_an_endpoint_that_changes(status: str) -> None:
    record = a_record(revision=3, newest_revision=3)

    assert both(part(revision=1), record, {3}, running(3, status=status)) == {Decision.LEAVE}


def test_what_an_endpoint_runs_stays_though_its_revision_has_no_record() -> None:
    record = a_record(revision=3, newest_revision=3)

    assert both(part(revision=1), record, {3}, running(1)) == {Decision.LEAVE}


@pytest.mark.parametrize(
    ("update", "kept"),
    [(None, set()), (an_update(3, 2), {3}), (an_update(3, 2), {2}), (an_update(4, 3), {3}), (an_update(1, 3), {3})],
)
def test_where_revisions_that_are_needed_have_no_record_a_person_is_told(update: Update | None, kept: set[int]) -> None:
    record = a_record(revision=update.previous if update else 3, newest_revision=9, update=update)

    assert both(part(revision=1), record, kept) == {Decision.LOOK}


def test_a_revision_that_came_after_the_record_is_for_a_person() -> None:
    record = a_record(revision=3, newest_revision=3)

    assert both(part(revision=4), record, {3}) == {Decision.LOOK}


def test_what_is_of_a_revision_of_a_deployment_without_an_endpoint_is_for_a_person() -> None:
    record = a_deployment(status=Status.FAILED, backend=Backend.SAGEMAKER_ASYNC)

    assert both(part(revision=1), record, set()) == {Decision.LOOK}


def test_the_revisions_that_are_needed_are_those_that_run_or_may_soon() -> None:
    assert needed_revisions(None) == needed_revisions(a_deployment()) == frozenset()
    assert needed_revisions(a_record(revision=3, newest_revision=5)) == {3}
    assert needed_revisions(a_record(revision=3, newest_revision=5, update=an_update(5, 3))) == {3, 5}


def test_a_config_and_a_model_outlive_their_endpoint_and_a_component_does_not() -> None:
    gone, found = a_record(Status.GONE), part()

    assert decided(judge_definition(found, gone, OLD, kept=frozenset(), seen=running(7))) is Decision.LEAVE
    assert decided(judge_definition(found, gone, OLD, kept=frozenset())) is Decision.REMOVE
    assert (
        decided(judge_definition(part(created_at=None), gone, OLD, kept=frozenset(), seen=running())) is Decision.LOOK
    )
    assert decided(judge_component(found, gone, OLD, kept=frozenset(), seen=running())) is Decision.REMOVE


# ---- what scales, bundles, executions ------------------------------------------------------------------------


@pytest.mark.parametrize("record", [None, a_record(Status.GONE), a_record(Status.GONE, 9), a_record()])
def test_nothing_is_said_of_what_scales_an_endpoint_that_is_there(record: Deployment | None) -> None:
    assert judge_target(a_target(), record, OLD, endpoint_is_there=True) is None
    scaled = a_target("inference-component/pilotlight-llama-g1-v1")
    assert judge_target(scaled, record, OLD, endpoint_is_there=True) is None


@given(statuses, generations, generations, ages)
def test_bundles_are_removed_only_when_their_generation_is_over_and_the_newest_is_old(
    status: Status, recorded: int, found: int, written: datetime | None
) -> None:
    verdict = judge_bundle(f"llama-g{found}", a_record(status, recorded), written, AT_NOON)

    over = recorded > found or (recorded == found and status is Status.GONE)
    old = written is not None and NOON - written >= timedelta(hours=1)
    assert (decided(verdict) is Decision.REMOVE) == (over and old)


@pytest.mark.parametrize("folder", ["llama-g1", "mine"])
def test_nothing_is_said_of_a_folder_in_which_there_is_nothing(folder: str) -> None:
    assert judge_bundle(folder, a_record(Status.GONE), None, OLD) is None


@pytest.mark.parametrize(
    "folder", ["mine", "llama-g01", "llama-g١", "Llama-g1", "llama-g1-copy", "", "..", f"{'l' * 33}-g1", "llama-g"]
)
def test_a_folder_beside_the_bundles_is_told_and_never_removed(folder: str) -> None:
    assert bundle_owner(folder) is None
    assert decided(judge_bundle(folder, a_record(Status.GONE, 9), NOON, OLD)) is Decision.LOOK


@given(statuses, generations, generations, st.integers(1, 4), st.integers(0, 4))
def test_the_update_that_a_live_record_wants_is_never_stopped(
    status: Status, recorded: int, found: int, number: int, updates: int
) -> None:
    record = a_record(status, recorded, updates=updates)
    run = names.update_name("llama", found, number, record.created_at)

    verdict = judge_execution(FoundExecution(machine="update", name=run, started_at=NOON), record, OLD)

    over = recorded > found or (recorded == found and status is Status.GONE)
    followed = recorded == found and number < updates
    assert decided(verdict) is (Decision.REMOVE if over or followed else None)
