"""A JumpStart model is found by name and version, read from its spec, and planned for one instance."""

import botocore.session
import pytest
from pilotlight.domain.errors import InvalidInput, SourceGated, SourceNotFound, SourceRefused
from pilotlight.domain.jumpstart import Compression, plan
from pilotlight.domain.jumpstart_manifest import DRAFT_REGIONS, REGIONS, Buckets, choose
from pilotlight.domain.jumpstart_spec import read_spec
from pilotlight.domain.lmi_images import HOST_OF_CUDA_13
from pilotlight.domain.source import Source, SourceKind

REGION = "us-west-2"
CACHE = "jumpstart-cache-prod-us-west-2"
GATED = "jumpstart-private-cache-prod-us-west-2"
EULA = f"s3://{CACHE}/terms/eula.txt"
LMI_IMAGE = "763104351884.dkr.ecr.us-west-2.amazonaws.com/djl-inference:0.34.0-lmi16.0.0-cu128"


def entry(model_id="text-small", version="1.0.0", **fields):
    return {"model_id": model_id, "version": version, "spec_key": f"specs/{model_id}/{version}.json", **fields}


def chosen(text, *manifest):
    return choose(manifest, Source.parse(f"jumpstart://{text}"), REGION)


def component(**fields):
    """Return what a spec says of a way to host; whatever is None is left out."""
    told = {
        "default_inference_instance_type": "ml.g5.xlarge",
        "supported_inference_instance_types": ["ml.g5.xlarge", "ml.g5.12xlarge"],
        "hosting_prepacked_artifact_key": "text/prepack/v1/",
        "hosting_instance_type_variants": {
            "regional_aliases": {REGION: {"gpu": LMI_IMAGE}},
            "variants": {"g5": {"regional_properties": {"image_uri": "$gpu"}}},
        },
        "inference_environment_variables": [
            {"name": "HF_MODEL_ID", "default": "/opt/ml/model", "scope": "container", "required_for_model_class": True},
            {"name": "WORKERS", "type": "int", "default": 1, "scope": "container"},
        ],
        **fields,
    }
    return {name: value for name, value in told.items() if value is not None}


def model_of(spec, *, region=REGION, version="2.1.0"):
    return read_spec(spec, model_id="text-small", version=version, buckets=Buckets.of(region))


def model(**fields):
    return model_of(component(**fields))


def ranked(*names, **components):
    """Return a spec of the newer form with one configuration for each component."""
    return component(
        inference_configs={name: {"component_names": [name]} for name in components},
        inference_config_components=components,
        inference_config_rankings={"overall": {"rankings": list(names)}} if names else None,
    )


def planned(found, **how):
    return plan(found, **{"region": REGION, **how})


# --- the source


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("jumpstart://text-small", "*"),
        ("jumpstart://text-small@*", "*"),
        ("jumpstart://text-small@2.1.0", "2.1.0"),
        ("jumpstart://text-small@2.*", "2.*"),
    ],
)
def test_a_source_names_a_model_and_a_version_or_the_newest(text, version):
    source = Source.parse(text)

    assert (source.kind, source.location, source.revision) == (SourceKind.JUMPSTART, "text-small", version)
    assert Source.parse(str(source)) == source


@pytest.mark.parametrize(
    "text",
    [
        "jumpstart://",
        "jumpstart://text-small@",
        "jumpstart://text small",
        "jumpstart://text/small",
        "jumpstart://../manifest",
        "jumpstart://text-small@1/0",
        "jumpstart://text-small\n",
        "jumpstart://téxt",
        "jumpstart://" + "a" * 129,
    ],
)
def test_what_is_no_model_is_refused_with_the_forms_that_exist(text):
    with pytest.raises(InvalidInput, match="jumpstart://model-id@version"):
        Source.parse(text)


# --- the manifest


def test_the_newest_version_is_the_highest_by_numbers_and_not_the_last_or_the_longest():
    versions = ["1.10.0", "1.9.3", "1.10.0-rc1", "0.99.99", "1.2.11"]

    found = chosen("text-small", *(entry(version=each) for each in versions))

    assert found.version == "1.10.0"


def test_a_deprecated_version_is_the_newest_only_where_all_are():
    old, newer = entry(version="1.0.0"), entry(version="2.0.0", deprecated=True)

    assert chosen("text-small", old, newer).version == "1.0.0"
    assert chosen("text-small", newer).version == "2.0.0"


def test_a_star_stands_for_the_rest_of_a_version():
    manifest = [entry(version=each) for each in ("1.0.0", "1.2.0", "10.0.0", "2.0.0")]

    assert chosen("text-small@1.*", *manifest).version == "1.2.0"
    assert chosen("text-small@1.0.0", *manifest).version == "1.0.0"


def test_an_unknown_model_is_answered_with_near_names():
    manifest = [entry("meta-text-llama-3-8b"), entry("meta-text-llama-3-70b"), entry("vision-small")]

    with pytest.raises(SourceNotFound, match="Did you mean") as mistyped:
        chosen("meta-text-lama-3-8b", *manifest)
    with pytest.raises(SourceNotFound) as part:
        chosen("vision", *manifest)
    with pytest.raises(SourceNotFound, match="has 11; AWS lists them at https:"):
        chosen("0000", *(entry(f"text-{number}") for number in range(11)))

    assert mistyped.value.detail["near"][0] == "meta-text-llama-3-8b"
    assert part.value.detail["near"] == ["vision-small"]


def test_a_small_catalogue_is_named_whole_to_whoever_asks_for_what_it_has_not():
    manifest = [entry("text-small", "1.0.0"), entry("text-small", "1.1.0"), entry("vision-small")]

    with pytest.raises(SourceNotFound, match=r"catalogue there has text-small, vision-small\.$"):
        chosen("0000", *manifest)


def test_an_unknown_version_is_answered_with_those_that_exist_newest_first():
    with pytest.raises(SourceNotFound, match=r"There are 1\.10\.0, 1\.9\.0") as caught:
        chosen("text-small@3.0.0", entry(version="1.9.0"), entry(version="1.10.0"), entry("other", "3.0.0"))

    assert caught.value.detail["versions"] == ["1.10.0", "1.9.0"]


def test_what_the_manifest_says_of_other_models_does_not_matter():
    assert chosen("text-small", "nonsense", {"model_id": "other"}, entry()).spec_key == "specs/text-small/1.0.0.json"


def test_an_entry_that_cannot_be_read_is_refused():
    with pytest.raises(SourceRefused, match="cannot be read"):
        chosen("text-small", {"model_id": "text-small", "version": "1.0.0"})


# --- the buckets


def test_a_region_without_jumpstart_is_refused_with_the_regions_that_have_it():
    with pytest.raises(SourceRefused, match="no models in us-moon-1") as caught:
        Buckets.of("us-moon-1")

    assert "us-east-1" in caught.value.detail["regions"]
    assert Buckets.of("us-moon-1", cache="mine", gated="mine-too").cache == "mine"


def test_a_bucket_of_draft_models_is_known_only_where_jumpstart_is():
    assert DRAFT_REGIONS < REGIONS
    assert Buckets.of("us-east-1").drafts == "sagemaker-sd-models-prod-us-east-1"
    assert Buckets.of("eu-central-2").drafts is None


# --- the spec


def test_an_older_spec_has_one_configuration_which_says_everything():
    found = model(model_size="8B", resource_name_base="small", huggingface_id="org/small")

    assert str(found.source) == "jumpstart://text-small@2.1.0"
    assert (found.region, found.model_size, found.resource_name_base) == (REGION, "8B", "small")
    assert found.default_instance_type == "ml.g5.xlarge"
    assert found.supported_instance_types == ("ml.g5.xlarge", "ml.g5.12xlarge")
    assert [(each.name, each.default, each.required_for_model_class) for each in found.best.environment] == [
        ("HF_MODEL_ID", "/opt/ml/model", True),
        ("WORKERS", "1", False),
    ]
    assert not found.requires_eula


def test_configurations_come_as_jumpstart_ranks_them_and_overlay_the_top():
    spec = ranked(
        "fast",
        "plain",
        plain={"default_inference_instance_type": "ml.g5.12xlarge"},
        fast={"hosting_prepacked_artifact_key": "text/fast/v1/", "gated_bucket": True, "hosting_eula_key": None},
    )

    found = model_of(spec)

    assert [each.name for each in found.configurations] == ["fast", "plain"]
    fast, plain = found.configurations
    assert (fast.data.uri, fast.default_instance_type) == (f"s3://{CACHE}/text/fast/v1/", "ml.g5.xlarge")
    assert (plain.data.uri, plain.default_instance_type) == (f"s3://{CACHE}/text/prepack/v1/", "ml.g5.12xlarge")
    assert not found.gated  # of that the top alone decides


def test_without_a_ranking_configurations_come_by_name():
    assert [each.name for each in model_of(ranked(b={}, a={})).configurations] == ["a", "b"]


def test_a_configuration_joins_what_its_components_say_of_variants():
    variants = {"variants": {"ml.g5.12xlarge": {"properties": {"environment_variables": {"DEGREE": 4}}}}}

    found = model_of(ranked(lmi={"hosting_instance_type_variants": variants}))

    assert planned(found, instance_type="ml.g5.12xlarge").environment["DEGREE"] == "4"
    assert planned(found).image == LMI_IMAGE


@pytest.mark.parametrize(
    ("fields", "uri", "compression"),
    [
        ({}, "text/prepack/v1/", Compression.NONE),
        ({"hosting_prepacked_artifact_key": "text/model.tar.gz"}, "text/model.tar.gz", Compression.GZIP),
        (
            {"hosting_prepacked_artifact_key": "text/model.tar.gz", "hosting_artifact_compression_type": "None"},
            "text/model.tar.gz",
            Compression.GZIP,
        ),
        (
            {"hosting_prepacked_artifact_key": "text/model.bin", "hosting_artifact_compression_type": "None"},
            "text/model.bin",
            Compression.NONE,
        ),
        (
            {
                "hosting_prepacked_artifact_key": None,
                "hosting_artifact_key": "text/plain/",
                "hosting_use_script_uri": False,
            },
            "text/plain/",
            Compression.NONE,
        ),
    ],
)
def test_weights_are_named_where_they_lie_as_they_lie(fields, uri, compression):
    data = planned(model(**fields)).model_data

    assert (data.uri, data.compression) == (f"s3://{CACHE}/{uri}", compression)
    assert data.is_prefix is uri.endswith("/")
    assert not data.gated


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"hosting_prepacked_artifact_key": 5}, "not of the form"),
        ({"hosting_instance_type_variants": []}, "not of the form"),
        ({"inference_configs": {"lmi": {"component_names": ["nowhere"]}}}, "not of the form"),
        ({"inference_configs": ["lmi"]}, "not of the form"),
    ],
)
def test_a_document_that_is_no_spec_is_refused(spec, said):
    with pytest.raises(SourceRefused, match=said):
        model_of(spec)


def test_nulls_and_unknown_fields_say_nothing():
    found = model_of(
        {**component(), "gated_bucket": None, "model_size": None, "default_payloads": None, "new": {"a": 1}}
    )

    assert planned(found).image == LMI_IMAGE


def test_requests_that_are_known_to_work_are_kept():
    payload = {"content_type": "application/json", "body": {"inputs": "hello"}, "prompt_key": "inputs"}

    found = model(default_payloads={"hello": payload})

    assert found.payloads["hello"].body == {"inputs": "hello"}


# --- which instance


def test_without_a_type_it_is_the_one_that_jumpstart_proposes():
    found = planned(model())

    assert found.instance_type == "ml.g5.xlarge"
    assert any("ml.g5.xlarge is the instance that JumpStart proposes" in note for note in found.notes)


def test_an_instance_that_is_not_supported_is_refused_with_those_that_are():
    with pytest.raises(InvalidInput, match=r"ml\.g5\.xlarge, ml\.g5\.12xlarge") as caught:
        planned(model(), instance_type="ml.t2.medium")

    assert caught.value.detail["field"] == "instance.type"
    assert caught.value.detail["supported"] == ["ml.g5.xlarge", "ml.g5.12xlarge"]


def test_an_instance_that_is_mistyped_is_refused_with_the_one_that_was_meant():
    with pytest.raises(InvalidInput, match=r"on ml\.g5\.13xlarge\. Did you mean ml\.g5\.12xlarge\? JumpStart supports"):
        planned(model(), instance_type="ml.g5.13xlarge")


def test_the_best_configuration_that_runs_on_the_instance_is_taken():
    spec = ranked(
        "fast",
        "plain",
        fast={"supported_inference_instance_types": ["ml.g5.12xlarge"], "default_inference_instance_type": None},
        plain={"supported_inference_instance_types": ["ml.g5.xlarge", "ml.g5.12xlarge"]},
    )
    found = model_of(spec)

    assert planned(found, instance_type="ml.g5.12xlarge").configuration == "fast"
    other = planned(found, instance_type="ml.g5.xlarge")
    assert other.configuration == "plain"
    assert any("plain is JumpStart's best" in note for note in other.notes)


def test_a_model_without_a_proposed_instance_asks_for_one():
    found = model(default_inference_instance_type=None)

    with pytest.raises(InvalidInput, match=r"Name one of ml\.g5\.xlarge"):
        planned(found)


def test_a_model_that_lists_no_instances_runs_on_the_proposed_one():
    found = model(supported_inference_instance_types=None)

    assert found.supported_instance_types == ("ml.g5.xlarge",)
    assert planned(found, instance_type="ml.g5.xlarge").instance_type == "ml.g5.xlarge"


def test_a_model_of_another_region_is_not_planned():
    with pytest.raises(InvalidInput, match="Look it up there"):
        plan(model(), region="us-east-1")


# --- the image


def variants(**by_key):
    aliases = {REGION: {"cpu": "cpu-image", "gpu": "gpu-image"}, "us-east-1": {"cpu": "elsewhere"}}
    return {"regional_aliases": aliases, "variants": by_key}


def by_alias(name):
    return {"regional_properties": {"image_uri": name}}


def test_the_image_of_the_type_comes_before_that_of_its_family():
    told = variants(g5=by_alias("$gpu"), **{"ml.g5.xlarge": by_alias("$cpu")})
    found = model(hosting_instance_type_variants=told)

    assert planned(found).image == "cpu-image"
    assert planned(found, instance_type="ml.g5.12xlarge").image == "gpu-image"


def test_an_address_in_the_spec_serves_what_no_variant_does():
    found = model(hosting_instance_type_variants=variants(m5=by_alias("$cpu")), hosting_ecr_uri="the-image")

    assert planned(found).image == "the-image"


def test_an_lmi_image_that_is_named_by_its_framework_is_found():
    specs = {"framework": "djl-lmi", "framework_version": "0.34.0", "py_version": "py310"}

    found = planned(model(hosting_instance_type_variants=None, hosting_ecr_specs=specs))

    assert found.image == LMI_IMAGE


@pytest.mark.parametrize(
    ("specs", "said"),
    [
        ({"framework": "huggingface", "framework_version": "2.1.0"}, "only as huggingface 2.1.0"),
        ({"framework": "djl-lmi", "framework_version": "0.1.0"}, "djl-lmi 0.1.0"),
        (None, "no image for ml.g5.xlarge in us-west-2"),
    ],
)
def test_an_image_that_cannot_be_known_is_said_and_not_guessed(specs, said):
    found = model(hosting_instance_type_variants=variants(g5=by_alias("$other")), hosting_ecr_specs=specs)

    with pytest.raises(SourceRefused, match=said):
        planned(found)


def test_an_image_with_cuda_13_gets_the_host_that_it_needs_and_others_the_default():
    new = LMI_IMAGE.replace("0.34.0-lmi16.0.0-cu128", "0.36.0-lmi27.0.0-cu130")
    told = {"regional_aliases": {REGION: {"gpu": new}}, "variants": {"g5": by_alias("$gpu")}}

    assert planned(model(hosting_instance_type_variants=told)).inference_ami_version == HOST_OF_CUDA_13
    assert planned(model()).inference_ami_version is None
    spoken = planned(model(deploy_kwargs={"inference_ami_version": "al2-ami-sagemaker-inference-gpu-2"}))
    assert spoken.inference_ami_version == "al2-ami-sagemaker-inference-gpu-2"


# --- the environment


def test_the_environment_is_overlaid_from_the_general_to_the_special_and_the_user_is_last():
    told = variants(
        g5={"properties": {"environment_variables": {"WORKERS": "2", "FAMILY": "g5"}}, **by_alias("$gpu")},
        **{"ml.g5.xlarge": {"properties": {"environment_variables": {"FAMILY": "small", "TYPE": True}}}},
    )

    found = planned(model(hosting_instance_type_variants=told), environment={"TYPE": "mine", "HF_MODEL_ID": "/mine"})

    assert found.environment == {"HF_MODEL_ID": "/mine", "WORKERS": "2", "FAMILY": "small", "TYPE": "mine"}
    assert any("replaces JumpStart's HF_MODEL_ID" in note for note in found.notes)


def test_a_variable_without_a_value_is_left_to_the_user():
    found = model(inference_environment_variables=[{"name": "TOKEN", "default": None, "scope": "container"}])

    assert "TOKEN" not in planned(found).environment
    assert planned(found, environment={"TOKEN": "x"}).environment["TOKEN"] == "x"


def test_more_variables_than_sagemaker_takes_are_refused():
    most = shapes().shape_for("EnvironmentMap").metadata["max"]
    given = {f"A{number}": "x" for number in range(most - 2)}

    assert len(planned(model(), environment=given).environment) == most
    with pytest.raises(InvalidInput, match="Set fewer"):
        planned(model(), environment={**given, "ONE_MORE": "x"})


# --- terms


def test_a_gated_model_is_refused_until_its_terms_are_accepted():
    found = model(gated_bucket=True, hosting_eula_key="terms/eula.txt")

    with pytest.raises(SourceGated, match='"accept_eula": true') as caught:
        planned(found)

    assert EULA in caught.value.message
    assert caught.value.detail == {"field": "accept_eula", "eula": [EULA]}
    assert found.requires_eula
    data = planned(found, accept_eula=True).model_data
    assert (data.uri, data.gated, data.eula_uri) == (f"s3://{GATED}/text/prepack/v1/", True, EULA)


def test_terms_of_weights_that_everybody_may_read_are_asked_for_too():
    found = model(hosting_eula_key="terms/eula.txt")

    with pytest.raises(SourceGated):
        planned(found)

    data = planned(found, accept_eula=True).model_data
    assert (data.uri, data.gated) == (f"s3://{CACHE}/text/prepack/v1/", True)


def test_a_gated_model_without_a_text_of_terms_asks_all_the_same():
    with pytest.raises(SourceGated, match="page of JumpStart"):
        planned(model(gated_bucket=True))


def draft(name="draft", *, provider=None, **fields):
    source = {"s3_uri": "drafts/v1/", "s3_data_type": "S3Prefix", "compression_type": "None"}
    return {"channel_name": name, "s3_data_source": source, "provider": provider or {}, **fields}


def with_drafts(*drafts, **fields):
    return model(hosting_additional_data_sources={"speculative_decoding": list(drafts)}, **fields)


def test_a_draft_model_with_terms_of_its_own_asks_for_those():
    own = {"name": "JumpStart", "classification": "gated"}
    found = with_drafts(draft(provider=own, hosting_eula_key="terms/draft.txt"))

    with pytest.raises(SourceGated, match=r"terms/draft\.txt"):
        planned(found)

    (channel,) = planned(found, accept_eula=True).channels
    assert (channel.name, channel.data.uri, channel.data.gated) == ("draft", f"s3://{GATED}/drafts/v1/", True)


@pytest.mark.parametrize(
    ("provider", "bucket"),
    [
        ({"name": "JumpStart", "classification": "non-gated"}, CACHE),
        ({"name": "JumpStart"}, CACHE),
        ({"name": "somebody"}, "sagemaker-sd-models-prod-us-west-2"),
        ({}, "sagemaker-sd-models-prod-us-west-2"),
    ],
)
def test_a_draft_model_lies_in_the_bucket_of_whom_it_is_from(provider, bucket):
    (channel,) = planned(with_drafts(draft(provider=provider))).channels

    assert (channel.data.uri, channel.data.gated) == (f"s3://{bucket}/drafts/v1/", False)


# --- what we do not host


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"hosting_model_package_arns": {REGION: "arn"}}, "AWS Marketplace"),
        ({"inference_vulnerable": True, "inference_vulnerabilities": ["CVE-1"]}, "CVE-1"),
        ({"hosting_prepacked_artifact_key": None}, "names no weights"),
        ({"hosting_prepacked_artifact_key": None, "hosting_artifact_key": "a/"}, "script to be packed"),
        (
            {"hosting_prepacked_artifact_key": None, "hosting_artifact_key": "a/", "huggingface_id": "org/small"},
            "hf://org/small",
        ),
    ],
)
def test_what_cannot_be_hosted_is_refused_with_the_reason(fields, said):
    with pytest.raises(SourceRefused, match=said):
        planned(model(**fields))


def test_a_configuration_that_cannot_be_hosted_leaves_its_place_to_the_next():
    spec = ranked("fast", "plain", fast={"inference_vulnerable": True}, plain={})

    found = planned(model_of(spec))

    assert found.configuration == "plain"


def test_a_part_from_a_bucket_that_the_region_lacks_is_refused():
    region = min(REGIONS - DRAFT_REGIONS)
    spec = component(hosting_additional_data_sources={"speculative_decoding": [draft()]})

    with pytest.raises(SourceRefused, match="Deploy it in another region"):
        plan(model_of(spec, region=region), region=region)


def test_a_deprecated_version_is_planned_with_a_warning():
    found = model(deprecated=True, deprecated_message="Use text-large.")

    assert planned(found).notes[0] == "Use text-large."


# --- the rest of a plan


def test_times_and_isolation_are_as_the_spec_says():
    kwargs = {"model_data_download_timeout": 1200, "container_startup_health_check_timeout": 900}

    found = planned(model(deploy_kwargs=kwargs, inference_enable_network_isolation=True))

    assert (found.download_timeout_seconds, found.health_check_timeout_seconds) == (1200, 900)
    assert found.network_isolation
    assert planned(model()).download_timeout_seconds is None


def test_a_volume_is_asked_for_only_where_the_instance_has_no_disk_of_its_own():
    told = variants(g5=by_alias("$gpu"), c6i=by_alias("$cpu"), g4dn=by_alias("$gpu"))
    kinds = ["ml.g5.xlarge", "ml.c6i.xlarge", "ml.g4dn.xlarge"]
    found = model(
        hosting_instance_type_variants=told, supported_inference_instance_types=kinds, inference_volume_size=256
    )

    assert [planned(found, instance_type=kind).volume_gib for kind in kinds] == [None, 256, None]


def shapes():
    return botocore.session.get_session().get_service_model("sagemaker")


def test_a_plan_speaks_the_words_of_sagemaker():
    assert {each.value for each in Compression} == set(shapes().shape_for("ModelCompressionType").enum)


def test_variants_of_a_type_may_name_weights_of_their_own():
    told = variants(
        g5=by_alias("$gpu"), **{"ml.g5.12xlarge": {"properties": {"prepacked_artifact_key": "text/sharded/v1/"}}}
    )
    found = model(hosting_instance_type_variants=told)

    assert planned(found).model_data.uri == f"s3://{CACHE}/text/prepack/v1/"
    assert planned(found, instance_type="ml.g5.12xlarge").model_data.uri == f"s3://{CACHE}/text/sharded/v1/"


def test_a_model_and_a_plan_survive_being_written_and_read():
    found = model(gated_bucket=True, default_payloads={"a": {"content_type": "application/json", "body": {"b": [1]}}})

    assert type(found).model_validate(found.dump()) == found
    made = planned(found, accept_eula=True)
    assert type(made).model_validate(made.dump()) == made
