"""What users send to the API, and what a `pilotlight.json` may hold: an unknown field is an error."""

from typing import Annotated

from pydantic import Field, StringConstraints

from pilotlight.domain.keep_warm import KeepWarm
from pilotlight.domain.lease import DEFAULT_LEASE, LeaseTerm
from pilotlight.domain.values import Backend, DeploymentName, Request

TagText = Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=r"^[\w .:/=+\-@]*$")]
MOST_TAGS = 20


class DeploymentRequest(Request):
    """Body of POST /deployments."""

    name: DeploymentName
    source: Annotated[str, StringConstraints(min_length=1, max_length=1024)]
    backend: Backend = Backend.BEDROCK
    lease: LeaseTerm = DEFAULT_LEASE
    keep_warm: KeepWarm = KeepWarm()
    tags: dict[TagText, TagText] = Field(default={}, max_length=MOST_TAGS)
    import_role_arn: Annotated[str, StringConstraints(pattern=r"^arn:aws[\w-]*:iam::\d{12}:role/.+$")] | None = None


class UploadSettings(Request):
    """What `pilotlight.json` in an uploaded folder may set."""

    backend: Backend = Backend.BEDROCK
    lease: LeaseTerm = DEFAULT_LEASE
    keep_warm: KeepWarm = KeepWarm()
    tags: dict[TagText, TagText] = Field(default={}, max_length=MOST_TAGS)


class PreflightRequest(Request):
    """Body of POST /preflight."""

    source: Annotated[str, StringConstraints(min_length=1, max_length=1024)]
    backend: Backend = Backend.BEDROCK


class LeaseRequest(Request):
    """Body of PUT /deployments/{name}/lease: the new term, counted from now."""

    lease: LeaseTerm


class KeepWarmRequest(Request):
    """Body of PUT /deployments/{name}/keep-warm."""

    keep_warm: KeepWarm
