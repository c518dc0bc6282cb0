"""The statuses of a deployment, and what may follow what."""

from enum import StrEnum


class Status(StrEnum):
    """Where a deployment is on its way."""

    REQUESTED = "REQUESTED"
    STAGING = "STAGING"
    IMPORTING = "IMPORTING"
    CREATING = "CREATING"
    WARMING = "WARMING"
    SERVING = "SERVING"
    FAILED = "FAILED"
    TEARING_DOWN = "TEARING_DOWN"
    GONE = "GONE"


_GIVES_UP = {Status.FAILED, Status.TEARING_DOWN}

TRANSITIONS: dict[Status, frozenset[Status]] = {
    Status.REQUESTED: frozenset({Status.STAGING} | _GIVES_UP),
    Status.STAGING: frozenset({Status.IMPORTING, Status.CREATING} | _GIVES_UP),
    Status.IMPORTING: frozenset({Status.WARMING} | _GIVES_UP),
    Status.CREATING: frozenset({Status.WARMING} | _GIVES_UP),
    Status.WARMING: frozenset({Status.SERVING} | _GIVES_UP),
    Status.SERVING: frozenset({Status.TEARING_DOWN}),
    Status.FAILED: frozenset({Status.REQUESTED, Status.TEARING_DOWN}),
    Status.TEARING_DOWN: frozenset({Status.GONE}),
    Status.GONE: frozenset({Status.REQUESTED}),
}
"""What may follow what. GONE → REQUESTED is the next generation of the name; FAILED → REQUESTED a retry."""

UNDER_WAY = frozenset({Status.REQUESTED, Status.STAGING, Status.IMPORTING, Status.CREATING, Status.WARMING})
"""Statuses in which an execution `deploy` is at work."""
