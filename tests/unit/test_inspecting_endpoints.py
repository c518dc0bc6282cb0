"""The reconciliation of endpoints over the fakes: what is removed, told or noted, and what is left alone."""

from datetime import timedelta
from typing import Any

import pytest
from pilotlight.domain import names
from pilotlight.domain.bundle import bundle_key
from pilotlight.domain.deployment import Deployment, Status
from pilotlight.domain.endpoint import Revision
from pilotlight.domain.errors import Throttled
from pilotlight.domain.hosting import Hosting, ScalingSettings
from pilotlight.domain.reconciliation import Decision, Finding, Kind, Pass, Rules, Scene
from pilotlight.domain.values import Backend
from pilotlight.ports.endpoints import Component, Found
from pilotlight.services.inspecting import InspectingExecutions
from pilotlight.services.inspecting_endpoints import endpoint_inspectors
from pilotlight.services.reconciling import Reconciling

from tests import fakes
from tests.factories import NOON, a_deployment, an_endpoint, an_event
from tests.fakes.hosting import PREFIX, FakeAutoscaling, FakeEndpoints, FakeRevisions, Hosted
from tests.fakes.hosting_inventory import FakeEndpointInventory

STACK = "pilotlight"
ENDPOINT = "pilotlight-llama-g1"
TARGET = f"endpoint/{ENDPOINT}/variant/main"
COMPONENT_TARGET = f"inference-component/{ENDPOINT}-v1"
ALARMS = [f"{ENDPOINT}-failures", f"{ENDPOINT}-from-zero"]


class Account:
    """Deployments of endpoints, what there is of them, and the reconciliation over both."""

    def __init__(self) -> None:
        self.clock = fakes.ManualClock()
        self.deployments = fakes.FakeDeployments()
        self.hosting = FakeEndpoints()
        self.autoscaling = FakeAutoscaling()
        self.revisions = FakeRevisions()
        self.bucket = fakes.FakeBucket(self.clock)
        self.storage = fakes.FakeInventory(
            self.bucket, fakes.FakeBodies(self.clock), fakes.FakeSource(self.clock), "uploads/"
        )
        self.inventory = FakeEndpointInventory(self.hosting, self.bucket, self.autoscaling)
        self.passes = fakes.FakePasses()

    def record(self, status: Status = Status.SERVING, name: str = "llama", **fields: Any) -> Deployment:
        """Write a record; `endpoint` may be given as fields."""
        endpoint = an_endpoint(name, **{"exists": True, **fields.pop("endpoint", {})})
        fresh = a_deployment(name, status=status, backend=Backend.SAGEMAKER_ASYNC, **{"endpoint": endpoint, **fields})
        return self.deployments.reserve(fresh, an_event())

    def endpoint(self, name: str = "llama", generation: int = 1, *, stack: str = STACK, **fields: Any) -> str:
        """Put an endpoint in service, on two instances of its first revision."""
        endpoint = names.endpoint_name(name, generation)
        tags = names.ownership_tags(stack, name, generation)
        told = {"status": "InService", "instances": 2, "desired": 2, **fields}
        self.hosting.endpoints[endpoint] = Hosted(names.revision_name(name, generation, 1), tags, **told)
        return endpoint

    def parts(self, revision: int = 1, *, generation: int = 1, stack: str = STACK, component: bool = False) -> str:
        """Put a model and a config there, and a component where there shall be one."""
        name = names.revision_name("llama", generation, revision)
        tags = names.revision_tags(stack, "llama", generation, revision, "digest")
        for held, kind in ((self.hosting.models, "model"), (self.hosting.configs, "endpoint-config")):
            held[name] = Found(name=name, arn=f"{PREFIX}{kind}/{name}", tags=tags)
        if component:
            arn = f"{PREFIX}inference-component/{name}"
            self.hosting.components[name] = Component(name=name, arn=arn, status="InService")
        return name

    def scale(self, *, stack: str = STACK) -> None:
        """Put bounds and alarms there."""
        self.inventory.scaled |= {TARGET, COMPONENT_TARGET}
        self.inventory.alarmed |= {name: {names.TAG_STACK: stack} for name in ALARMS}

    def keep(self, *numbers: int) -> None:
        """Write the records of revisions."""
        for number in numbers:
            self.revisions.add(a_revision(number))

    def reconcile(self, **rules: Any) -> Pass:
        inspectors = endpoint_inspectors(
            self.inventory,
            self.hosting,
            self.revisions,
            self.storage,
            self.bucket,
            self.deployments,
            self.clock,
            region="us-west-2",
        )
        longest, turn = timedelta(minutes=5), timedelta(minutes=10)
        journal, told = fakes.FakeJournal(), Rules(stack=STACK, **rules)
        return Reconciling(inspectors, self.passes, journal, self.clock, told, longest=longest, turn=turn).reconcile()

    def settle(self) -> None:
        """Let every endpoint that is being deleted be gone."""
        for name in [name for name, each in self.hosting.endpoints.items() if each.status == "Deleting"]:
            self.hosting.settle(name)

    def left(self) -> dict[str, list[str]]:
        """Return what there is still."""
        found = {
            "endpoints": sorted(self.hosting.endpoints),
            "models": sorted(self.hosting.models),
            "configs": sorted(self.hosting.configs),
            "components": sorted(self.hosting.components),
            "targets": [each.resource_id for each in self.inventory.targets()],
            "alarms": sorted(self.inventory.alarmed),
            "bundles": sorted(self.bucket.objects),
        }
        return {kind: left for kind, left in found.items() if left}


@pytest.fixture
def account() -> Account:
    return Account()


def a_revision(number: int) -> Revision:
    name = names.revision_name("llama", 1, number)
    return Revision(
        deployment="llama",
        generation=1,
        number=number,
        model_name=name,
        config_name=name,
        instance_type="ml.g5.xlarge",
        usd_per_hour=1.408,
        scaling=ScalingSettings().for_backend(Backend.SAGEMAKER_ASYNC),
        hosting=Hosting(),
        image="image",
        digest="digest",
        created_at=NOON,
    )


def decisions(done: Pass) -> list[tuple[Kind, Decision]]:
    return [(finding.kind, finding.decision) for finding in done.findings]


def of_kind(done: Pass, kind: Kind) -> list[Finding]:
    return [finding for finding in done.findings if finding.kind is kind]


# ---- what is over --------------------------------------------------------------------------------------------


def test_all_that_a_deployment_left_is_removed_its_endpoint_before_what_it_is_made_of(account: Account) -> None:
    account.record(Status.GONE)
    account.endpoint()
    account.parts(component=True)
    account.scale()
    account.bucket.put(bundle_key("llama", 1, 1), b"bundle")
    account.clock.advance(hours=2)

    first = account.reconcile()
    between = account.left()
    account.settle()
    account.reconcile()

    assert of_kind(first, Kind.ENDPOINT)[0].done
    assert between == {
        "endpoints": [ENDPOINT],
        "models": [f"{ENDPOINT}-v1"],
        "configs": [f"{ENDPOINT}-v1"],
        "targets": [TARGET, COMPONENT_TARGET],
    }
    assert account.left() == {}
    assert account.reconcile().findings == ()


def test_an_endpoint_that_nobody_owns_says_what_it_costs_by_the_hour(account: Account) -> None:
    account.record(Status.GONE)
    account.endpoint()
    account.parts()
    account.clock.advance(hours=2)

    (finding,) = of_kind(account.reconcile(dry_run=True), Kind.ENDPOINT)

    assert finding.belongs_to == "llama-g1"
    assert finding.usd_per_hour
    assert finding.usd_per_hour.usd == 2.816
    assert finding.since == NOON
    assert (finding.orphan, finding.resource) == (True, f"{PREFIX}endpoint/{ENDPOINT}")


@pytest.mark.parametrize(("instances", "desired", "usd"), [(0, 0, 0.0), (0, 3, 4.224), (1, 0, 1.408)])
def test_instances_that_are_on_their_way_in_or_out_cost_too(
    account: Account, instances: int, desired: int, usd: float
) -> None:
    account.record(Status.GONE)
    account.endpoint(instances=instances, desired=desired)
    account.parts()
    account.clock.advance(hours=2)

    (finding,) = of_kind(account.reconcile(dry_run=True), Kind.ENDPOINT)

    assert finding.usd_per_hour
    assert finding.usd_per_hour.usd == usd


@pytest.mark.parametrize("told", [False, True])
def test_what_an_endpoint_costs_is_not_guessed_where_nobody_tells_what_it_runs_on(account: Account, told: bool) -> None:
    account.record(Status.GONE)
    account.endpoint()
    if told:
        account.inventory.instance_types[account.parts()] = None
    account.clock.advance(hours=2)

    (finding,) = of_kind(account.reconcile(dry_run=True), Kind.ENDPOINT)

    assert finding.usd_per_hour is None


def test_what_is_of_an_earlier_generation_goes_and_what_is_of_the_live_one_stays(account: Account) -> None:
    live = names.endpoint_name("llama", 2)
    account.record(Status.GONE)
    account.deployments.reserve(
        a_deployment(
            status=Status.SERVING, backend=Backend.SAGEMAKER_ASYNC, endpoint=an_endpoint(name=live, exists=True)
        ),
        an_event(),
    )
    for generation in (1, 2):
        account.endpoint(generation=generation)
        account.parts(generation=generation)
        account.bucket.put(bundle_key("llama", generation, 1), b"bundle")
    account.revisions.add(a_revision(1).changed(generation=2))
    account.clock.advance(hours=2)

    for _ in range(2):
        account.reconcile()
        account.settle()

    assert account.left() == {
        "endpoints": [live],
        "models": [f"{live}-v1"],
        "configs": [f"{live}-v1"],
        "bundles": [bundle_key("llama", 2, 1)],
    }


@pytest.mark.parametrize("status", [each for each in Status if each is not Status.GONE])
def test_nothing_of_a_live_deployment_is_ever_removed(account: Account, status: Status) -> None:
    account.record(status)
    account.endpoint()
    account.parts(component=True)
    account.keep(1)
    account.scale()
    account.bucket.put(bundle_key("llama", 1, 1), b"bundle")
    before = account.left()
    account.clock.advance(days=30)

    done = account.reconcile()

    assert account.left() == before
    assert (done.removed, done.found) == (0, 0)
    assert account.hosting.endpoints[ENDPOINT].status == "InService"


def test_of_what_the_record_says_that_it_is_in_use_nothing_more_is_asked(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    account.record()
    account.endpoint()
    account.parts(component=True)
    account.keep(1)
    account.scale()
    account.bucket.put(bundle_key("llama", 1, 1), b"bundle")
    account.clock.advance(days=30)
    asked: list[str] = []
    questions = (
        (account.inventory, "tags"),
        (account.inventory, "alarm_tags"),
        (account.hosting, "see"),
        (account.storage, "newest_write"),
    )
    for holder, question in questions:
        monkeypatch.setattr(holder, question, lambda *_, question=question: asked.append(question))

    account.reconcile()

    assert asked == []


def test_what_others_made_is_not_even_told(account: Account) -> None:
    account.record(Status.GONE)
    account.endpoint(stack="another")
    account.parts(stack="another", component=True)
    account.scale(stack="another")
    account.hosting.endpoints["their-own"] = Hosted("their-own", names.ownership_tags(STACK, "llama", 1), "InService")
    before = account.left()
    account.clock.advance(days=30)

    done = account.reconcile()

    assert done.findings == ()
    assert account.left() == before


def test_what_has_no_tags_at_all_is_not_even_told(account: Account) -> None:
    account.record(Status.GONE)
    account.endpoint()
    account.parts(component=True)
    account.hosting.endpoints[ENDPOINT].tags = {}
    for held in (account.hosting.models, account.hosting.configs):
        held[f"{ENDPOINT}-v1"] = held[f"{ENDPOINT}-v1"].changed(tags={})
    account.clock.advance(days=30)

    assert account.reconcile().findings == ()


def test_what_has_the_tags_of_another_deployment_is_told_and_stays(account: Account) -> None:
    account.record(Status.GONE)
    account.endpoint()
    account.hosting.endpoints[ENDPOINT].tags = names.ownership_tags(STACK, "other", 1)
    account.clock.advance(days=30)

    done = account.reconcile()

    assert decisions(done) == [(Kind.ENDPOINT, Decision.LOOK)]
    assert account.hosting.endpoints[ENDPOINT].status == "InService"


def test_young_orphans_are_left_alone(account: Account) -> None:
    account.record(Status.GONE)
    account.endpoint()
    account.parts(component=True)
    account.scale()
    account.bucket.put(bundle_key("llama", 1, 1), b"bundle")
    before = account.left()
    account.clock.advance(minutes=59)

    done = account.reconcile()

    assert {decision for _, decision in decisions(done)} == {Decision.LEAVE}
    assert account.left() == before
    assert account.hosting.endpoints[ENDPOINT].status == "InService"


def test_a_table_that_was_lost_removes_nothing_and_all_is_told(account: Account) -> None:
    account.endpoint()
    account.parts(component=True)
    account.scale()
    account.bucket.put(bundle_key("llama", 1, 1), b"bundle")
    before = account.left()
    account.clock.advance(hours=2)

    done = account.reconcile()

    assert account.left() == before
    assert {decision for _, decision in decisions(done)} == {Decision.LOOK}
    assert {kind for kind, _ in decisions(done)} == {
        Kind.ENDPOINT,
        Kind.ENDPOINT_CONFIG,
        Kind.SAGEMAKER_MODEL,
        Kind.COMPONENT,
        Kind.SCALING_ALARM,
        Kind.BUNDLE,
    }


def test_what_scales_an_endpoint_that_is_gone_and_has_no_record_is_told(account: Account) -> None:
    account.scale()
    account.clock.advance(hours=2)

    done = account.reconcile()

    assert {finding.resource for finding in of_kind(done, Kind.SCALABLE_TARGET)} == {TARGET, COMPONENT_TARGET}
    assert {decision for _, decision in decisions(done)} == {Decision.LOOK}
    assert account.inventory.scaled == {TARGET, COMPONENT_TARGET}


def test_what_scales_anothers_endpoint_of_the_same_name_stays(account: Account) -> None:
    account.record(Status.GONE)
    account.endpoint(stack="another")
    account.scale(stack="another")
    account.clock.advance(days=30)

    account.reconcile()

    assert account.inventory.scaled == {TARGET, COMPONENT_TARGET}


# ---- endpoints of live deployments ---------------------------------------------------------------------------


def test_the_endpoint_of_a_deployment_that_failed_is_told_and_left_to_the_sweep(account: Account) -> None:
    account.record(Status.FAILED)
    account.endpoint()
    account.clock.advance(days=1)

    done = account.reconcile()

    assert decisions(done) == [(Kind.ENDPOINT, Decision.LEAVE)]
    assert account.hosting.endpoints[ENDPOINT].status == "InService"
    assert done.found == 0


@pytest.mark.parametrize("status", [Status.FAILED, Status.SERVING])
def test_an_endpoint_that_its_record_takes_to_be_gone_is_noted_and_looked_at_soon(
    account: Account, status: Status
) -> None:
    account.record(status, endpoint={"exists": False, "parked": True})
    account.endpoint()

    done = account.reconcile()

    noted = account.deployments.get("llama")
    assert decisions(done) == [(Kind.ENDPOINT, Decision.ADOPT)]
    assert done.findings[0].done
    assert noted.endpoint
    assert (noted.endpoint.exists, noted.endpoint.parked) == (True, False)
    assert noted.next_look_at
    assert noted.next_look_at <= account.clock.now() + timedelta(minutes=1)


def test_who_wakes_or_retries_at_the_last_moment_is_not_overwritten(account: Account) -> None:
    account.record(Status.SERVING, endpoint={"exists": False, "parked": True})
    account.endpoint()
    woken = a_deployment(
        status=Status.SERVING, backend=Backend.SAGEMAKER_ASYNC, endpoint=an_endpoint(exists=True, starting_at=NOON)
    )
    account.deployments.shelf.meanwhile.append(lambda: account.deployments.shelf.write("llama", woken, 2))

    account.reconcile()

    found = account.deployments.get("llama").endpoint
    assert found
    assert found.starting_at == NOON


def test_an_endpoint_that_went_while_it_was_looked_at_is_nobodys_business(account: Account) -> None:
    account.record(Status.GONE)
    account.endpoint()
    account.clock.advance(hours=2)
    listed = account.inventory.endpoints()
    account.hosting.endpoints.clear()
    account.inventory.endpoints = lambda: listed  # type: ignore[method-assign]

    assert account.reconcile().findings == ()


def test_what_somebody_began_to_delete_while_it_was_looked_at_is_left_to_it(account: Account) -> None:
    account.record(Status.GONE)
    account.endpoint()
    account.clock.advance(hours=2)
    listed = account.inventory.endpoints()
    account.hosting.endpoints[ENDPOINT].status = "Deleting"
    account.inventory.endpoints = lambda: listed  # type: ignore[method-assign]

    assert account.reconcile().findings == ()


def test_an_endpoint_that_cannot_be_deleted_just_now_is_left_for_the_next_pass(account: Account) -> None:
    account.record(Status.GONE)
    account.endpoint(status="Updating")
    account.clock.advance(hours=2)

    done = account.reconcile()
    account.hosting.settle(ENDPOINT)
    again = account.reconcile()

    assert [(finding.done, bool(finding.trouble)) for finding in done.findings] == [(False, True)]
    assert done.orphans_left == 1
    assert again.removed == 1


# ---- revisions -----------------------------------------------------------------------------------------------


def test_what_a_forgotten_revision_left_is_removed_and_what_is_kept_stays(account: Account) -> None:
    account.record(endpoint={"revision": 3, "newest_revision": 3})
    account.endpoint()
    account.hosting.endpoints[ENDPOINT].config = f"{ENDPOINT}-v3"
    for number in (1, 2, 3):
        account.parts(number)
    account.keep(2, 3)
    account.clock.advance(hours=2)

    done = account.reconcile()

    assert account.left()["models"] == account.left()["configs"] == [f"{ENDPOINT}-v2", f"{ENDPOINT}-v3"]
    assert done.removed == 2


def test_where_the_records_of_revisions_were_lost_nothing_is_removed(account: Account) -> None:
    account.record(endpoint={"revision": 3, "newest_revision": 3})
    for number in (1, 3):
        account.parts(number)
    before = account.left()
    account.clock.advance(days=30)

    done = account.reconcile()

    assert account.left() == before
    assert {decision for _, decision in decisions(done)} == {Decision.LOOK}


def test_a_revision_whose_record_cannot_be_read_keeps_what_it_is_made_of(account: Account) -> None:
    account.record(endpoint={"revision": 3, "newest_revision": 3})
    account.parts(1)
    account.keep(3)
    before = account.left()
    find = account.revisions.find

    def unreadable(name: str, generation: int, number: int) -> Revision | None:
        if number == 1:
            raise Throttled("it cannot be read")
        return find(name, generation, number)

    account.revisions.find = unreadable  # type: ignore[method-assign]
    account.clock.advance(days=30)

    done = account.reconcile()

    assert account.left() == before
    assert {finding.trouble for finding in done.findings} == {"it cannot be read"}


def test_a_revision_that_gets_its_record_at_the_last_moment_keeps_what_it_is_made_of(account: Account) -> None:
    account.record(endpoint={"revision": 3, "newest_revision": 3})
    account.parts(1)
    account.keep(3)
    account.clock.advance(hours=2)
    look = account.inventory.tags

    def rolled_back(arn: str) -> dict[str, str] | None:
        account.keep(1)
        return look(arn)

    account.inventory.tags = rolled_back  # type: ignore[method-assign]

    done = account.reconcile()

    assert account.left() == {"models": [f"{ENDPOINT}-v1"], "configs": [f"{ENDPOINT}-v1"]}
    assert done.removed == 0


# ---- the pass ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("listed", "kind"),
    [
        ("endpoints", Kind.ENDPOINT),
        ("configs", Kind.ENDPOINT_CONFIG),
        ("models", Kind.SAGEMAKER_MODEL),
        ("components", Kind.COMPONENT),
        ("targets", Kind.SCALABLE_TARGET),
        ("alarms", Kind.SCALING_ALARM),
        ("bundle_folders", Kind.BUNDLE),
    ],
)
def test_a_list_that_fails_is_told_and_removes_nothing_of_its_kind(account: Account, listed: str, kind: Kind) -> None:
    account.record(Status.GONE)
    account.parts()
    account.clock.advance(hours=2)
    account.inventory.trouble[listed] = Throttled("slow down")

    done = account.reconcile()

    assert done.incomplete == {kind: "slow down"}
    assert of_kind(done, kind) == []


def test_a_dry_run_tells_everything_and_does_nothing(account: Account) -> None:
    account.record(Status.GONE)
    account.endpoint()
    account.parts(component=True)
    account.scale()
    account.bucket.put(bundle_key("llama", 1, 1), b"bundle")
    before = account.left()
    account.clock.advance(hours=2)

    done = account.reconcile(dry_run=True)

    assert account.left() == before
    assert account.hosting.endpoints[ENDPOINT].status == "InService"
    assert {kind for kind, decision in decisions(done) if decision is Decision.REMOVE} == {
        Kind.ENDPOINT,
        Kind.COMPONENT,
        Kind.SCALING_ALARM,
        Kind.BUNDLE,
    }


def test_a_pass_removes_no_more_than_it_may(account: Account) -> None:
    account.record(Status.GONE)
    for number in range(1, 6):
        account.parts(number)
    account.clock.advance(hours=2)

    done = account.reconcile(most_removals=3)

    assert done.removed == 3
    assert len(account.hosting.models) + len(account.hosting.configs) == 7


def test_what_belongs_to_a_record_that_cannot_be_read_is_left_alone(account: Account) -> None:
    account.endpoint()
    account.parts(component=True)
    account.scale()
    account.bucket.put(bundle_key("llama", 1, 1), b"bundle")
    account.deployments.shelf.spoil("llama", "next_look_at", account.clock.now())
    before = account.left()
    account.clock.advance(days=30)

    done = account.reconcile()

    assert account.left() == before
    assert {decision for _, decision in decisions(done)} == {Decision.LEAVE}
    assert all(finding.trouble for finding in done.findings)


def test_an_update_of_a_generation_that_is_over_is_stopped(account: Account) -> None:
    record = account.record(Status.GONE)
    executions = fakes.FakeExecutions(account.clock)
    run = names.update_name("llama", 1, 2, record.created_at)
    executions.start("update", run, {})
    account.clock.advance(hours=2)
    inspecting = InspectingExecutions(executions, account.deployments, fakes.FakeArtifacts())
    scene = Scene(now=account.clock.now(), rules=Rules(stack=STACK))

    (item,) = inspecting.list(None).items
    finding = inspecting.inspect(item, scene)
    assert finding
    inspecting.act(item, finding, scene)

    assert finding.decision is Decision.REMOVE
    assert not executions.is_running("update", run)
