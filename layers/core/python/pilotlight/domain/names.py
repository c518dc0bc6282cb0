"""Every name that we derive: from deployment, generation and attempt, and never at random.

A derived name finds again what a crashed run made. The generation is in all of them, because a client token
outlives what it made. Bedrock's patterns (botocore's service model): imported model `([0-9a-zA-Z][_-]?)+`, job
`[a-zA-Z0-9](-*[a-zA-Z0-9\\+\\-\\.])*`, both at most 63; token: letters, digits and inner hyphens, at most 256.
"""

import hashlib
from datetime import datetime

from pilotlight.domain.source import Source

PREFIX = "pilotlight"
TAG_DEPLOYMENT = "pilotlight:deployment"
TAG_GENERATION = "pilotlight:generation"
TAG_STACK = "pilotlight:stack"


def run_name(name: str, generation: int, attempt: int) -> str:
    """Return the name of a `deploy` execution: `<name>-g<generation>`, `-r<attempt>` for a retry."""
    base = f"{name}-g{generation}"
    return base if attempt == 1 else f"{base}-r{attempt}"


def teardown_name(name: str, generation: int, round_: int) -> str:
    """Return the name of a `teardown` execution; `round_` counts how often it had to be started."""
    return f"{name}-g{generation}-t{round_}"


def wake_name(name: str, generation: int, wake_id: str) -> str:
    """Return the name of a `warm` execution."""
    return f"{name}-g{generation}-w{wake_id}"


def staging_name(artifact_id: str, attempt: int) -> str:
    """Return the name of a `stage_artifact` execution."""
    return f"{artifact_id}-a{attempt}"


def imported_model_name(name: str, generation: int) -> str:
    """Return the name of the imported model, the same for every attempt: a finished import is found again."""
    return f"{PREFIX}-{name}-g{generation}"


def import_job_name(name: str, generation: int, attempt: int, born: datetime) -> str:
    """Return the name of an import job of a generation born at that moment.

    Bedrock never gives a job's name free, and answers a repeated token with the old job. The second of birth, in
    base 36, keeps a stack that was removed and made again from meeting its former jobs.
    """
    return f"{PREFIX}-{name}-g{generation}-a{attempt}-{_base36(int(born.timestamp()))}"


def import_token(stack: str, job_name: str) -> str:
    """Return the client token of an import job: one per stack and job."""
    return f"{job_name}-{hashlib.sha256(f'{stack}/{job_name}'.encode()).hexdigest()[:16]}"


def _base36(number: int) -> str:
    digits = ""
    while number:
        number, digit = divmod(number, 36)
        digits = "0123456789abcdefghijklmnopqrstuvwxyz"[digit] + digits
    return digits


def artifact_id(source: Source) -> str:
    """Return the id of the artifact of a pinned source: the same source and revision share one.

    Hexadecimal, because Bedrock's `s3Uri` allows neither `=` nor `:` in a prefix.
    """
    return "a" + hashlib.sha256(str(source).encode()).hexdigest()[:19]


def ownership_tags(stack: str, name: str, generation: int) -> dict[str, str]:
    """Return the tags that make a resource ours: nothing without them is adopted or deleted."""
    return {TAG_STACK: stack, TAG_DEPLOYMENT: name, TAG_GENERATION: str(generation)}
