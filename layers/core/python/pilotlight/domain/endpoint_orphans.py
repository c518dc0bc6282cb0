"""Whose is it, at SageMaker? One pure judgement for each kind of thing that endpoints are made of.

A name tells which generation of a deployment a thing is of, its tags which stack made it: both must agree before
anything is done. What is of a live generation stays, but for what a forgotten revision left; what is of one that is
over goes when it is old, and nothing goes from under an endpoint that is there.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from pilotlight.domain import names
from pilotlight.domain.deployment import Deployment, Status
from pilotlight.domain.endpoint import VARIANT, Seen
from pilotlight.domain.orphans import ended, judge_generation, user_of
from pilotlight.domain.reconciliation import Decision, Scene, Verdict, removed_when_old, told_when_old
from pilotlight.domain.values import NAME_MAX, NAME_PATTERN, Model, Moment

DELETING = "Deleting"
BUNDLES = "bundles/"
ALARM_SUFFIXES = ("-from-zero", "-failures")
_NAME = re.compile(rf"{names.PREFIX}-(?P<deployment>.+)-g(?P<generation>[0-9]{{1,9}})(?:-v(?P<revision>[0-9]{{1,9}}))?")


class FoundHosted(Model):
    """An endpoint, an endpoint config, a model or an inference component as it was listed; some have no status."""

    name: str
    arn: str
    created_at: Moment | None = None
    status: str | None = None


class FoundTarget(Model):
    """What Application Auto Scaling scales; it has no tags of ours."""

    resource_id: str
    dimension: str
    created_at: Moment | None = None


class FoundAlarm(Model):
    """An alarm that is named as we name those of endpoints."""

    name: str
    arn: str
    changed_at: Moment | None = None


class Owner(NamedTuple):
    """Whose a thing is by its name: a generation of a deployment, and a revision of that where the name tells one."""

    deployment: str
    generation: int
    revision: int = 0

    @property
    def as_user(self) -> str:
        """How the generation is named in findings."""
        return f"{self.deployment}-g{self.generation}"

    @property
    def endpoint(self) -> str:
        """The name of the generation's endpoint."""
        return names.endpoint_name(self.deployment, self.generation)


def endpoint_owner(name: str) -> Owner | None:
    """Return whose endpoint has that name, or None for a name that we would not give one."""
    owner = _parsed(name)
    return owner if owner and not owner.revision else None


def revision_owner(name: str) -> Owner | None:
    """Return whose config, model or component has that name, or None for a name that we would not give one."""
    owner = _parsed(name)
    return owner if owner and owner.revision else None


def target_owner(resource_id: str) -> Owner | None:
    """Return whose endpoint, or whose component, is scaled, or None where it is not one of ours."""
    match resource_id.split("/"):
        case ["endpoint", name, "variant", variant] if variant == VARIANT:
            return endpoint_owner(name)
        case ["inference-component", name]:
            return revision_owner(name)
        case _:
            return None


def alarm_owner(name: str) -> Owner | None:
    """Return whose endpoint an alarm watches, or None for a name that we would not give one."""
    suffix = next((each for each in ALARM_SUFFIXES if name.endswith(each)), None)
    return endpoint_owner(name.removesuffix(suffix)) if suffix else None


def bundle_owner(folder: str) -> Owner | None:
    """Return whose bundles lie in a folder below `bundles/`, or None for a name that we would not give one."""
    parsed = user_of(folder)
    return _parsed(names.endpoint_name(*parsed)) if parsed and folder == f"{parsed[0]}-g{parsed[1]}" else None


def judge_endpoint(found: FoundHosted, record: Deployment | None, scene: Scene) -> Verdict | None:
    """Judge an endpoint by the record of the deployment that its name tells."""
    owner = endpoint_owner(found.name)
    if owner is None:
        return None
    if found.status == DELETING:
        return None  # somebody has seen to it
    verdict = judge_generation(owner.deployment, owner.generation, record, found.created_at, scene)
    return _judge_live_endpoint(record) if verdict is None and record else verdict


def _judge_live_endpoint(record: Deployment) -> Verdict | None:
    """Judge an endpoint by a record that is live: who does not know that it is there does not end its billing."""
    if record.status not in (Status.FAILED, Status.SERVING):
        return None  # whoever is at work on it notes it
    if record.endpoint is None:
        return _look(f"it has the name of {record.status} {record.name}, whose record tells of no endpoint")
    if not record.endpoint.exists:
        reason = f"{record.name} is {record.status} and takes it to be gone: noted, so that the sweep looks at it"
        return Verdict(decision=Decision.ADOPT, reason=reason)
    if record.status is Status.FAILED:
        return _leave(f"{record.name} has failed: the sweep deletes what it bills by the hour")
    return None


def needed_revisions(record: Deployment | None) -> frozenset[int]:
    """Return the revisions that a deployment runs, or is being moved to or from."""
    endpoint = record.endpoint if record else None
    if endpoint is None:
        return frozenset()
    update = endpoint.update
    return frozenset({endpoint.revision, *((update.revision, update.previous) if update else ())})


def judge_component(
    found: FoundHosted,
    record: Deployment | None,
    scene: Scene,
    *,
    kept: frozenset[int],
    seen: Seen | None = None,
) -> Verdict | None:
    """Judge an inference component by the record of its deployment.

    `kept` are those revisions that have a record, of its own and of `needed_revisions`; `seen` is the endpoint of its
    generation, None where there is none.
    """
    owner = revision_owner(found.name)
    if owner is None:
        return None
    if found.status == DELETING:
        return None  # somebody has seen to it
    verdict = judge_generation(owner.deployment, owner.generation, record, found.created_at, scene)
    if verdict or record is None:
        return verdict
    verdict = _judge_revision(found, owner, record, kept, scene)
    if _removes(verdict) and seen and seen.config_name == found.name:
        return _leave(f"revision {owner.revision} has no record, and endpoint {seen.name} runs it")
    if _removes(verdict) and seen and not seen.is_settled:
        return _leave(f"revision {owner.revision} has no record; for later: endpoint {seen.name} is {seen.status}")
    return verdict


def judge_definition(
    found: FoundHosted,
    record: Deployment | None,
    scene: Scene,
    *,
    kept: frozenset[int],
    seen: Seen | None = None,
) -> Verdict | None:
    """Judge a model or an endpoint config as a component is judged; but it outlives its endpoint.

    Without its config, an endpoint does not tell what it runs on. Source: Amazon SageMaker API reference,
    DeleteEndpointConfig.
    """
    verdict = judge_component(found, record, scene, kept=kept, seen=seen)
    owner = revision_owner(found.name)
    over = owner and record and ended(record, owner.generation)
    if verdict and verdict.decision is Decision.REMOVE and over and seen:
        return _leave(f"{verdict.reason}; for later: endpoint {seen.name} is still there")
    return verdict


def _judge_revision(
    found: FoundHosted, owner: Owner, record: Deployment, kept: frozenset[int], scene: Scene
) -> Verdict | None:
    """Judge what is of a live generation: only what a revision left whose record was taken away on purpose goes.

    A revision's record is written before anything is made of it, and taken away after that is deleted. So where records
    are missing that are needed, or come after this one, the table was restored.
    """
    if owner.revision in kept:
        return None
    reason = f"revision {owner.revision} of {owner.as_user} has no record"
    if record.endpoint is None or not needed_revisions(record) <= kept:
        return told_when_old(f"{reason}, nor have those that its deployment runs", found.created_at, scene)
    if owner.revision > record.endpoint.newest_revision:
        return _look(f"{reason}, which only knows of {record.endpoint.newest_revision}: was the table restored?")
    return removed_when_old(f"{reason}: it was forgotten", found.created_at, scene)


def judge_target(
    found: FoundTarget, record: Deployment | None, scene: Scene, *, endpoint_is_there: bool = False
) -> Verdict | None:
    """Judge what scales: it has no tags, so that nothing is said of it as long as anybody's endpoint is there."""
    owner = target_owner(found.resource_id)
    if owner is None:
        return None
    if endpoint_is_there:
        return None
    return judge_generation(owner.deployment, owner.generation, record, found.created_at, scene)


def judge_alarm(found: FoundAlarm, record: Deployment | None, scene: Scene) -> Verdict | None:
    """Judge an alarm by the record of the deployment whose endpoint it watches."""
    owner = alarm_owner(found.name)
    if owner is None:
        return None
    return judge_generation(owner.deployment, owner.generation, record, found.changed_at, scene)


def judge_bundle(folder: str, record: Deployment | None, newest_write: datetime | None, scene: Scene) -> Verdict | None:
    """Judge a folder of bundles by the record of the deployment that its name tells, or by its age alone."""
    if newest_write is None:
        return None
    owner = bundle_owner(folder)
    if owner is None:
        return told_when_old("its name is no deployment's, and no record tells of it", newest_write, scene)
    return judge_generation(owner.deployment, owner.generation, record, newest_write, scene)


def allowed_by_tags(
    verdict: Verdict | None, tags: Mapping[str, str] | None, owner: Owner, scene: Scene
) -> Verdict | None:
    """Return a verdict as the tags of the thing allow it; None for what is not this stack's, or gone."""
    if verdict is None or not is_of_stack(tags, scene):
        return None
    wanted = names.ownership_tags(scene.rules.stack, owner.deployment, owner.generation)
    if any((tags or {}).get(key) != value for key, value in wanted.items()):
        return _look(f"it has the name of {owner.as_user}, and the tags of another")
    return verdict


def is_of_stack(tags: Mapping[str, str] | None, scene: Scene) -> bool:
    """Say whether tags are there, and tell of this stack."""
    return tags is not None and tags.get(names.TAG_STACK) == scene.rules.stack


def _parsed(text: str) -> Owner | None:
    """Return what a name tells, if it is just what we would have made of that."""
    match = _NAME.fullmatch(text)
    if match is None or not re.fullmatch(NAME_PATTERN, match["deployment"]) or len(match["deployment"]) > NAME_MAX:
        return None
    owner = Owner(match["deployment"], int(match["generation"]), int(match["revision"] or 0))
    ours = names.revision_name(*owner) if owner.revision else owner.endpoint
    return owner if text == ours else None


def _removes(verdict: Verdict | None) -> bool:
    return verdict is not None and verdict.decision is Decision.REMOVE


def _look(reason: str) -> Verdict:
    return Verdict(decision=Decision.LOOK, reason=reason)


def _leave(reason: str) -> Verdict:
    return Verdict(decision=Decision.LEAVE, reason=reason)
