"""Every name that we derive: from deployment, generation and attempt, and never at random.

A derived name finds again what a crashed run made. The generation is in all of them, because a client token
outlives what it made; and in those that a service does not give free, the moment at which the record was born, in
base 36, because a stack that was removed and made again counts generations from 1 again. Step Functions keeps the
name of an execution for 90 days, and Bedrock that of a job for good.

Patterns: an execution takes letters, digits, hyphens and underscores, at most 80 (Step Functions' API reference);
Bedrock (botocore's service model) an imported model `([0-9a-zA-Z][_-]?)+`, a job
`[a-zA-Z0-9](-*[a-zA-Z0-9\\+\\-\\.])*`, both at most 63, a token letters, digits and inner hyphens, at most 256;
SageMaker an endpoint, a config, a model or a component `[a-zA-Z0-9](-*[a-zA-Z0-9])*`, at most 63.
"""

import hashlib
import re
from datetime import datetime
from typing import NamedTuple

from pilotlight.domain.source import Source

PREFIX = "pilotlight"
TAG_DEPLOYMENT = "pilotlight:deployment"
TAG_GENERATION = "pilotlight:generation"
TAG_STACK = "pilotlight:stack"
TAG_ARTIFACT = "pilotlight:artifact"
TAG_REVISION = "pilotlight:revision"
TAG_DIGEST = "pilotlight:digest"


def run_name(name: str, generation: int, attempt: int, born: datetime) -> str:
    """Return the name of a `deploy` execution: `<name>-g<generation>-<birth>`, `-r<attempt>` for a retry."""
    base = f"{name}-g{generation}-{_stamp(born)}"
    return base if attempt == 1 else f"{base}-r{attempt}"


def teardown_name(name: str, generation: int, round_: int, born: datetime) -> str:
    """Return the name of a `teardown` execution; `round_` counts how often it had to be started."""
    return f"{name}-g{generation}-{_stamp(born)}-t{round_}"


def wake_name(name: str, generation: int, wake_id: str, born: datetime) -> str:
    """Return the name of a `warm` execution."""
    return f"{name}-g{generation}-{_stamp(born)}-w{wake_id}"


def staging_name(artifact_id: str, attempt: int, born: datetime) -> str:
    """Return the name of a `stage_artifact` execution of an artifact whose record was born at that moment."""
    return f"{artifact_id}-{_stamp(born)}-a{attempt}"


def imported_model_name(name: str, generation: int) -> str:
    """Return the name of the imported model, the same for every attempt: a finished import is found again."""
    return f"{PREFIX}-{name}-g{generation}"


def import_job_name(name: str, generation: int, attempt: int, born: datetime) -> str:
    """Return the name of an import job of a generation born at that moment.

    Bedrock answers a repeated token with the old job, too.
    """
    return f"{PREFIX}-{name}-g{generation}-a{attempt}-{_stamp(born)}"


def import_token(stack: str, job_name: str) -> str:
    """Return the client token of an import job: one per stack and job."""
    return f"{job_name}-{hashlib.sha256(f'{stack}/{job_name}'.encode()).hexdigest()[:16]}"


def endpoint_name(name: str, generation: int) -> str:
    """Return the name of an endpoint: the same for every revision, so that callers of SageMaker's own API keep it."""
    return f"{PREFIX}-{name}-g{generation}"


def deployment_of_endpoint(endpoint: str) -> str | None:
    """Return the deployment whose endpoint has that name, or None where it is not one of ours."""
    match = re.fullmatch(rf"{PREFIX}-(?P<name>.+)-g\d+", endpoint)
    return match["name"] if match else None


def revision_name(name: str, generation: int, revision: int) -> str:
    """Return the name of the model and of the endpoint config of one revision."""
    return f"{PREFIX}-{name}-g{generation}-v{revision}"


def component_name(name: str, generation: int, revision: int) -> str:
    """Return the name of the inference component of one revision."""
    return f"{PREFIX}-{name}-g{generation}-v{revision}"


def update_name(name: str, generation: int, number: int, born: datetime) -> str:
    """Return the name of an `update` execution, which brings a revision into service; `number` counts them."""
    return f"{name}-g{generation}-{_stamp(born)}-u{number}"


def revision_tags(stack: str, name: str, generation: int, revision: int, digest: str) -> dict[str, str]:
    """Return the tags that make a model or a config the one of a revision: nothing without all of them is adopted."""
    return {**ownership_tags(stack, name, generation), TAG_REVISION: str(revision), TAG_DIGEST: digest}


class Run(NamedTuple):
    """What an execution's name tells: whom it works for, and which attempt or round it is (a wake has none: 0)."""

    owner: str
    generation: int
    number: int


_RUN = re.compile(r"(?P<owner>.+)-g(?P<generation>\d+)-[0-9a-z]+(?:-(?:[rtu](?P<number>\d+)|w[0-9a-z]+))?")
_STAGING_RUN = re.compile(r"(?P<owner>a[0-9a-f]{19})-[0-9a-z]+-a(?P<number>\d+)")


def parse_run(text: str) -> Run | None:
    """Return what the name of an execution tells, or None for one that we would not give.

    That of a `stage_artifact` names an artifact, whose generation is 0.
    """
    if staging := _STAGING_RUN.fullmatch(text):
        return Run(staging["owner"], 0, int(staging["number"]))
    match = _RUN.fullmatch(text)
    return Run(match["owner"], int(match["generation"]), int(match["number"] or 1)) if match else None


def _stamp(born: datetime) -> str:
    """Return the second of a birth in base 36: six characters until the year 2038, and after."""
    number, digits = int(born.timestamp()), ""
    while number:
        number, digit = divmod(number, 36)
        digits = "0123456789abcdefghijklmnopqrstuvwxyz"[digit] + digits
    return digits


def artifact_id(source: Source, quarantined: int = 0) -> str:
    """Return the id of the artifact of a pinned source: the same source and revision share one.

    Weights that were `quarantined` keep their id, and what is copied after them gets another.
    Hexadecimal, because Bedrock's `s3Uri` allows neither `=` nor `:` in a prefix.
    """
    told = f"{source}#{quarantined}" if quarantined else str(source)
    return "a" + hashlib.sha256(told.encode()).hexdigest()[:19]


def ownership_tags(stack: str, name: str, generation: int) -> dict[str, str]:
    """Return the tags that make a resource ours: nothing without them is deleted."""
    return {TAG_STACK: stack, TAG_DEPLOYMENT: name, TAG_GENERATION: str(generation)}


def content_tags(stack: str, name: str, generation: int, artifact_id: str) -> dict[str, str]:
    """Return the tags that make a model the one that a deployment imports: nothing without all of them is adopted.

    A table that was lost counts generations from 1 again: the artifact tells which weights a model was made of.
    """
    return {**ownership_tags(stack, name, generation), TAG_ARTIFACT: artifact_id}
