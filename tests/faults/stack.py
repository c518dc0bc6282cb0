"""The real template, deployed once into moto in this process, and put back to where it was between runs."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

import boto3
import botocore.endpoint
from botocore.retries.quota import RetryQuota
from botocore.useragent import UserAgentString
from moto import mock_aws
from moto.iam.access_control import PermissionResult
from moto.s3.models import FakeBucket

from local import bedrock, events, object_store, service_models, tables
from local.authorization.sessions import Keyring
from local.bedrock import runtime
from local.bedrock.settings import Settings as BedrockSettings
from local.bedrock.simulation import Knobs, Simulation, simulation
from local.checkpoints import write_checkpoint
from local.identity import REGION, environment
from local.index_lag import lag
from tests.faults import machines, product, routing, shortcuts, snapshots, table_records
from tests.faults.agenda import Clock
from tests.faults.answer import Answer
from tests.faults.billing import Billing
from tests.faults.hosting import Hosting
from tests.faults.invoker import Invoker
from tests.faults.lambdas import Invocation, Lambdas
from tests.faults.launches import Launches
from tests.faults.product import NO_HUB, QUIET, STACK, api_event, client_of, example
from tests.faults.replacing import put_back, replace
from tests.faults.seam import Seam

EPOCH = 1_795_200_000.0  # a Friday in November 2026
SOURCE_BUCKET = "checkpoints-of-a-user"
ENVIRONMENT = {"WAKE_MAX_ATTEMPTS": "20", "IMPORT_POLL_SECONDS": "30"}
HORIZON_SECONDS = 26 * 3600  # how far a run looks ahead for something that is due
MOST_SWEEPS = 40
INDEX_LAG_SECONDS = 5.0  # by which the table's indexes are behind: longer than they ought to be
KEPT_WARM = "keep the model warm"
LOOKED_AT, OF_REST = "look at its endpoint", ("status", "next_step", "endpoint")
LOOKS_AT_HELD = 2  # of a run's sweeps: what holds a folder may be over
LOOKS_AT_WARM = 9  # of them, where nothing is waited for: three rounds of what is kept warm for ever


class Stack:
    """The product, its clock, and what may be done to it."""

    def __init__(self, hub_url: str = NO_HUB) -> None:
        self.clock = Clock(EPOCH)
        self._hub_url = hub_url
        self.agenda = self.clock.agenda
        self.lambdas = Lambdas(self.clock, STACK, {"AWS_REGION": REGION, **ENVIRONMENT})
        self.seam = Seam(self.clock, self.lambdas)
        self.outputs: dict[str, str] = {}
        self.resources: dict[str, str] = {}
        self._closing = ExitStack()
        self._clients: dict[tuple[str, str | None], Any] = {}
        self._keyring = Keyring()
        self._quotas: list[RetryQuota] = []
        self.hosting = Hosting(self.clock, self.sweep, self._is_due)
        self.billing = Billing(self)
        self.launches = Launches(self)
        self.gave_up: list[str] = []  # what was still due when the harness had looked often enough
        self.answers: list[tuple[str, bool]] = []  # who was answered by a model, and whether it was a probe
        self.tick, self.quarter = example("sweep/every-minute"), example("reconcile/every-quarter-hour")

    def __enter__(self) -> Stack:
        self._install()
        made = product.deployed(self.client, HubEndpoint=self._hub_url, SourceBuckets=SOURCE_BUCKET)
        self.outputs, self.resources = dict(made.outputs), dict(made.resources)
        self.lambdas.load()
        self.consumers = routing.install(self.clock, self.lambdas)
        self.calm()
        self._publish()
        self.deployed = self.snapshot()
        return self

    def __exit__(self, *_: object) -> None:
        self.agenda.clear()
        self._closing.close()

    def _install(self) -> None:
        self._closing.enter_context(environment(QUIET))
        service_models.share()
        mock = mock_aws(config={"stepfunctions": {"execute_state_machine": True}})
        mock.start()
        self._closing.callback(mock.stop)
        self._closing.callback(put_back)
        self._closing.callback(events._running.clear)
        replace(RetryQuota, "__init__", self._remembering)
        replace(botocore.endpoint, "time", lambda _: SimpleNamespace(sleep=self.clock.sleep, time=self.clock.timestamp))
        replace(UserAgentString, "to_string", lambda _: lambda _agent: "faults")  # composed anew for each call
        machines.install(self.clock, self._caller)
        object_store.install(self.clock)  # type: ignore[arg-type]
        bedrock.install(self.clock)  # type: ignore[arg-type]
        self.hosting.install()
        self.launches.install()
        tables.install()
        lag.set(INDEX_LAG_SECONDS, self.clock.timestamp)
        self._closing.callback(lag.set, 0.0, self.clock.timestamp)
        replace(runtime, "invoke", self._noting_answers)
        # who may do what is proven elsewhere: here everybody acts as the account itself
        replace(FakeBucket, "get_permission", lambda _: lambda *_: PermissionResult.NEUTRAL)
        snapshots.install()
        shortcuts.install()
        self.lambdas.install()
        self.seam.install()

    def _remembering(self, original: Any) -> Any:
        def __init__(quota: RetryQuota, *args: Any, **kwargs: Any) -> None:  # noqa: N807
            original(quota, *args, **kwargs)
            self._quotas.append(quota)

        return __init__

    def _noting_answers(self, original: Any) -> Any:
        def invoke(service: Any, place: Any, model_id: str, body: bytes, correlation_id: str | None) -> Any:
            answer = self.billing.watched(model_id, lambda: original(service, place, model_id, body, correlation_id))
            self.answers.append((correlation_id or "", json.loads(body).get("max_tokens") == 1))
            return answer

        return invoke

    def _caller(self, service: str, role_arn: str) -> Any:
        return Invoker(self.seam, role_arn) if service == "lambda" else self.client(service, role_arn)

    def client(self, service: str, role_arn: str | None = None) -> Any:
        """Give a client of the harness, or of a role: its calls are not counted."""
        if (service, role_arn) not in self._clients:
            keys = self._keyring.of_role(role_arn, "states").credentials if role_arn else None
            session: Any = boto3.session.Session(
                keys.access_key_id if keys else None,
                keys.secret_access_key if keys else None,
                keys.session_token if keys else None,
            )
            self._clients[service, role_arn] = client_of(service, session)
        return self._clients[service, role_arn]

    # ---- where a run begins ----------------------------------------------------------------------------------

    def snapshot(self) -> Callable[[], None]:
        """Give what puts everything back as it is now, the time and chance included."""
        restore, moment, variables = snapshots.take(), self.clock.moment, self.lambdas.variables

        def put_back() -> None:
            self.agenda.clear()
            self.seam.disarm()
            restore()
            self.clock.moment = moment
            self.lambdas.reset(variables)
            self.answers.clear()
            self.gave_up.clear()
            self.billing.clear()
            self.launches.clear()
            self.hosting.begin_again()
            for quota in self._quotas:
                quota._available_capacity = quota._max_capacity
            random.seed(4)

        return put_back

    def calm(self) -> None:
        """Let the simulated services work, quickly."""
        self.bedrock.knobs = Knobs()
        self.bedrock.settings = BedrockSettings(
            import_floor_seconds=20,
            import_overhead_seconds=0,
            verdict_seconds=10,
            cold_start_seconds=5,
            imported_models=20,
            import_jobs=5,
        )
        self.hosting.calm()

    def _publish(self) -> None:
        """Put checkpoints where deployments find them: one of a shard in two parts, and a small one."""
        s3 = self.client("s3")
        s3.create_bucket(Bucket=SOURCE_BUCKET)
        with TemporaryDirectory() as folder:
            for name, kind in (("large", {"shard_bytes": 5_600_000}), ("small", {"shard_bytes": 100_000})):
                made = write_checkpoint(Path(folder) / name, shards=1, clutter=False, **kind)
                for file in made.files:
                    body = (made.folder / file).read_bytes()
                    s3.put_object(Bucket=SOURCE_BUCKET, Key=f"models/{name}/{file}", Body=body)

    # ---- what is done to it ----------------------------------------------------------------------------------

    def ask(
        self, method: str, resource: str, body: Any = None, *, key: str | None = None, wait: int = 0, **path: str
    ) -> Answer:
        """Call the API as the gateway does, and give what it answers: a dead Lambda is a 502."""
        function = "api_invoke" if resource.endswith(("/invocations", "/inputs")) else "api"
        event = api_event(method, resource, body, key=key, wait=wait, path=path)
        done = self.lambdas.invoke(function, event)
        return Answer.of(done)

    def run(self, function: str, event: Any) -> Invocation:
        """Invoke a function and give what came of it."""
        return self.lambdas.invoke(function, event)

    def sweep(self) -> Invocation:
        """Let the schedules of the minute act."""
        return self.lambdas.invoke("sweep", self.tick)

    def reconcile(self, passes: int = 1) -> None:
        """Let so many quarters of an hour pass, each with its reconciliation."""
        for _ in range(passes):
            self.clock.sleep(900)
            self.lambdas.send("reconcile", {**self.quarter, "id": f"pass at {self.clock.moment:.0f}"})
            self.agenda.run()

    def reconciliation_has_more(self) -> bool:
        """Say whether the newest pass did something, left something for the next one, or did not see all of it."""
        newest = self.records("RECONCILIATION").get("newest", {}).get("told") or {}
        more = newest.get("incomplete") or newest.get("cursors")
        return bool(more) or any(each["decision"] != "look" for each in newest.get("findings", ()))

    def settle(self, done: Callable[[], bool] | None = None) -> None:
        """Let everything happen that is due, sweeps included, until it is done or nothing is due for long."""
        for number in range(MOST_SWEEPS):
            self.agenda.run()
            if done and done():
                return
            due = self.next_look(held=number < LOOKS_AT_HELD, warm=bool(done) or number < LOOKS_AT_WARM)
            if due is None or due > self.clock.moment + HORIZON_SECONDS:
                return
            self.clock.sleep(max(due - self.clock.moment, 60.0))
            self.sweep()
        self.agenda.run()
        if not (done and done()):
            self.gave_up.append(f"{MOST_SWEEPS} sweeps, and still something is due")

    # ---- what there is to see --------------------------------------------------------------------------------

    @property
    def bedrock(self) -> Simulation:
        """Give the simulated service."""
        return simulation()

    @property
    def artifact_bucket(self) -> str:
        return self.outputs["ArtifactBucketName"]

    @property
    def upload_bucket(self) -> str:
        return self.outputs["UploadBucketName"]

    def records(self, kind: str) -> dict[str, dict[str, Any]]:
        """Give the records of a kind by name, read straight from the table."""
        return table_records.of_kind(self.outputs["TableName"], kind)

    def deployment(self, name: str) -> dict[str, Any]:
        """Give a deployment's record, empty where there is none."""
        return self.records("DEPLOYMENT").get(name, {})

    def status(self, name: str) -> str | None:
        """Give a deployment's status."""
        return self.deployment(name).get("status")

    def _is_due(self, also_at_rest: bool) -> bool:
        """Say whether a deployment is to be looked at by now."""
        due = [each for at, each in table_records.looks(self.outputs["TableName"]) if _seconds(at) <= self.clock.moment]
        if also_at_rest or not due:
            return bool(due)
        return any(not _is_at_rest(table_records.read_some(each, OF_REST)) for each in due)

    def next_look(self, *, held: bool = False, warm: bool = True) -> float | None:
        """Give when the next record wants to be looked at.

        A folder that is held does for ever, and so do an endpoint and what is kept warm.
        """
        looks = [
            record["next_look_at"]
            for kind in ("DEPLOYMENT", "UPLOAD")
            for record in self.records(kind).values()
            if record.get("next_look_at")
            and (held or record["status"] != "HELD")
            and (warm or record.get("next_step") != KEPT_WARM)
            and not _is_at_rest(record)
        ]
        return min((_seconds(look) for look in looks), default=None)


def _is_at_rest(record: dict[str, Any]) -> bool:
    """Say whether a record is only looked at because it has an endpoint, which is in service: so it is for ever."""
    endpoint = record.get("endpoint") or {}
    moves = endpoint.get("waiting") or endpoint.get("update") or endpoint.get("status") != "InService"
    return record["status"] == "SERVING" and record.get("next_step") == LOOKED_AT and not moves


def _seconds(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()
