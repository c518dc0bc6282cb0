"""Reads a spec of JumpStart's catalogue: the JSON document of one version of one model.

Older specs say everything at the top. Newer ones have `inference_config_components`, each of which overlays fields of
the top, `inference_configs`, which name their components, and `inference_config_rankings`, of which "overall" counts.
Images stand in `hosting_instance_type_variants` as aliases (`$gpu_ecr_uri`), which `regional_aliases` resolves.

Source: aws/sagemaker-python-sdk, sagemaker/core/jumpstart/types.py, commit a248126 of 2026-08-21; looked up
2026-11-20.
"""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, ValidationError

from pilotlight.domain.errors import SourceRefused
from pilotlight.domain.jumpstart import (
    Catalogued,
    Channel,
    Compression,
    Configuration,
    EcrSpecs,
    EnvironmentVariable,
    JumpStartModel,
    ModelData,
    Payload,
    Variant,
)
from pilotlight.domain.jumpstart_manifest import Buckets

ONLY = "default"
_RANKING = "overall"
# What a component may not say otherwise than the top.
_FIXED = frozenset(
    {"model_id", "version", "url", "min_sdk_version", "deprecated", "deprecated_message", "deprecate_warn_message"}
    | {"resource_name_base", "gated_bucket"}
)

# What is only shown: whatever the spec has there.
_Shown = Annotated[str, BeforeValidator(str)]


class _Variable(Catalogued):
    name: str
    default: Any = None
    scope: str = "container"
    required_for_model_class: bool = False


class _Properties(Catalogued):
    image_uri: str | None = None
    environment_variables: dict[str, Any] = {}
    artifact_key: str | None = None
    prepacked_artifact_key: str | None = None


class _Variant(Catalogued):
    properties: _Properties = _Properties()
    regional_properties: _Properties = _Properties()


class _Variants(Catalogued):
    regional_aliases: dict[str, dict[str, str]] = {}
    variants: dict[str, _Variant] = {}


class _S3DataSource(Catalogued):
    s3_uri: str
    compression_type: Compression = Compression.NONE


class _Channel(Catalogued):
    channel_name: str
    s3_data_source: _S3DataSource
    hosting_eula_key: str | None = None
    provider: dict[str, Any] = {}


class _DeployKwargs(Catalogued):
    model_data_download_timeout: int | None = None
    container_startup_health_check_timeout: int | None = None
    inference_ami_version: str | None = None


class _PredictorSpecs(Catalogued):
    supported_content_types: tuple[str, ...] = ()
    supported_accept_types: tuple[str, ...] = ()


class _Top(Catalogued):
    """What is said of the model, whatever the configuration."""

    gated_bucket: bool = False
    deprecated: bool = False
    deprecated_message: _Shown | None = None
    deprecate_warn_message: _Shown | None = None
    usage_info_message: _Shown | None = None
    resource_name_base: _Shown | None = None
    model_size: _Shown | None = None
    huggingface_id: _Shown | None = None
    license: _Shown | None = None


class _Fields(Catalogued):
    """What is said of one configuration."""

    hosting_ecr_uri: str | None = None
    hosting_ecr_specs: EcrSpecs | None = None
    hosting_artifact_key: str | None = None
    hosting_prepacked_artifact_key: str | None = None
    hosting_artifact_compression_type: Compression | None = None
    hosting_use_script_uri: bool = True
    hosting_eula_key: str | None = None
    hosting_model_package_arns: dict[str, Any] = {}
    hosting_instance_type_variants: _Variants = _Variants()
    hosting_additional_data_sources: dict[str, list[_Channel]] = {}
    inference_environment_variables: tuple[_Variable, ...] = ()
    inference_vulnerable: bool = False
    inference_vulnerabilities: tuple[_Shown, ...] = ()
    inference_enable_network_isolation: bool = False
    inference_volume_size: int | None = None
    default_inference_instance_type: str | None = None
    supported_inference_instance_types: tuple[str, ...] = ()
    deploy_kwargs: _DeployKwargs = _DeployKwargs()
    predictor_specs: _PredictorSpecs = _PredictorSpecs()
    default_payloads: dict[str, Payload] = {}


def read_spec(document: Mapping[str, Any], *, model_id: str, version: str, buckets: Buckets) -> JumpStartModel:
    """Return the model that a spec describes, with its addresses in one region.

    Raises: SourceRefused for a document that is no such spec.
    """
    try:
        spec = _without_nulls(document)
        top = _Top.model_validate(spec)
        named = {name: _Fields.model_validate(fields) for name, fields in _configurations(spec)}
    except (ValidationError, LookupError, TypeError, AttributeError) as exc:
        raise SourceRefused(
            f"The spec of jumpstart://{model_id}@{version} is not of the form that JumpStart's specs have. Name "
            "another version, or deploy the model from hf:// or s3://."
        ) from exc
    configurations = tuple(_configuration(name, fields, top, buckets) for name, fields in named.items())
    first = next(iter(named.values()))
    return JumpStartModel(
        model_id=model_id,
        version=version,
        region=buckets.region,
        configurations=configurations,
        gated=top.gated_bucket,
        eula_uri=_eula_uri(first.hosting_eula_key, buckets),
        resource_name_base=top.resource_name_base,
        model_size=top.model_size,
        huggingface_id=top.huggingface_id,
        license=top.license,
        warnings=tuple(_warnings(top)),
    )


def _configurations(spec: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the configurations as JumpStart ranks them, each overlaid on the top; the top where there are none."""
    configs = spec.get("inference_configs", {})
    if not configs:
        yield ONLY, spec
        return
    ranking = spec.get("inference_config_rankings", {}).get(_RANKING, {}).get("rankings", [])
    for name in [each for each in ranking if each in configs] or sorted(configs):
        fields = spec
        for component in configs[name].get("component_names", []):
            over = spec["inference_config_components"][component]
            fields = _overlaid(fields, {key: value for key, value in over.items() if key not in _FIXED})
        yield name, fields


def _overlaid(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of both; what both say is the upper's, except that objects are joined."""
    joined = dict(under)
    for key, value in over.items():
        below = joined.get(key)
        joined[key] = _overlaid(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return joined


def _without_nulls(value: Any) -> Any:
    """Return a document without what is null: in specs that is the same as not saying it."""
    if isinstance(value, Mapping):
        return {key: _without_nulls(each) for key, each in value.items() if each is not None}
    return [_without_nulls(each) for each in value] if isinstance(value, list) else value


def _configuration(name: str, fields: _Fields, top: _Top, buckets: Buckets) -> Configuration:
    told = fields.hosting_instance_type_variants
    aliases = told.regional_aliases.get(buckets.region, {})
    return Configuration(
        name=name,
        refusal=_refusal(fields, top, buckets),
        image=fields.hosting_ecr_uri,
        ecr_specs=fields.hosting_ecr_specs,
        data=_data(fields.hosting_prepacked_artifact_key or fields.hosting_artifact_key, fields, top, buckets),
        channels=tuple(_channel(each, buckets) for each in _channels(fields)),
        environment=tuple(_variable(each) for each in fields.inference_environment_variables),
        variants={key: _variant(each, aliases, fields, top, buckets) for key, each in told.variants.items()},
        default_instance_type=fields.default_inference_instance_type,
        supported_instance_types=fields.supported_inference_instance_types,
        network_isolation=fields.inference_enable_network_isolation,
        volume_gib=fields.inference_volume_size,
        download_timeout_seconds=fields.deploy_kwargs.model_data_download_timeout,
        health_check_timeout_seconds=fields.deploy_kwargs.container_startup_health_check_timeout,
        inference_ami_version=fields.deploy_kwargs.inference_ami_version,
        content_types=fields.predictor_specs.supported_content_types,
        accepts=fields.predictor_specs.supported_accept_types,
        payloads=fields.default_payloads,
    )


def _refusal(fields: _Fields, top: _Top, buckets: Buckets) -> str | None:
    """Return why we cannot host a configuration, or None."""
    if fields.hosting_model_package_arns:
        return "it is a model package to subscribe to, and not weights. Deploy it from the AWS Marketplace."
    if fields.inference_vulnerable:
        which = ", ".join(fields.inference_vulnerabilities[:5]) or "not told which"
        return f"JumpStart marks what it needs as vulnerable ({which}). Name another version."
    if fields.hosting_prepacked_artifact_key is None and fields.hosting_artifact_key is None:
        return "its spec names no weights. Name another version."
    if fields.hosting_prepacked_artifact_key is None and fields.hosting_use_script_uri:
        elsewhere = f", or deploy hf://{top.huggingface_id}" if top.huggingface_id else ""
        return (
            "its weights wait for a script to be packed into them, and weights are used in place. Name another version"
            f"{elsewhere}."
        )
    if any(_bucket_of(each, buckets) is None for each in _channels(fields)):
        return f"a part of it lies in a bucket that {buckets.region} does not have. Deploy it in another region."
    return None


def _data(key: str | None, fields: _Fields, top: _Top, buckets: Buckets) -> ModelData | None:
    """Return where weights lie: files below a prefix that ends with a slash, else one object, mostly an archive."""
    if key is None:
        return None
    archive = key.endswith((".tar.gz", ".tgz"))
    plain = key.endswith("/") or (not archive and fields.hosting_artifact_compression_type is Compression.NONE)
    terms = _eula_uri(fields.hosting_eula_key, buckets)
    return ModelData(
        uri=f"s3://{buckets.gated if top.gated_bucket else buckets.cache}/{key}",
        compression=Compression.NONE if plain else Compression.GZIP,
        gated=top.gated_bucket or terms is not None,
        eula_uri=terms,
    )


def _variant(told: _Variant, aliases: Mapping[str, str], fields: _Fields, top: _Top, buckets: Buckets) -> Variant:
    alias = told.regional_properties.image_uri
    key = told.properties.prepacked_artifact_key or told.properties.artifact_key
    return Variant(
        image=aliases.get(alias.removeprefix("$")) if alias else told.properties.image_uri,
        environment={name: _text(value) for name, value in told.properties.environment_variables.items()},
        data=_data(key, fields, top, buckets),
    )


def _channels(fields: _Fields) -> list[_Channel]:
    return [each for kind in fields.hosting_additional_data_sources.values() for each in kind]


def _channel(told: _Channel, buckets: Buckets) -> Channel:
    data = told.s3_data_source
    bucket = _bucket_of(told, buckets)
    return Channel(
        name=told.channel_name,
        data=ModelData(
            uri=data.s3_uri if data.s3_uri.startswith("s3://") else f"s3://{bucket}/{data.s3_uri}",
            compression=data.compression_type,
            gated=told.hosting_eula_key is not None or bucket == buckets.gated,
            eula_uri=_eula_uri(told.hosting_eula_key, buckets),
        ),
    )


def _bucket_of(told: _Channel, buckets: Buckets) -> str | None:
    """Return the bucket of a channel, or None where the region has none for whom it is from."""
    if told.provider.get("name") != "JumpStart":
        return buckets.drafts
    return buckets.gated if told.provider.get("classification") == "gated" else buckets.cache


def _variable(told: _Variable) -> EnvironmentVariable:
    return EnvironmentVariable(
        name=told.name,
        default=None if told.default is None else _text(told.default),
        scope=told.scope,
        required_for_model_class=told.required_for_model_class,
    )


def _text(value: Any) -> str:
    """Return a variable's value as the SageMaker SDK hands it over: a number in digits, and True with a capital."""
    return str(value)


def _eula_uri(key: str | None, buckets: Buckets) -> str | None:
    """Return where terms lie: in the bucket that everybody reads, also those of gated models."""
    return f"s3://{buckets.cache}/{key}" if key else None


def _warnings(top: _Top) -> Iterator[str]:
    if top.deprecated:
        yield top.deprecated_message or "JumpStart has deprecated this version."
    for told in (top.deprecate_warn_message, top.usage_info_message):
        if told:
            yield told
