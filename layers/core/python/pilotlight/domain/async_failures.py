"""Why an asynchronous endpoint gave no answer to a call, told from SageMaker's words and never from a container's.

It quotes what a container said: `Received client error (400) from primary with message "…"`. Nothing in the quotation
is SageMaker's word, but for the status 0 of a container that said nothing.
Source: notifications of failures in the SageMaker developer guide, "Check prediction results", and in reports of users.
"""

import re
from enum import StrEnum

_ANSWERED = re.compile(r"received (?:client|server) error \([1-9]\d*\) from ")
_UNREADABLE = re.compile(r"clienterror: (?!.*\boutput\b).*(?:\binput\b|s3://|download)")
_TIMED_OUT = re.compile(r"invocation timed out while waiting for a response")


class Cause(StrEnum):
    """What a call failed of, as far as it is told."""

    CONTAINER = "container"
    EXPIRED = "expired"
    INPUT = "input"
    TIMED_OUT = "timed out"


def cause_of(words: str) -> Cause:
    """Return what a call failed of, by what SageMaker said."""
    lower = words.lower()
    if _ANSWERED.search(lower):
        return Cause.CONTAINER
    if _TIMED_OUT.search(lower):
        return Cause.TIMED_OUT
    if _UNREADABLE.match(lower):
        return Cause.INPUT
    return Cause.EXPIRED if "expired" in lower else Cause.CONTAINER
