"""Where things are: names and quotas are counted in each account and region apart."""

from __future__ import annotations

from typing import NamedTuple


class Place(NamedTuple):
    """An account in a region."""

    account: str
    region: str

    def arn(self, kind: str, name: str) -> str:
        """Give the ARN of something by its name: the service writes names in small letters there."""
        return f"arn:aws:sagemaker:{self.region}:{self.account}:{kind}/{name.lower()}"
