"""Who acts in the embedded cloud: its account, the harness that drives it, and the roles of its functions."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

ACCOUNT_ID = "123456789012"
REGION = "us-east-1"

# Read by boto3 before anything that we pass; one of them in a developer's shell would reach a real account,
# or break every client with a profile that exists only there.
_FOREIGN = ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SESSION_TOKEN", "AWS_CONTAINER_CREDENTIALS_FULL_URI")


@dataclass(frozen=True)
class Credentials:
    """One caller's keys, as moto's server sees them."""

    access_key_id: str
    secret_access_key: str
    session_token: str | None = None

    def environment(self) -> dict[str, str]:
        """Give the variables that the SDKs read."""
        known = {"AWS_ACCESS_KEY_ID": self.access_key_id, "AWS_SECRET_ACCESS_KEY": self.secret_access_key}
        return known | ({"AWS_SESSION_TOKEN": self.session_token} if self.session_token else {})


HARNESS = Credentials("AKIALOCALHARNESS0000", "the-harness-may-do-everything")


def region_environment(endpoint_url: str) -> dict[str, str]:
    """Give the variables that lead an SDK to the embedded cloud and nowhere else."""
    return {
        "AWS_ENDPOINT_URL": endpoint_url,
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


@contextmanager
def environment(changes: Mapping[str, str]) -> Iterator[None]:
    """Give this process the harness' identity and the changes; afterwards everything is as it was."""
    wanted = {**HARNESS.environment(), **changes}
    before = {name: os.environ.get(name) for name in (*wanted, *_FOREIGN)}
    for name in _FOREIGN:
        os.environ.pop(name, None)
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
