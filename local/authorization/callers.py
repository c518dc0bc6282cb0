"""Who calls: a role's session, a service on somebody's behalf, or the account itself."""

from __future__ import annotations

from dataclasses import dataclass

from local.identity import ACCOUNT_ID


@dataclass(frozen=True)
class Account:
    """The account's own keys: the harness, and whoever drives the cloud by hand. No policy of a role binds them."""

    @property
    def arn(self) -> str:
        """Give the account's principal."""
        return f"arn:aws:iam::{ACCOUNT_ID}:root"

    @property
    def name(self) -> str:
        """Give what logs call it."""
        return "the account"


@dataclass(frozen=True)
class Role:
    """A session of a role, of whoever assumed it."""

    role_arn: str
    session: str

    @property
    def arn(self) -> str:
        """Give the session's ARN, as messages of refusal have it."""
        return f"arn:aws:sts::{ACCOUNT_ID}:assumed-role/{self.name}/{self.session}"

    @property
    def name(self) -> str:
        """Give the role's name."""
        return self.role_arn.rpartition("/")[2]


@dataclass(frozen=True)
class Service:
    """An AWS service that acts for a resource, as EventBridge does for a rule."""

    principal: str
    source_arn: str

    @property
    def arn(self) -> str:
        """Give the service's principal: it has no ARN."""
        return self.principal

    @property
    def name(self) -> str:
        """Give what logs call it."""
        return self.principal


Caller = Account | Role | Service
ACCOUNT = Account()
