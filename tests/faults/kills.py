"""Lives of deployments while the workers of their Lambdas are killed: do they end as they would have ended?

The real product on the embedded cloud; each life is deployed or uploaded, asked, and torn down, several at a time. A
kill counts when an invocation ended with its process: Lambda's own line in the function's log says so.
"""

import random
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

import httpx

from local.leftovers import left_behind
from tests.faults import kill_accounts
from tests.faults.killer import DEATH, Durations, Killer
from tests.workflows.world import World, eventually, running_world

AT_ONCE = 3
SHARE = 0.35
SMALLEST = {"shards": 1, "shard_bytes": 200_000}
OFTEN = ("api", "api-invoke", "check-import", "check-warm-up", "check-staging", "sweep", "reconcile")
# A message whose worker died comes back after the queue's visibility timeout, the wall's: 960 s in the template.
PATIENT = {"WAKE_MAX_SECONDS": "6000"}  # a worker that is begun anew takes its time by the wall's clock
VISIBILITY_SECONDS = "5"
PATIENCE = 120.0


@dataclass(frozen=True)
class Kills:
    """How many invocations died with their worker, whose, in how many lives, and what went wrong after all.

    `endings` counts how the deployments ended, `answers` how the invocations did, `phases` how far the killed had come.
    """

    kills: int
    lives: int
    violations: int
    functions: dict[str, int] = field(default_factory=dict)
    endings: dict[str, int] = field(default_factory=dict)
    answers: dict[str, int] = field(default_factory=dict)
    examples: tuple[str, ...] = ()
    phases: dict[str, int] = field(default_factory=dict)


@dataclass
class _Log:
    lives: int = 0
    endings: Counter[str] = field(default_factory=Counter)
    answers: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)


def run(kills: int = 100, seed: int = 1, at_once: int = AT_ONCE, share: float = SHARE) -> Kills:
    """Live until that many invocations have died, let everything come to rest, and look at what is left."""
    log = _Log()
    with (
        TemporaryDirectory(prefix="pilotlight-kills-") as folder,
        running_world(Path(folder), variables=PATIENT) as world,
        kill_accounts.generating() as generated,
    ):
        _prepare(world)
        died: Counter[str] = Counter()
        phases: Counter[str] = Counter()
        durations = Durations()
        while (missing := kills - died.total()) > 0:
            killer = Killer(
                world.cloud.functions,
                seed + log.lives,
                share=share,
                most=missing,
                often=OFTEN,
                durations=durations,
            )
            with killer, ThreadPoolExecutor(at_once) as living:
                for each in [living.submit(_live, world, log, seed, log.lives + number) for number in range(at_once)]:
                    each.result()
            log.lives += at_once
            died = deaths(world)
            phases += killer.phases
        _look_around(world, log)
        log.violations += kill_accounts.wrong(world, generated, deaths(world))
    return Kills(
        kills=died.total(),
        lives=log.lives,
        violations=len(log.violations),
        functions=dict(died.most_common()),
        endings=dict(log.endings),
        answers=dict(log.answers),
        examples=tuple(log.violations[:10]),
        phases=dict(phases),
    )


def _prepare(world: World) -> None:
    """Set what an operator may set: how soon a dead worker's message comes back, and how many spans run at once."""
    queue = world.cloud.resources["InvocationQueue"]
    world.cloud.client("sqs").set_queue_attributes(QueueUrl=queue, Attributes={"VisibilityTimeout": VISIBILITY_SECONDS})
    # Waits are simulated and a Lambda's work is not: a turn that comes within two minutes would come too late here.
    world.cloud.client("lambda").put_function_concurrency(
        FunctionName="pilotlight-copy-span", ReservedConcurrentExecutions=8 * AT_ONCE
    )


def deaths(world: World) -> Counter[str]:
    """Return how many invocations of each function ended with its process."""
    logs = world.cloud.client("logs")
    found: Counter[str] = Counter()
    for group in logs.describe_log_groups(logGroupNamePrefix="/aws/lambda/")["logGroups"]:
        pages = logs.get_paginator("filter_log_events").paginate(logGroupName=group["logGroupName"])
        lines = sum(event["message"] == DEATH for page in pages for event in page["events"])
        found[group["logGroupName"].rpartition("/")[2]] += lines
    return +found


def _live(world: World, log: _Log, seed: int, number: int) -> None:
    """Go through one life, from a request or an upload to nothing left."""
    luck = random.Random(f"{seed} {number}")
    name = world.name()
    try:
        begin: Callable[[World, str, random.Random], None] = _upload if number % 4 == 3 else _deploy
        begin(world, name, luck)
        serving = _until(world, name, "SERVING")
        log.endings["SERVING"] += 1
        calls = [call for _ in range(3) if (call := _ask(world, name, luck))]
        for call in calls:
            log.answers[_answer(world, call)] += 1
        _require(world, log, name)
        _insist(lambda: world.http.delete(f"/deployments/{name}"))
        _until(world, name, "GONE")
        log.endings["GONE"] += 1
        artifact = serving.get("artifact_id")
        nothing_left = lambda: not world.left_behind(name, artifact)  # noqa: E731
        eventually(nothing_left, f"{name} to leave nothing", but=lambda: str(world.left_behind(name, artifact)))
    except AssertionError as exc:
        log.violations.append(f"life {number}: {exc}; {_ends(world, name)}")
        world.http.delete(f"/deployments/{name}")  # what it leaves behind is not counted again


def _until(world: World, name: str, status: str) -> dict[str, Any]:
    """Give a deployment once it has that status: the record tells when, the API, which may be killed, what it is."""
    ends = {status, "FAILED"}
    is_there = lambda: world.record(f"DEPLOYMENT#{name}").get("status") in ends  # noqa: E731
    eventually(is_there, f"{name} to be {status}", but=lambda: str(world.reasons(name)))
    view = _insist(lambda: world.http.get(f"/deployments/{name}"))
    assert view["status"] == status, f"{name} is {view['status']}: {view.get('failure')}"
    return view


def _ends(world: World, name: str) -> str:
    """Tell how the executions of a life that went wrong ended: whoever reads of it was not there."""
    states = world.cloud.client("stepfunctions")
    told = []
    for machine in ("deploy", "warm", "teardown"):
        for run in world.executions(machine, f"{name}-g"):
            end = states.describe_execution(executionArn=world.execution_arn(machine, run))
            why = " ".join(str(end[key]) for key in ("error", "cause") if key in end)
            told.append(f"{run} {end['status']} {why} after {' '.join(world.path(machine, run)[-3:])}")
    return "; ".join(told)


def _deploy(world: World, name: str, luck: random.Random) -> None:
    source = world.publish(**({} if luck.random() < 0.3 else SMALLEST))
    body = {"name": name, "source": source, "lease": "1d", "artifact": "delete"}
    key = {"Idempotency-Key": str(uuid4())}
    _insist(lambda: world.http.post("/deployments", json=body, headers=key))


def _upload(world: World, name: str, luck: random.Random) -> None:
    files = [path for path in world.checkpoint.rglob("*") if path.is_file()]
    luck.shuffle(files)
    bucket, s3 = world.upload_bucket, world.cloud.client("s3")
    for file in files:
        s3.put_object(Bucket=bucket, Key=f"uploads/{name}/{file.name}", Body=file.read_bytes())
    settings = b'{"artifact": "delete"}'
    s3.put_object(Bucket=bucket, Key=f"uploads/{name}/pilotlight.json", Body=settings)
    s3.put_object(Bucket=bucket, Key=f"uploads/{name}/_COMPLETE", Body=b"")


def _ask(world: World, name: str, luck: random.Random) -> str | None:
    """Ask a model that is warm, or was dropped from memory; return the id of a call that is answered later."""
    if luck.random() < 0.5:
        world.bedrock.evict(_insist(lambda: world.http.get(f"/deployments/{name}"))["model_arn"])
    body = {"prompt": "Why?", "parameters": {"max_tokens": 16}}
    told = _insist(lambda: world.http.post(f"/deployments/{name}/invocations", json=body))
    return str(told["id"])


def _answer(world: World, call: str) -> str:
    """Return how a call ended: everyone that was accepted is answered, and nobody's is failed by a kill."""

    def look() -> dict[str, Any] | None:
        view = _insist(lambda: world.http.get(f"/invocations/{call}"))
        return view if view["status"] in ("SUCCEEDED", "FAILED") else None

    view = eventually(look, f"an answer to {call}", seconds=PATIENCE)
    assert view["status"] == "SUCCEEDED", f"call {call} failed: {view.get('error')}"
    return str(view["status"])


def _require(world: World, log: _Log, name: str) -> None:
    """Nothing was made twice: one execution, one import job, one model."""
    jobs = world.cloud.client("bedrock").list_model_import_jobs(nameContains=f"pilotlight-{name}-g")
    once = {
        "executions": world.executions("deploy", f"{name}-g"),
        "import jobs": [job["jobName"] for job in jobs["modelImportJobSummaries"]],
        "models": world.imported_models(name),
    }
    log.violations += [f"{name}: {len(made)} {what}: {made}" for what, made in once.items() if len(made) != 1]


def _insist(call: Callable[[], httpx.Response]) -> dict[str, Any]:
    """Return the body of an accepted call; one whose worker died, or that still runs, is repeated as clients do."""
    deadline = time.monotonic() + PATIENCE
    while True:
        answer = call()
        if answer.is_success:
            return dict(answer.json())
        again = answer.status_code >= 500 or answer.status_code == 429 or answer.json().get("code") == "conflict"
        assert again, f"{answer.request.method} {answer.request.url.path}: {answer.status_code} {answer.text}"
        assert time.monotonic() < deadline, f"{answer.request.url.path} keeps answering {answer.status_code}"
        time.sleep(0.1)


def _look_around(world: World, log: _Log) -> None:
    """Wait until the cloud is empty: no model, weights, execution or message of anybody."""
    try:
        eventually(lambda: not left_behind(world.cloud), "an empty cloud", but=lambda: str(left_behind(world.cloud)))
    except AssertionError as exc:
        log.violations.append(str(exc))
