"""The two kinds of models, and the values that several of them share."""

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

NAME_PATTERN = r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$"
NAME_MAX = 32
TAG_PATTERN = r"^[a-zA-Z0-9 ._:/=+@-]*$"

DeploymentName = Annotated[str, StringConstraints(pattern=NAME_PATTERN, max_length=NAME_MAX)]
"""Lower-case words joined by single hyphens, at most 32 characters: every name derived from it fits every service."""

Moment = Annotated[AwareDatetime, AfterValidator(lambda moment: moment.astimezone(UTC))]
"""A point in time, aware and in UTC."""


class Model(BaseModel):
    """A frozen value; `dump` gives its JSON form without the fields that are not set."""

    # a value that breaks a rule may be a prompt: the error says where and why, and not what
    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    def dump(self) -> dict[str, Any]:
        """Return the JSON form: strings, numbers, lists and dicts, without None."""
        return self.model_dump(mode="json", exclude_none=True)

    def changed(self, **fields: Any) -> Self:
        """Return a copy with these fields changed, validated again."""
        return self.model_validate({**dict(self), **fields})


class Request(Model):
    """A value that a user sends us: an unknown field is an error and not a surprise."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class Backend(StrEnum):
    """Where a model runs."""

    BEDROCK = "bedrock"
    SAGEMAKER_ASYNC = "sagemaker-async"
    SAGEMAKER_REALTIME = "sagemaker-realtime"

    @property
    def is_endpoint(self) -> bool:
        """Whether a model runs on instances of ours behind an endpoint of SageMaker's."""
        return self in (Backend.SAGEMAKER_ASYNC, Backend.SAGEMAKER_REALTIME)


class Basis(StrEnum):
    """How sure an amount of money is."""

    MEASURED = "measured"
    ESTIMATED = "estimated"
    BILLED = "billed"


class Money(Model):
    """US dollars, and how sure they are."""

    usd: float = Field(ge=0)
    basis: Basis = Basis.ESTIMATED

    def __add__(self, other: "Money") -> "Money":
        """Return the sum; it is an estimate where either is."""
        basis = self.basis if self.basis == other.basis else Basis.ESTIMATED
        return Money(usd=round(self.usd + other.usd, 6), basis=basis)


def seconds(amount: float) -> timedelta:
    """Return a span of that many seconds."""
    return timedelta(seconds=amount)


def backoff(failures: int, first: timedelta, longest: timedelta) -> timedelta:
    """Return how long to leave alone what failed so often: twice as long each time, up to a limit."""
    doublings = min(max(failures - 1, 0), 30)
    return min(first * (1 << doublings), longest)


def iso(moment: datetime) -> str:
    """Return a moment as we write it in messages: UTC, to the second."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
