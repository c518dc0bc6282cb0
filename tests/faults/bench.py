"""One run: a workflow from its beginning, a few of its calls gone wrong, time to recover, and the oracles' word."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus

from local.sagemaker import Knobs as HostingKnobs
from tests.faults import bounds as _bounds  # noqa: F401 - it declares workflows, as the next ones do
from tests.faults import callers as _callers  # noqa: F401
from tests.faults import changes as _changes  # noqa: F401
from tests.faults import collecting as _collecting  # noqa: F401
from tests.faults import endpoint_bounds as _endpoint_bounds  # noqa: F401
from tests.faults import endpoint_calls as _endpoint_calls  # noqa: F401
from tests.faults import endpoint_changes as _endpoint_changes  # noqa: F401
from tests.faults import endpoint_mishaps as _endpoint_mishaps  # noqa: F401
from tests.faults import endpoint_oracles, oracles, strangers
from tests.faults import endpoints as _endpoints  # noqa: F401
from tests.faults import guards as _guards  # noqa: F401
from tests.faults import halts as _halts  # noqa: F401
from tests.faults import leftovers as _leftovers  # noqa: F401
from tests.faults import mishaps as _mishaps  # noqa: F401
from tests.faults.agenda import EndlessError
from tests.faults.answer import Answer
from tests.faults.modes import CALLS, MODES, Mode
from tests.faults.seam import LASTING_SECONDS, Call
from tests.faults.stack import Stack
from tests.faults.workflows import (
    NAME,
    NEIGHBOUR,
    WORKFLOWS,
    Visit,
    Workflow,
    insist,
    is_gone,
    serves,
    tear_down,
    wanted,
)

COOLING_SECONDS = 600  # what only the reconciliation found is warm from its first wake until a window has passed
HARMLESS = (
    "duplicate",
    "sweep",
    "second_deploy",
    "lose_sns",
    "duplicate_sns",
)  # to an answer: nobody generates it again for these
SICK_SECONDS = 600  # in which no container passes its health check: each is given two minutes for it
LOADING_SECONDS = 150  # of a model that loads and loads: time for 75 probes, of which a wake may make 20
_REPLAY = re.compile(r"(?P<workflow>[\w-]+):(?P<faults>\d+:\w+(\+\d+:\w+)*)?")


@dataclass(frozen=True)
class Run:
    """A workflow and what goes wrong in it: by the numbers of calls, the names of modes."""

    workflow: str
    plan: tuple[tuple[int, str], ...] = ()

    def __str__(self) -> str:
        """Give the text that replays it."""
        return f"{self.workflow}:" + "+".join(f"{number}:{mode}" for number, mode in self.plan)

    @classmethod
    def of(cls, text: str) -> Run:
        """Give the run of such a text. Raises: ValueError for any other text."""
        found = _REPLAY.fullmatch(text)
        if not found or found["workflow"] not in WORKFLOWS:
            raise ValueError(f"{text!r} is no <workflow>:<call>:<mode>[+<call>:<mode>]; workflows: {list(WORKFLOWS)}")
        faults = [each.split(":") for each in (found["faults"] or "").split("+") if each]
        if unknown := {mode for _, mode in faults} - MODES.keys():
            raise ValueError(f"{unknown} are no modes; there are {list(MODES)}")
        return cls(found["workflow"], tuple((int(number), mode) for number, mode in faults))


@dataclass(frozen=True)
class Result:
    """What came of a run: what it violated, which calls it made, what went wrong in it."""

    run: Run
    violations: tuple[str, ...]
    calls: tuple[Call, ...]
    met: tuple[str, ...]
    idle: tuple[str, ...] = ()  # of what met it: competitors who were refused, or found nothing to do

    @property
    def counts(self) -> bool:
        """Give whether all that was planned went wrong, and made a difference."""
        return len(self.met) == len(self.run.plan) and not self.idle


class Bench:
    """A stack, and where each workflow begins in it."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self._visit = Visit()
        self._size = "small"
        self._beginnings: dict[str, Callable[[], None]] = {}
        self._clean: dict[tuple[str, bool], tuple[Call, ...]] = {}
        self.reconciles = True  # after each run: what is left then is nobody's
        stack.seam.surroundings = self
        insist(stack, Visit(), "POST", "/deployments", wanted("small", name=NEIGHBOUR), key="neighbour")
        stack.settle(lambda: stack.status(NEIGHBOUR) == "SERVING")
        oracles.plant(stack)
        strangers.plant(stack)
        stack.clock.sleep(600)
        self.home = stack.snapshot()

    def run(self, run: Run) -> Result:
        """Do one run and judge it."""
        workflow, stack = WORKFLOWS[run.workflow], self.stack
        self._begin(workflow)
        self._size = workflow.size
        stack.seam.arm({number: MODES[mode] for number, mode in run.plan}, workflow.watched)
        visit = self._visit = Visit(
            strangers=oracles.strangers(stack), hosted_strangers=endpoint_oracles.of_strangers(stack)
        )
        try:
            workflow.drive(stack, visit)
            self._recover()
            self._allow(run, visit)
            if self.reconciles and (_is_chosen(run) or not self._is_well(workflow, visit)):
                self._reconcile()
            violations = self._judge(workflow, run, visit)
        except EndlessError as exc:
            violations = [f"never ends: {exc}"]
        seam = stack.seam
        return Result(run, tuple(violations), tuple(seam.calls), tuple(seam.met), tuple(seam.idle))

    def calls(self, workflow: str) -> tuple[Call, ...]:
        """Give the calls of a clean run, made once. Raises: AssertionError where even that violates something."""
        if (workflow, self.reconciles) not in self._clean:
            clean = self.run(Run(workflow))
            assert not clean.violations, f"a clean run of {workflow}: {clean.violations}"
            self._clean[workflow, self.reconciles] = clean.calls
        return self._clean[workflow, self.reconciles]

    def forget_beginnings(self) -> None:
        """Let the next run of each workflow make its beginning anew."""
        self._beginnings.clear()
        self._clean.clear()

    # ---- who acts beside a call: what modes ask for ----------------------------------------------------------

    def sweep(self) -> bool:
        """Let the schedules act now, and give whether they found anything to do."""
        return self.stack.sweep().wrote

    def delete(self) -> bool:
        """Let a user remove the deployment and see it through; give whether it was there."""
        return tear_down(self.stack, self._visit)

    def scale_down(self) -> bool:
        """Let a user scale the deployment down: he is refused unless it serves."""
        took = _took(self.stack.ask("POST", "/deployments/{name}/scale-down", name=NAME))
        self._visit.scaled_down = self._visit.scaled_down or took
        return took

    def deploy_again(self) -> bool:
        """Let another user ask for the same name: he is refused while it is held."""
        return _took(self.stack.ask("POST", "/deployments", wanted(self._size), key="second"))

    def retry(self) -> bool:
        """Let a user ask for another attempt: he is refused unless it has failed."""
        return _took(self.stack.ask("POST", "/deployments/{name}/retry", name=NAME))

    def stick_import(self) -> None:
        """Let the next import job never end by itself."""
        self.stack.bedrock.knobs.stick_next_import = True

    def never_ready(self) -> None:
        """Let models load and load, for longer than one wake tries: whoever waits for hours wakes again and again."""
        self.stack.bedrock.knobs.never_ready = True
        self.stack.agenda.spawn("ready at last", self._ready_at_last, after=LOADING_SECONDS, idle=True)

    def hinder(self, **knobs: object) -> None:
        """Let the simulated hosting be at its worst so, for as long as one wake may take."""
        turned = self.stack.hosting.service.knobs
        for name, value in knobs.items():
            setattr(turned, name, value)
        if turned.never_healthy:
            self.stack.agenda.spawn("healthy at last", self._healthy_at_last, after=SICK_SECONDS, idle=True)

    def _healthy_at_last(self) -> None:
        self.stack.hosting.service.knobs.never_healthy = False

    def _ready_at_last(self) -> None:
        self.stack.bedrock.knobs.never_ready = False

    # ---- one run, step by step -------------------------------------------------------------------------------

    def _begin(self, workflow: Workflow) -> None:
        if workflow.alive or workflow.name not in self._beginnings:
            self.home()
            self._let_minutes_pass(workflow)
            workflow.begin(self.stack)
            if workflow.alive:
                return
            self._beginnings[workflow.name] = self.stack.snapshot()
        self._beginnings[workflow.name]()
        self._let_minutes_pass(workflow)

    def _let_minutes_pass(self, workflow: Workflow) -> None:
        if workflow.hosted:
            self.stack.hosting.look()

    def _recover(self) -> None:
        """Let all faults be over, and everything happen that is due then."""
        stack = self.stack
        stack.seam.disarm()
        self.calm()
        stack.hosting.look_less()
        stack.gave_up.clear()  # whatever stays may well have been longer than the harness looks
        stack.clock.sleep(LASTING_SECONDS)
        stack.settle()

    def _is_well(self, workflow: Workflow, visit: Visit) -> bool:
        """Say whether nothing is left for a reconciliation to find."""
        return not oracles.safety(self.stack, visit) and _ends(workflow, visit)(self.stack, visit)

    def _reconcile(self) -> None:
        stack = self.stack
        stack.reconcile()
        if stack.reconciliation_has_more():
            stack.reconcile()
        stack.settle()
        stack.clock.sleep(COOLING_SECONDS)

    def calm(self) -> None:
        """Let the simulated service do from now on what it is asked for."""
        self.stack.bedrock.knobs.stick_next_import = self.stack.bedrock.knobs.never_ready = False
        self.stack.hosting.service.knobs = HostingKnobs()
        for job in self.stack.bedrock.jobs:
            job.stuck = False

    def _allow(self, run: Run, visit: Visit) -> None:
        """Note what may be, after such faults."""
        modes, seam = _modes(run), self.stack.seam
        visit.withstood = not any(mode.stays for mode in modes)
        losing = sum(mode.name not in HARMLESS for mode in modes)
        visit.may_ask_again = min(losing, seam.met_by(CALLS))
        visit.may_be_unsent = seam.met_by(("api_invoke",))

    def _judge(self, workflow: Workflow, run: Run, visit: Visit) -> list[str]:
        """Give what is wrong: safety always, and that what was wanted came, by itself or when asked for once more."""
        stack, modes = self.stack, _modes(run)
        if violations := oracles.safety(stack, visit):
            return violations
        ends = _ends(workflow, visit)
        if ends(stack, visit):
            return []
        if len(modes) <= 1 and all(mode.passes for mode in modes):
            return [f"one passing fault, and it did not end well: {self._state()}"]
        again = self._visit = visit.anew()
        self._let_minutes_pass(workflow)
        if ends is is_gone:
            tear_down(stack, again)
        else:
            self._ask_once_more(workflow, again)
        stack.hosting.look_less()
        stack.clock.sleep(LASTING_SECONDS)
        stack.settle()
        if self.reconciles and oracles.safety(stack, again):
            self._reconcile()  # what the first go left beside the second one
        if ends(stack, again):
            return oracles.safety(stack, again)
        return [f"even asked again, it did not end well: {self._state()}"]

    def _ask_once_more(self, workflow: Workflow, again: Visit) -> None:
        """Let users retry what failed and do anew what they did; what was held until then may have failed meanwhile."""
        self._retry_if_failed(again)
        if workflow.ends is not serves or self.stack.status(NAME) in (None, "GONE"):
            workflow.drive(self.stack, again)
            self._retry_if_failed(again)

    def _retry_if_failed(self, again: Visit) -> None:
        stack = self.stack
        if stack.status(NAME) == "FAILED":
            insist(stack, again, "POST", "/deployments/{name}/retry", name=NAME)
            stack.settle(lambda: stack.status(NAME) in ("SERVING", "FAILED"))

    def _state(self) -> str:
        record = self.stack.deployment(NAME)
        failure = record.get("failure") or {}
        missing = [what for what, is_so in self._visit.so.items() if not is_so]
        told = f"{record.get('status')} {failure.get('during', '')} {failure.get('reason', '')}".strip()
        return f"{told}; not so: {missing}" if missing else told


def _modes(run: Run) -> list[Mode]:
    return [MODES[mode] for _, mode in run.plan]


def _ends(workflow: Workflow, visit: Visit) -> Callable[[Stack, Visit], bool]:
    """Give how one sees that a run has come to its end: what somebody removed meanwhile is to be gone."""
    return is_gone if visit.removed else workflow.ends


def _is_chosen(run: Run) -> bool:
    """Say whether a run is reconciled though nothing is left of it: one in four, a clean one always."""
    return not run.plan or zlib.crc32(str(run).encode()) % 4 == 0


def _took(answer: Answer) -> bool:
    return answer.status < HTTPStatus.BAD_REQUEST


def applicable(calls: tuple[Call, ...]) -> list[tuple[int, str]]:
    """Give every single fault of a workflow that makes these calls."""
    return [(call.number, mode.name) for call in distinct(calls) for mode in MODES.values() if mode.applies(call)]


def distinct(calls: tuple[Call, ...]) -> list[Call]:
    """Give calls without those that only repeat others: of a poll the first two times, and the last."""
    alike: dict[tuple[str, int], list[Call]] = {}
    for call in calls:
        alike.setdefault((str(call), call.step), []).append(call)
    kept = {call.number: call for same in alike.values() for call in (*same[:2], same[-1])}
    return [kept[number] for number in sorted(kept)]
