"""What users send to the API, and what a `pilotlight.json` may hold: an unknown field is an error."""

import re
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    Field,
    StrictBool,
    StringConstraints,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from pilotlight.domain.broken_rules import broken_rules
from pilotlight.domain.containers import ContainerSettings
from pilotlight.domain.endpoint import Strategy
from pilotlight.domain.errors import InvalidInput
from pilotlight.domain.hosting import Hosting, InstanceSettings, ScalingSettings
from pilotlight.domain.keep_warm import KeepWarm
from pilotlight.domain.lease import DEFAULT_LEASE, LeaseTerm
from pilotlight.domain.retention import DEFAULT_RETENTION, Retention
from pilotlight.domain.serving import ServingSettings
from pilotlight.domain.source import SUPPORTED_FORMS
from pilotlight.domain.spending import SpendCeiling
from pilotlight.domain.values import TAG_PATTERN, Backend, DeploymentName, Request

MOST_TAGS = 20
_SECTIONS: dict[str, type[Request]] = {
    "instance": InstanceSettings,
    "scaling": ScalingSettings,
    "serving": ServingSettings,
    "container": ContainerSettings,
}
HOSTING_SECTIONS = tuple(_SECTIONS)
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
            "pattern": r"^((hf|ms)://[A-Za-z0-9_.-]{1,96}/[A-Za-z0-9_.-]{1,96}(@[A-Za-z0-9_./-]{1,128})?"
            r"|s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/(\S*/)?)?"
            r"|https://[A-Za-z0-9][A-Za-z0-9.-]{0,252}(:[0-9]{1,5})?/([A-Za-z0-9_.~%+=,/-]{0,700}/)?"
            r"([A-Za-z0-9_.~%+=,-]{1,200}\.json|SHA256SUMS)(@[0-9a-f]{64})?"
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


class HostingRequest(Request):
    """The sections that say how instances shall host a model; only backends with instances take them."""

    backend: Backend = Backend.BEDROCK
    instance: InstanceSettings | None = None
    scaling: ScalingSettings | None = None
    serving: ServingSettings | None = None
    container: ContainerSettings | None = None
    accept_eula: StrictBool = False

    @property
    def hosting(self) -> Hosting | None:
        """The sections as one, with their defaults; None for a backend without instances.

        Raises: InvalidInput for a section that the backend does not have.
        """
        sections = {name: value for name in HOSTING_SECTIONS if (value := getattr(self, name)) is not None}
        if self.backend.is_endpoint:
            hosting = Hosting(accept_eula=self.accept_eula, **sections)
            hosting.scaling.for_backend(self.backend)
            return hosting
        if sections:
            first = next(iter(sections))
            rule = f"with backend {Backend.SAGEMAKER_ASYNC} or {Backend.SAGEMAKER_REALTIME}"
            raise InvalidInput(
                f"The section {first} is for instances, and {self.backend} has none: leave it out, or choose the "
                f"backend {Backend.SAGEMAKER_ASYNC} or {Backend.SAGEMAKER_REALTIME}.",
                field=first,
                rule=rule,
            )
        return None


class DeploymentRequest(HostingRequest):
    """Body of POST /deployments."""

    name: DeploymentName
    source: SourceText
    lease: LeaseTerm = DEFAULT_LEASE
    keep_warm: KeepWarm = KeepWarm()
    spend_ceiling: SpendCeiling | None = None
    artifact: Retention = DEFAULT_RETENTION
    tags: Tags = {}
    import_role_arn: ImportRole | None = None


class UploadSettings(HostingRequest):
    """What `pilotlight.json` in an uploaded folder may set."""

    lease: LeaseTerm = DEFAULT_LEASE
    keep_warm: KeepWarm = KeepWarm()
    spend_ceiling: SpendCeiling | None = None
    artifact: Retention = DEFAULT_RETENTION
    tags: Tags = {}


class PreflightRequest(HostingRequest):
    """Body of POST /preflight."""

    source: SourceText


class UpdateRequest(Request):
    """Body of PATCH /deployments/{name}: a field that is named takes the place of the one there is.

    What is not named stays; null sends a field back to its default. Of options, variables and files all are replaced by
    those that are named.
    """

    instance: InstanceSettings | None = None
    scaling: ScalingSettings | None = None
    serving: ServingSettings | None = None
    container: ContainerSettings | None = None
    strategy: Strategy = Strategy.BLUE_GREEN
    reason: Annotated[str, StringConstraints(max_length=200)] | None = None

    @field_validator(*HOSTING_SECTIONS, mode="before")
    @classmethod
    def _null_is_the_default(cls, section: Any, about: ValidationInfo) -> Any:
        """Put the default in the place of a null, also where the field itself takes none."""
        if not isinstance(section, dict):
            return section
        fields = _SECTIONS[str(about.field_name)].model_fields
        return {
            name: fields[name].get_default(call_default_factory=True) if value is None and name in fields else value
            for name, value in section.items()
        }

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if all(getattr(self, name) is None for name in HOSTING_SECTIONS):
            raise ValueError(f"name what shall change: {', '.join(HOSTING_SECTIONS)}")
        return self

    def over(self, before: Hosting) -> Hosting:
        """Return the settings there were, with the fields that are named.

        Raises: InvalidInput where these and those contradict each other.
        """
        told = self.model_dump(mode="json", exclude_unset=True, include=set(HOSTING_SECTIONS))
        kept = before.dump()
        merged = {name: _merged(kept.get(name, {}), section) for name, section in told.items() if section is not None}
        try:
            return Hosting.model_validate({**kept, **merged})
        except ValidationError as exc:
            broken = broken_rules(exc)[0]
            raise InvalidInput(
                f"With what the deployment has, {broken.field}: {broken.message}.", field=broken.field, rule=broken.rule
            ) from exc


def _merged(before: dict[str, Any], change: dict[str, Any]) -> dict[str, Any]:
    return {field: value for field, value in {**before, **change}.items() if value is not None}


class RollbackRequest(Request):
    """Body of POST /deployments/{name}/rollback; where no revision is named, it is the one that served before."""

    revision: int | None = Field(default=None, ge=1)
    strategy: Strategy = Strategy.BLUE_GREEN


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
