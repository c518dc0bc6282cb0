"""The services of endpoints over their adapters, on the simulated hosting: whole lives, and what they leave behind."""

from datetime import timedelta
from typing import Any

import pytest
from pilotlight.adapters.container_logs import EndpointLogs
from pilotlight.adapters.endpoint_scaling import EndpointScaling
from pilotlight.contracts import UpdateRequest
from pilotlight.domain.artifact import weights_prefix
from pilotlight.domain.deployment import Deployment, Status
from pilotlight.domain.endpoint import Strategy
from pilotlight.domain.errors import EndpointFailed, NotOurs, Retryable
from pilotlight.domain.spending import SpendCeiling
from pilotlight.domain.values import Backend

from tests.endpoint_world import ARTIFACT_BUCKET
from tests.integration.local.hosting_cloud import FOREIGN, HostingCloud
from tests.integration.test_sagemaker_endpoints import adapter
from tests.world import World

ASYNC, REALTIME = Backend.SAGEMAKER_ASYNC, Backend.SAGEMAKER_REALTIME
ENDPOINT, PART = "pilotlight-llama-g1", "pilotlight-llama-g1-v1"


class Life(World):
    """A world whose SageMaker is the simulated one: both go by one clock."""

    def __init__(self, cloud: HostingCloud) -> None:
        self.cloud = cloud
        super().__init__()
        self.clock.set(cloud.clock.now())
        advance = self.clock.advance

        def together(**span: float) -> Any:
            cloud.clock.sleep(timedelta(**span).total_seconds())
            return advance(**span)

        self.clock.advance = together  # type: ignore[method-assign]

    def make_hosting_ports(self) -> None:
        super().make_hosting_ports()
        self.endpoints = adapter(self.cloud)  # type: ignore[assignment]
        self.autoscaling = EndpointScaling(self.cloud.scaling, self.cloud.cloudwatch, "pilotlight")  # type: ignore[assignment]
        self.logs = EndpointLogs(self.cloud.logs)  # type: ignore[assignment]

    def stage(self, name: str = "llama") -> None:
        super().stage(name)
        artifact_id = self.deployments.get(name).artifact_id or ""
        self.cloud.put(f"{weights_prefix(artifact_id)}model.safetensors", b"\0" * 4096, ARTIFACT_BUCKET)

    def settle(self, name: str = "llama", *, seconds: float = 1200, **_how: Any) -> Deployment:
        return self.pass_minutes(seconds / 60, name)

    def settle_component(self, name: str = "llama") -> Deployment:
        return self.pass_minutes(20, name)

    def pass_minutes(self, minutes: float, name: str = "llama") -> Deployment:
        """Let time pass, and look each minute, as the sweep does."""
        for _ in range(round(minutes)):
            self.clock.advance(minutes=1)
            self.look(name)
        return self.deployments.get(name)

    def tear_down(self) -> Deployment:
        self.tearing_down.begin("llama", reason="enough", correlation_id="c-end")
        return self.run_teardown()

    def running(self) -> list[str]:
        """Return the instances that somebody pays for."""
        return [each.endpoint for each in self.cloud.simulation.uptimes() if each.end is None]

    def left(self) -> dict[str, list[str]]:
        state = self.cloud.simulation.state
        targets = self.cloud.scaling.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"]
        found = {
            "models": list(state.models),
            "configs": list(state.configs),
            "endpoints": list(state.endpoints),
            "components": list(state.components),
            "targets": [each["ResourceId"] for each in targets],
            "alarms": [each["AlarmName"] for each in self.cloud.cloudwatch.describe_alarms()["MetricAlarms"]],
            "running": self.running(),
        }
        return {kind: names for kind, names in found.items() if names}


@pytest.fixture
def life(hosting: HostingCloud) -> Life:
    hosting.simulation.settings.quotas.default_factory = lambda: 10
    hosting.s3.create_bucket(Bucket=ARTIFACT_BUCKET)
    return Life(hosting)


def host(life: Life, to: Status = Status.SERVING, backend: Backend = ASYNC, **request: Any) -> Deployment:
    return life.host(to, backend=backend, container={"image": FOREIGN}, **request)


def other(value: str = "b") -> UpdateRequest:
    return UpdateRequest.model_validate({"container": {"image": FOREIGN, "environment": {"VALUE": value}}})


@pytest.mark.parametrize("backend", [ASYNC, REALTIME])
def test_an_endpoint_comes_serves_and_goes_and_leaves_nothing(life, backend):
    served = host(life, backend=backend)
    there = life.left()

    gone = life.tear_down()

    assert (served.status, served.endpoint.instances, there["running"]) == (Status.SERVING, 1, [ENDPOINT])
    assert there.keys() == {"models", "configs", "endpoints", "targets", "alarms", "running"}
    assert (gone.status, life.left()) == (Status.GONE, {})


def test_an_idle_asynchronous_endpoint_costs_nothing_and_a_wake_brings_its_instance(life):
    host(life)
    idle = life.pass_minutes(45)
    cost = life.accounting.cost_so_far(idle, life.clock.now()).usd

    life.pass_minutes(60)
    no_more = life.accounting.cost_so_far(idle, life.clock.now()).usd
    life.wake_up()
    life.pass_minutes(12)

    assert (idle.endpoint.instances, idle.endpoint.desired, no_more) == (0, 0, cost)
    assert life.tokens.succeeded["token-capacity"] == {"in_service": True}
    assert life.probing.probe(life.probe_task()).ready


def test_what_was_paid_for_is_what_ran_or_a_little_more(life):
    host(life)
    life.pass_minutes(30)
    life.warming.scale_down("llama")
    life.pass_minutes(30)

    ran = sum((each.end or life.clock.now().timestamp()) - each.start for each in life.cloud.simulation.uptimes())
    usd = life.accounting.cost_so_far(life.deployment(), life.clock.now()).usd
    paid_seconds = usd / life.endpoint().usd_per_hour * 3600

    assert life.running() == []
    assert ran <= paid_seconds <= ran + 300, "from when it is asked for, and to the look after it is gone"


def test_a_real_time_endpoint_that_must_stop_is_gone_in_minutes_and_made_again_by_a_wake(life):
    host(life, backend=REALTIME)
    life.switch.on("too dear")

    parked = life.pass_minutes(3)
    stopped = life.running()
    life.switch.off()
    life.wake_up()
    life.pass_minutes(12)

    assert (parked.endpoint.parked, stopped) == (True, [])
    assert life.endpoint().is_in_service
    assert life.probing.probe(life.probe_task()).ready
    life.tear_down()
    assert life.left() == {}


def test_components_come_reach_nothing_wake_and_go(life):
    host(life, backend=REALTIME, scaling={"components": True, "max": 2})
    there = life.left()
    life.warming.scale_down("llama")
    at_zero = life.pass_minutes(15)
    stopped = life.running()
    life.wake_up()
    life.pass_minutes(20)

    assert there["components"]
    assert (at_zero.endpoint.copies, at_zero.endpoint.instances, stopped) == (0, 0, [])
    assert life.endpoint().copies == 1
    assert life.tokens.succeeded["token-capacity"] == {"in_service": True}
    life.tear_down()
    assert life.left() == {}


def test_components_that_must_stop_do_not_keep_an_instance_for_their_least(life):
    host(life, backend=REALTIME, scaling={"components": True, "min": 1})
    before = life.deployment()
    limited = before.changed(spend_ceiling=SpendCeiling(usd=0.01))
    life.deployments.shelf.write("llama", limited, before.version + 1)

    life.pass_minutes(15)

    assert life.running() == []


def test_a_container_that_does_not_come_up_fails_with_its_reason_and_stops_billing(life):
    life.cloud.simulation.knobs.never_healthy = True
    host(life, Status.CREATING)
    life.observing.await_endpoint("llama", 1, "token-created", "created")

    life.pass_minutes(80)
    error = life.tokens.failed["token-created"]
    life.fail_deploy(error.message)
    life.pass_minutes(5)

    assert "did not pass the ping health check" in error.message
    assert life.endpoint().failure.log_lines == ("Started.",)
    assert (life.status(), life.endpoint().exists, life.running()) == (Status.FAILED, False, [])


def test_a_deployment_that_failed_while_its_endpoint_was_being_created_does_not_go_on_to_bill(life):
    host(life, Status.CREATING)
    life.clock.advance(minutes=1)
    life.fail_deploy("the machine gave up")

    life.pass_minutes(15)

    assert (life.running(), life.endpoint().exists) == ([], False)


def test_a_retry_after_a_missing_instance_serves(life):
    life.cloud.simulation.knobs.capacity_fails = 1
    host(life, Status.CREATING)
    life.observing.await_endpoint("llama", 1, "token-created", "created")
    life.pass_minutes(10)
    life.fail_deploy(life.tokens.failed["token-created"].message)
    life.requesting.retry("llama", correlation_id="c-again")
    life.stage()
    while not life.creating.start(life.task()).done:
        life.clock.advance(seconds=20)

    life.come_into_service(token="token-again")

    assert "InsufficientInstanceCapacity" in life.tokens.failed["token-created"].message
    assert life.endpoint().is_in_service


@pytest.mark.parametrize("strategy", list(Strategy))
def test_an_update_and_its_rollback_leave_the_revision_that_serves(life, strategy):
    host(life)
    life.updating.update("llama", other().changed(strategy=strategy))
    second = life.run_update().endpoint.revision
    runs = life.endpoints.see(ENDPOINT).config_name
    life.updating.roll_back("llama", None, strategy)
    first = life.run_update().endpoint.revision

    assert (second, runs, first) == (2, f"{ENDPOINT}-v2", 1)
    assert life.endpoints.see(ENDPOINT).config_name == PART
    life.pass_minutes(2)
    assert life.left()["targets"] == [f"endpoint/{ENDPOINT}/variant/main"]
    life.tear_down()
    assert life.left() == {}


def test_an_update_that_sagemaker_takes_back_is_noticed_and_the_former_revision_is_called(life):
    host(life)
    life.cloud.simulation.knobs.update_fails = 1
    life.updating.update("llama", other())
    assert life.begin_update().done

    life.pass_minutes(90)
    with pytest.raises(EndpointFailed, match="rolled back to revision 1"):
        life.moving.finish(life.update_task())
    after = life.fail_update(EndpointFailed("rolled back"))

    assert life.tokens.succeeded["token-updated"] == {"config_name": PART}
    assert (after.endpoint.revision, after.endpoint.update) == (1, None)


def test_an_endpoint_whose_rollback_failed_is_stopped_when_it_must_be(life):
    host(life, backend=REALTIME)
    life.cloud.simulation.knobs.update_fails, life.cloud.simulation.knobs.rollback_fails = 1, True
    life.updating.update("llama", other())
    life.begin_update()
    life.pass_minutes(90)
    broken = life.endpoint().status
    life.fail_update(life.tokens.failed["token-updated"])
    life.switch.on("too dear")

    life.pass_minutes(3)

    assert broken == "UpdateRollbackFailed"
    assert (life.running(), life.endpoint().parked) == ([], True)


def test_a_parked_endpoint_is_updated_and_woken_with_the_new_revision(life):
    host(life, scaling={"initial": 0})
    life.updating.update("llama", other())
    life.run_update()

    life.wake_up()
    life.pass_minutes(12)

    assert life.endpoints.see(ENDPOINT).config_name == f"{ENDPOINT}-v2"
    assert life.endpoint().is_in_service


@pytest.mark.parametrize("calls_before", range(8))
def test_a_call_that_is_throttled_anywhere_in_a_start_is_made_again_and_doubles_nothing(life, calls_before):
    life.host(Status.STAGING, container={"image": FOREIGN})
    client, made = life.cloud.sagemaker, []

    def throttle(**_told: Any) -> None:
        made.append(1)
        if len(made) == calls_before + 1:
            life.cloud.simulation.knobs.throttle_calls = 1

    client.meta.events.register("before-call.sagemaker.*", throttle, unique_id="throttle")
    try:
        for _ in range(3):
            try:
                done = life.creating.start(life.task()).done
            except Retryable:
                continue
            break
    finally:
        client.meta.events.unregister("before-call.sagemaker.*", unique_id="throttle")

    assert done
    assert [len(each) for each in (life.left()["models"], life.left()["configs"], life.left()["endpoints"])] == [
        1,
        1,
        1,
    ]


def test_another_stacks_endpoint_of_the_same_name_stays_with_its_bounds_and_alarms(life):
    host(life)
    client = life.cloud.sagemaker
    arn = life.endpoint().arn
    client.add_tags(ResourceArn=arn, Tags=[{"Key": "pilotlight:stack", "Value": "of-the-others"}])
    before = life.left()

    with pytest.raises(NotOurs):
        life.creating.create(life.deployment())
    life.tear_down()

    after = life.left()
    assert {kind: after[kind] for kind in ("endpoints", "targets", "alarms", "running")} == {
        kind: before[kind] for kind in ("endpoints", "targets", "alarms", "running")
    }


def test_an_event_of_sagemakers_ends_the_wait_before_any_sweep(life):
    events = life.cloud.event_log()
    host(life, Status.CREATING)
    life.observing.await_endpoint("llama", 1, "token-created", "created")
    life.clock.advance(minutes=20)

    told = [each["detail"] for each in events if each["detail-type"] == "SageMaker Endpoint State Change"]
    for detail in told:
        life.observing.look_for(detail["EndpointName"], detail["Tags"])

    assert [detail["EndpointStatus"] for detail in told] == ["CREATING", "IN_SERVICE"]
    assert life.tokens.told == ["token-created"]
