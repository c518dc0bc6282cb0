"""Many at once: deploys of one name through the API, and calls of a model that is scaled down and torn down meanwhile.

The deploys are real threads, each with a sandbox of its own, on moto's tables. The calls are interleaved by a seed at
every call of a port, over the fakes of the unit tests: thousands of ways in which the same five actors may meet.
"""

import random
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from time import sleep
from typing import Any

from pilotlight.contracts import InvocationView
from pilotlight.domain.deployment import Status
from pilotlight.domain.errors import NotServing, PilotlightError
from pilotlight.domain.invocation import InvocationStatus

from tests.factories import a_question
from tests.faults.ground import Answer, ApiCaller, Ground
from tests.faults.turns import Interrupted, Turns
from tests.world import World

PORTS = ("deployments", "artifacts", "invocations", "bodies", "queue", "imports", "backend", "executions", "bucket")
CALLERS = 3
ENDS = frozenset({"answered", "refused", "not-serving"})
"""How a call of a model that is taken away may end: anything else is told apart, and wrong."""
MOST_DELIVERIES = 200


@dataclass(frozen=True)
class DeployRace:
    """Who won a name that all asked for at once. `odd` counts answers that are neither a yes nor a clear no."""

    winners: int
    conflicts: int
    odd: int
    records: int
    executions: int
    answers: int  # different ones among those who were told yes


@dataclass
class CallRace:
    """What became of calls that met a scale-down and a teardown. `lost` were never told how they ended."""

    interleavings: int = 0
    calls: int = 0
    lost: int = 0
    ends: Counter[str] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)


# ---- deploys ---------------------------------------------------------------------------------------------------


def deploys(ground: Ground, name: str, callers: int, key: Callable[[int], str]) -> DeployRace:
    """Ask for one name as many at once, each with the key that `key` gives for its number."""
    api = [ApiCaller(ground) for _ in range(callers)]
    gate = threading.Barrier(callers)

    def ask(number: int) -> Answer:
        gate.wait()
        body = {"name": name, "source": "hf://acme/llama"}
        while _is_under_way(answer := api[number].ask("POST", "/deployments", body, key=key(number))):
            sleep(0.01)
        return answer

    with ThreadPoolExecutor(callers) as pool:
        answers = list(pool.map(ask, range(callers)))
    yes = [answer for answer in answers if answer.status == 202]
    no = [answer for answer in answers if _names_the_holder(answer, name)]
    begun = [arn for arn in ground.begun if f"-deploy:{name}-" in arn]
    page, _ = ground.runtime("api").deployments.page(None, 200)
    return DeployRace(
        winners=len(yes),
        conflicts=len(no),
        odd=callers - len(yes) - len(no),
        records=sum(record.name == name for record in page),
        executions=len(begun),
        answers=len({str(answer.body) for answer in yes}),
    )


def _is_under_way(answer: Answer) -> bool:
    """Say whether the first request with this key is still being answered: a client asks again."""
    return answer.status == 409 and answer.body["code"] == "conflict"


def _names_the_holder(answer: Answer, name: str) -> bool:
    body = answer.body
    return answer.status == 409 and body["code"] == "name-taken" and body["holder"]["name"] == name


# ---- calls -----------------------------------------------------------------------------------------------------


class RacingWorld(World):
    """The services over fakes whose every call may let another actor go first."""

    def __init__(self, seed: int) -> None:
        self.turns = Turns(seed)
        super().__init__()

    def _build_answering(self) -> None:  # what is built first: all others are built on it
        for name in PORTS:
            setattr(self, name, Interrupted(getattr(self, name), self.turns))
        self.accounting = self.accounting_in("us-east-1")
        super()._build_answering()


def calls(interleavings: int, seed: int) -> CallRace:
    """Let calls meet what takes their model away, in so many ways, and see that each is told how it ended."""
    race = CallRace()
    for number in range(interleavings):
        _meet(race, f"{seed} {number}", random.Random(f"{seed} {number}"))
        race.interleavings += 1
    return race


def _meet(race: CallRace, told: str, luck: random.Random) -> None:
    world = RacingWorld(luck.randrange(2**31))
    world.bring(Status.SERVING)
    if luck.random() < 0.5:
        world.clock.advance(minutes=10)  # cold
        world.backend.cold_for = luck.randint(0, 3)
    given: list[InvocationView | PilotlightError] = []
    actors: list[Callable[[], object]] = [_caller(world, given, luck.choice([0, 0, 20])) for _ in range(CALLERS)]
    actors += [_worker(world) for _ in range(2)]
    if luck.random() < 0.7:
        actors.append(lambda: world.warming.scale_down("llama"))
    if luck.random() < 0.7:
        actors.append(lambda: _tear_down(world))
    if luck.random() < 0.5:
        actors.append(world.sweep)
    luck.shuffle(actors)
    world.turns.run(actors)
    race.examples += [f"{told}: {exc!r}" for exc in world.turns.surprises if not isinstance(exc, PilotlightError)]
    race.lost += sum(not isinstance(exc, PilotlightError) for exc in world.turns.surprises)
    _let_it_settle(world)
    race.calls += CALLERS
    for each in given:
        end = _end_of(world, each)
        race.ends[end or "lost"] += 1
        race.lost += end is None
        if end not in ENDS:
            race.examples.append(f"{told}: {each!r}")
    if len(given) != CALLERS:
        race.lost += CALLERS - len(given)
        race.examples.append(f"{told}: {CALLERS - len(given)} callers were told nothing")


def _caller(world: World, given: list[Any], wait: float) -> Callable[[], None]:
    def call() -> None:
        try:
            given.append(world.invoking.invoke("llama", a_question(), wait_seconds=wait, correlation_id="c"))
        except PilotlightError as exc:
            given.append(exc)

    return call


def _worker(world: RacingWorld) -> Callable[[], None]:
    def work() -> None:
        for _ in range(4):
            _deliver_one(world)
            world.turns.between()

    return work


def _deliver_one(world: World) -> None:
    """Deliver the first message; it returns where it was not answered, or its worker failed."""
    if not world.queue.messages:
        return
    message = world.queue.messages.pop(0)
    done = False
    try:
        done = world.queue_work.run(message[0], receipt="r", receives=2)
    except PilotlightError:
        pass
    finally:
        if not done:
            world.queue.messages.append(message)


def _tear_down(world: World) -> None:
    world.tearing_down.begin("llama", reason="enough", correlation_id="c-end")
    world.run_teardown()


def _let_it_settle(world: World) -> None:
    """Let time pass, with its sweeps, wakes and deliveries, until the queue is empty."""
    for _ in range(MOST_DELIVERIES):
        world.clock.advance(minutes=5)
        world.sweep()
        deployment = world.deployment()
        if deployment.wake and deployment.status is Status.SERVING:
            world.run_wake()
        if not world.queue.messages:
            return
        for _ in list(world.queue.messages):
            _deliver_one(world)


def _end_of(world: World, given: InvocationView | PilotlightError) -> str | None:
    """Return how a call ended, or None where nobody will ever know."""
    if isinstance(given, PilotlightError):
        return "refused" if isinstance(given, NotServing) else given.code
    view = world.invoking.view(given.id)
    if view.status is InvocationStatus.SUCCEEDED:
        return "answered" if given.output or view.output else None
    if view.status is InvocationStatus.FAILED and view.error and view.error.get("message"):
        return str(view.error["code"])
    return None
