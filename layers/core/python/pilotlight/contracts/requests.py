"""What users send to the API, and what a `pilotlight.json` may hold: an unknown field is an error."""

import re
from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints

from pilotlight.domain.keep_warm import KeepWarm
from pilotlight.domain.lease import DEFAULT_LEASE, LeaseTerm
from pilotlight.domain.values import Backend, DeploymentName, Request

MOST_TAGS = 20
PAGE = 50
LARGEST_PAGE = 200
IMPORT_ROLE = re.compile(r"arn:aws[a-z-]*:iam::\d{12}:role/pilotlight-import-[\w+=,.@-]+", re.ASCII)


def _no_name_of_aws(text: str) -> str:
    if text.lower().startswith("aws:"):
        raise ValueError("names that begin with aws: belong to AWS")
    return text


def _a_role_that_may_be_passed(arn: str) -> str:
    if not IMPORT_ROLE.fullmatch(arn):
        raise ValueError(
            "write arn:aws:iam::<account>:role/pilotlight-import-<name>: the stack may hand no other role to Bedrock"
        )
    return arn


# What Bedrock takes as key and value of a tag; it says so only when the import starts, after the weights were copied.
# Source: Amazon Bedrock API reference, Tag.
TagText = Annotated[
    str,
    StringConstraints(min_length=1, max_length=128, pattern=r"^[a-zA-Z0-9 ._:/=+@-]*$"),
    AfterValidator(_no_name_of_aws),
]


class DeploymentRequest(Request):
    """Body of POST /deployments."""

    name: DeploymentName
    source: Annotated[str, StringConstraints(min_length=1, max_length=1024)]
    backend: Backend = Backend.BEDROCK
    lease: LeaseTerm = DEFAULT_LEASE
    keep_warm: KeepWarm = KeepWarm()
    tags: dict[TagText, TagText] = Field(default={}, max_length=MOST_TAGS)
    import_role_arn: Annotated[str, AfterValidator(_a_role_that_may_be_passed)] | None = None


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
