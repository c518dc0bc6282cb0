"""What users send to the API, and what a `pilotlight.json` may hold: an unknown field is an error."""

import re
from typing import Annotated

from pydantic import AfterValidator, Field, StrictBool, StringConstraints

from pilotlight.domain.keep_warm import KeepWarm
from pilotlight.domain.lease import DEFAULT_LEASE, LeaseTerm
from pilotlight.domain.source import SUPPORTED_FORMS
from pilotlight.domain.spending import SpendCeiling
from pilotlight.domain.values import TAG_PATTERN, Backend, DeploymentName, Request

MOST_TAGS = 20
PAGE = 50
LARGEST_PAGE = 200
IMPORT_ROLE = re.compile(r"^arn:aws[a-z-]*:iam::\d{12}:role/pilotlight-import-[\w+=,.@-]+$", re.ASCII)


def _no_name_of_aws(text: str) -> str:
    if text.lower().startswith("aws:"):
        raise ValueError("names that begin with aws: belong to AWS")
    return text


def _says_something(text: str) -> str:
    if not text.strip():
        raise ValueError("say why, or leave it out")
    return text.strip()


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
    StringConstraints(min_length=1, max_length=128, pattern=TAG_PATTERN),
    AfterValidator(_no_name_of_aws),
]


# The forms as a schema tells them; `Source.parse` refuses with a sentence for whoever mistypes one.
SourceText = Annotated[
    str,
    StringConstraints(min_length=1, max_length=1024),
    Field(
        description=f"Write {SUPPORTED_FORMS}.",
        json_schema_extra={
            "pattern": r"^(hf://[A-Za-z0-9_.-]{1,96}/[A-Za-z0-9_.-]{1,96}(@[A-Za-z0-9_./-]{1,128})?"
            r"|s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/(\S*/)?)?"
            r"|jumpstart://[A-Za-z0-9][A-Za-z0-9_.-]{0,127}(@[0-9A-Za-z*][0-9A-Za-z.*-]{0,31})?)$"
        },
    ),
]
ImportRole = Annotated[
    str,
    AfterValidator(_a_role_that_may_be_passed),
    Field(json_schema_extra={"pattern": IMPORT_ROLE.pattern.replace("\\w", "A-Za-z0-9_").replace("\\d", "[0-9]")}),
]


Tags = Annotated[dict[TagText, TagText], Field(max_length=MOST_TAGS, json_schema_extra={"additionalProperties": False})]


# Why somebody stopped everything: white space alone tells nobody.
SwitchReason = Annotated[
    str,
    StringConstraints(min_length=1, max_length=500),
    AfterValidator(_says_something),
    Field(json_schema_extra={"pattern": r"\S"}),
]


class DeploymentRequest(Request):
    """Body of POST /deployments."""

    name: DeploymentName
    source: SourceText
    backend: Backend = Backend.BEDROCK
    lease: LeaseTerm = DEFAULT_LEASE
    keep_warm: KeepWarm = KeepWarm()
    spend_ceiling: SpendCeiling | None = None
    tags: Tags = {}
    import_role_arn: ImportRole | None = None


class UploadSettings(Request):
    """What `pilotlight.json` in an uploaded folder may set."""

    backend: Backend = Backend.BEDROCK
    lease: LeaseTerm = DEFAULT_LEASE
    keep_warm: KeepWarm = KeepWarm()
    spend_ceiling: SpendCeiling | None = None
    tags: Tags = {}


class PreflightRequest(Request):
    """Body of POST /preflight."""

    source: SourceText
    backend: Backend = Backend.BEDROCK


class LeaseRequest(Request):
    """Body of PUT /deployments/{name}/lease: the new term, counted from now."""

    lease: LeaseTerm


class KeepWarmRequest(Request):
    """Body of PUT /deployments/{name}/keep-warm."""

    keep_warm: KeepWarm


class SpendCeilingRequest(Request):
    """Body of PUT /deployments/{name}/spend-ceiling."""

    spend_ceiling: SpendCeiling


class KillSwitchRequest(Request):
    """Body of POST /kill-switch."""

    on: StrictBool
    reason: SwitchReason | None = None
