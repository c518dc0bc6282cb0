"""A model of SageMaker JumpStart: what its catalogue says of it, and how it is hosted.

Its weights are not copied: they lie in JumpStart's own bucket of the region, and the endpoint reads them there. The
catalogue also says which image serves them, on which instances, and with which environment; `plan` puts that together
for one instance. A model may have several configurations, ranked by JumpStart; the first that runs on the instance is
taken. What a configuration says is overlaid, from the general to the special: the spec, the configuration, the family
of the instance, its type, and the user.

Source: aws/sagemaker-python-sdk, sagemaker/core/jumpstart (types, artifacts, factory), commit a248126 of 2026-08-21;
looked up 2026-11-20. Limits of CreateModel: botocore's service model, ContainerDefinition.
"""

import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from enum import StrEnum
from typing import Any

from pydantic import ConfigDict, Field

from pilotlight.domain.errors import InvalidInput, SourceGated, SourceRefused
from pilotlight.domain.instances import has_own_disks, in_order
from pilotlight.domain.lmi_images import cuda_of, host_of, image_of
from pilotlight.domain.source import Source, SourceKind
from pilotlight.domain.values import Model

MOST_VARIABLES = 100
LMI = "djl-lmi"

_FAMILY = re.compile(r"^ml\.([a-z0-9-]+)\.[a-z0-9-]+$")


class Compression(StrEnum):
    """How model data lies in S3, in SageMaker's words."""

    NONE = "None"
    GZIP = "Gzip"


class Catalogued(Model):
    """A part of what the catalogue says. Its reader is built with the first that is read: most functions read none."""

    model_config = ConfigDict(defer_build=True)


class ModelData(Catalogued):
    """Weights where they lie: below a prefix where `uri` ends with a slash, else in one object.

    Gated is what is given only to a CreateModel whose ModelAccessConfig accepts the terms (`AcceptEula`), which lie at
    `eula_uri`. Most of it lies in a bucket that nobody but SageMaker can read.
    """

    uri: str
    compression: Compression
    gated: bool = False
    eula_uri: str | None = None

    @property
    def is_prefix(self) -> bool:
        """Whether it is a prefix with files below it (S3Prefix), and not one object (S3Object)."""
        return self.uri.endswith("/")


class Channel(Catalogued):
    """Model data beside the weights, such as a draft model; `/opt/ml/additional-model-data-sources/<name>`."""

    name: str
    data: ModelData


class EnvironmentVariable(Catalogued):
    """A variable that the container is started with. `default` is None where the spec tells none.

    Those that are not `required_for_model_class` are set by the SageMaker SDK by itself: whoever calls CreateModel,
    as we do, sets them, too.
    """

    name: str
    default: str | None = None
    scope: str = "container"
    required_for_model_class: bool = False


class EcrSpecs(Catalogued):
    """An image by its framework, where the spec does not tell its address."""

    framework: str
    framework_version: str
    py_version: str | None = None
    huggingface_transformers_version: str | None = None


class Variant(Catalogued):
    """What is different on one type of instances, or on one family of them."""

    image: str | None = None
    environment: Mapping[str, str] = {}
    data: ModelData | None = None


class Payload(Catalogued):
    """A request that the model is known to answer."""

    content_type: str
    body: Any = None
    accept: str | None = None
    prompt_key: str | None = None


class Configuration(Catalogued):
    """One way to host the model. `refusal` says why we cannot, where we cannot."""

    name: str
    refusal: str | None = None
    image: str | None = None
    ecr_specs: EcrSpecs | None = None
    data: ModelData | None = None
    channels: tuple[Channel, ...] = ()
    environment: tuple[EnvironmentVariable, ...] = ()
    variants: Mapping[str, Variant] = {}
    default_instance_type: str | None = None
    supported_instance_types: tuple[str, ...] = ()
    network_isolation: bool = False
    volume_gib: int | None = None
    download_timeout_seconds: int | None = None
    health_check_timeout_seconds: int | None = None
    inference_ami_version: str | None = None
    content_types: tuple[str, ...] = ()
    accepts: tuple[str, ...] = ()
    payloads: Mapping[str, Payload] = {}

    @property
    def instance_types(self) -> tuple[str, ...]:
        """The types it runs on; the default alone where the spec lists none."""
        return self.supported_instance_types or tuple(filter(None, [self.default_instance_type]))

    def variants_of(self, instance_type: str) -> Iterator[Variant]:
        """Yield what is different on an instance: its type's variant first, then its family's."""
        for key in (instance_type, _family(instance_type)):
            if variant := self.variants.get(key):
                yield variant


class JumpStartModel(Catalogued):
    """One version of a model as JumpStart's catalogue of one region has it; configurations as JumpStart ranks them."""

    model_id: str
    version: str
    region: str
    configurations: tuple[Configuration, ...] = Field(min_length=1)
    gated: bool = False
    eula_uri: str | None = None
    resource_name_base: str | None = None
    model_size: str | None = None
    huggingface_id: str | None = None
    license: str | None = None
    warnings: tuple[str, ...] = ()

    @property
    def source(self) -> Source:
        """The source that names exactly this version."""
        return Source(kind=SourceKind.JUMPSTART, location=self.model_id, revision=self.version)

    @property
    def requires_eula(self) -> bool:
        """Whether somebody must accept terms before it is deployed."""
        return self.gated or self.eula_uri is not None

    @property
    def usable(self) -> tuple[Configuration, ...]:
        """The configurations that we can host, best first."""
        return tuple(each for each in self.configurations if each.refusal is None)

    @property
    def best(self) -> Configuration:
        """The configuration that counts where nobody names an instance."""
        return (self.usable or self.configurations)[0]

    @property
    def default_instance_type(self) -> str | None:
        """The instance that JumpStart proposes."""
        return self.best.default_instance_type

    @property
    def supported_instance_types(self) -> tuple[str, ...]:
        """Every instance that some configuration of ours runs on."""
        return tuple(dict.fromkeys(kind for each in self.usable for kind in each.instance_types))

    @property
    def payloads(self) -> Mapping[str, Payload]:
        """Requests that the model is known to answer, by name."""
        return self.best.payloads


class JumpStartPlan(Catalogued):
    """How a model is hosted on one kind of instance; what is None is the caller's to decide."""

    source: str
    configuration: str
    image: str
    model_data: ModelData
    channels: tuple[Channel, ...] = ()
    environment: Mapping[str, str] = {}
    instance_type: str
    network_isolation: bool = False
    volume_gib: int | None = None
    download_timeout_seconds: int | None = None
    health_check_timeout_seconds: int | None = None
    inference_ami_version: str | None = None
    notes: tuple[str, ...] = ()


def plan(
    model: JumpStartModel,
    *,
    region: str,
    instance_type: str | None = None,
    environment: Mapping[str, str] | None = None,
    accept_eula: bool = False,
) -> JumpStartPlan:
    """Return how to host a model on an instance, by default the one that JumpStart proposes.

    Raises: InvalidInput for an instance that the model does not run on and for too many variables; SourceGated where
    terms must be accepted first; SourceRefused where we cannot host it, or not there.
    """
    if region != model.region:
        raise InvalidInput(
            f"{model.source} was looked up in {model.region}, and {region} reads another bucket. Look it up there.",
            field="source",
            rule="a JumpStart model is hosted in the region of its catalogue",
        )
    configuration, instance = _choose(model, instance_type)
    data = next((each.data for each in configuration.variants_of(instance) if each.data), configuration.data)
    if data is None:
        raise SourceRefused(f"{model.source} names no weights for {instance}. Name another instance or version.")
    if not accept_eula:
        _require_no_terms(model, data, configuration.channels)
    image = _image(model, configuration, instance)
    given = environment or {}
    return JumpStartPlan(
        source=str(model.source),
        configuration=configuration.name,
        image=image,
        model_data=data,
        channels=configuration.channels,
        environment=_environment(configuration, instance, given),
        instance_type=instance,
        network_isolation=configuration.network_isolation,
        volume_gib=None if has_own_disks(instance) else configuration.volume_gib,
        download_timeout_seconds=configuration.download_timeout_seconds,
        health_check_timeout_seconds=configuration.health_check_timeout_seconds,
        inference_ami_version=configuration.inference_ami_version or _ami_of(image),
        notes=_notes(model, configuration, instance_type, given),
    )


def _family(instance_type: str) -> str:
    """Return the family of an instance's type, as variants name it: g5 of ml.g5.xlarge."""
    found = _FAMILY.fullmatch(instance_type)
    return found[1] if found else ""


def _choose(model: JumpStartModel, instance_type: str | None) -> tuple[Configuration, str]:
    """Return the best configuration that runs on an instance, and the instance."""
    if not model.usable:
        raise SourceRefused(f"{model.source} cannot be deployed: {model.configurations[0].refusal}")
    wanted = instance_type or model.default_instance_type
    types = in_order(model.supported_instance_types)
    supported = ", ".join(types)
    if wanted is None:
        raise InvalidInput(
            f"JumpStart proposes no instance for {model.source}. Name one of {supported}.",
            field="instance.type",
            rule=supported,
        )
    for each in model.usable:
        if wanted in each.instance_types:
            return each, wanted
    near = get_close_matches(wanted, types, n=1, cutoff=0.5)
    meant = f" Did you mean {near[0]}?" if near else ""
    raise InvalidInput(
        f"{model.source} does not run on {wanted}.{meant} JumpStart supports {supported}; without a type it is "
        f"{model.default_instance_type}.",
        field="instance.type",
        rule=supported,
        supported=types,
    )


def _require_no_terms(model: JumpStartModel, data: ModelData, channels: tuple[Channel, ...]) -> None:
    """Pass what nobody needs to accept anything for. Raises: SourceGated, with the addresses of the terms."""
    parts = (data, *(each.data for each in channels))
    terms = list(dict.fromkeys(filter(None, [model.eula_uri, *(each.eula_uri for each in parts)])))
    if not terms and not model.requires_eula and not any(each.gated for each in parts):
        return
    where = f"Read {' and '.join(terms)}" if terms else "Read them in the model's page of JumpStart"
    raise SourceGated(
        f"{model.source} may be used by those who accept its terms. {where}, then send the request with "
        '"accept_eula": true.',
        field="accept_eula",
        eula=terms,
    )


def _image(model: JumpStartModel, configuration: Configuration, instance: str) -> str:
    """Return the image for an instance: the variant's, the configuration's, or the one its framework stands for.

    Raises: SourceRefused where the spec tells none that we know how to find.
    """
    for variant in configuration.variants_of(instance):
        if variant.image:
            return variant.image
    if configuration.image:
        return configuration.image
    specs = configuration.ecr_specs
    if specs is None:
        raise SourceRefused(
            f"{model.source} has no image for {instance} in {model.region}. Name another instance or region."
        )
    if specs.framework == LMI:
        try:
            return image_of(specs.framework_version, model.region).uri
        except InvalidInput as exc:
            raise SourceRefused(
                f"{model.source} wants {LMI} {specs.framework_version} and tells no address of it: {exc.message}"
            ) from exc
    raise SourceRefused(
        f"{model.source} names its image for {instance} in {model.region} only as {specs.framework} "
        f"{specs.framework_version}, and of such names we know {LMI} alone. Name another instance, region or version."
    )


def _ami_of(image: str) -> str | None:
    """Return the machine image that an image with CUDA 13 needs; of others JumpStart leaves it to the default."""
    cuda = cuda_of(image.rpartition(":")[2])
    return host_of(cuda) if cuda and cuda.startswith("13.") else None


def _environment(configuration: Configuration, instance: str, given: Mapping[str, str]) -> dict[str, str]:
    """Return the variables, the user's last. Raises: InvalidInput where they are more than CreateModel takes."""
    found = {each.name: each.default for each in configuration.environment if each.default is not None}
    for variant in reversed(list(configuration.variants_of(instance))):
        found |= variant.environment
    found |= given
    if len(found) > MOST_VARIABLES:
        raise InvalidInput(
            f"With JumpStart's own the container would have {len(found)} variables, and SageMaker takes "
            f"{MOST_VARIABLES}. Set fewer.",
            field="container.environment",
            rule=f"at most {MOST_VARIABLES} variables together with JumpStart's",
        )
    return found


def _notes(
    model: JumpStartModel, configuration: Configuration, instance_type: str | None, given: Mapping[str, str]
) -> tuple[str, ...]:
    """Return what whoever deploys should know."""
    notes = list(model.warnings)
    if instance_type is None:
        notes.append(f"{configuration.default_instance_type} is the instance that JumpStart proposes.")
    if configuration != model.best:
        notes.append(f"{configuration.name} is JumpStart's best configuration for this instance.")
    own = {each.name for each in configuration.environment} & set(given)
    if own:
        notes.append(f"Your environment replaces JumpStart's {', '.join(sorted(own))}.")
    notes.append("The weights stay in JumpStart's bucket; nothing of them is copied.")
    return tuple(notes)
