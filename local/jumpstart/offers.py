"""What the simulated catalogue offers, as JumpStart writes it: the manifest, and a spec for each version.

Source of the forms: aws/sagemaker-python-sdk, sagemaker/core/jumpstart/types.py, commit a248126 of 2026-08-21.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

MANIFEST_KEY = "models_manifest.json"
EULA_KEY = "fmhMetadata/eula/smallLlamaEula.txt"
EULA = (
    "Terms of the small Llama of the embedded cloud\n\n"
    "This text stands where a publisher's terms would stand. Who sends accept_eula true says to have read it.\n"
)
OPEN = "local-textgeneration-small-llama"
GATED = "local-textgeneration-small-llama-gated"
ARCHIVED = "local-featureextraction-small-llama"

# Images of AWS's own. Nothing runs them here: the embedded cloud's SageMaker knows what they do.
_LMI = "763104351884.dkr.ecr.{region}.amazonaws.com/djl-inference:0.34.0-lmi16.0.0-cu128"
_TRANSFORMERS = (
    "763104351884.dkr.ecr.{region}.amazonaws.com/huggingface-pytorch-inference:2.1.0-transformers4.37.0-{tag}"
)
_REGIONS = ("eu-central-1", "us-east-1", "us-east-2", "us-west-2")


@dataclass(frozen=True)
class Offer:
    """One version of one model. `artifact` is the key of its weights: below a prefix, or one archive."""

    model_id: str
    version: str
    artifact: str
    gated: bool = False

    @property
    def spec_key(self) -> str:
        """Give the key of its spec."""
        return f"community_models/{self.model_id}/specs_v{self.version}.json"

    @property
    def entry(self) -> dict[str, Any]:
        """Give its entry in the manifest."""
        return {
            "model_id": self.model_id,
            "version": self.version,
            "min_version": "2.244.2",
            "spec_key": self.spec_key,
            "deprecated": False,
            "provider": "local",
            "search_keywords": ["Text Generation"],
        }

    def spec(self, region: str) -> dict[str, Any]:
        """Give its spec: of the newer form, with configurations, for weights below a prefix."""
        top = {
            "model_id": self.model_id,
            "version": self.version,
            "url": "https://example.com/small-llama",
            "min_sdk_version": "2.244.2",
            "model_access": "Gated" if self.gated else "Open Weight",
            "model_size": "<1B",
            "license": "other",
            "deprecated": False,
            "training_supported": False,
            "incremental_training_supported": False,
            "resource_name_base": self.model_id,
            "gated_bucket": self.gated,
        }
        if self.gated:
            top["hosting_eula_key"] = EULA_KEY
        return top | (_newer(self.artifact, region) if self.artifact.endswith("/") else _older(self.artifact, region))


OFFERS = (
    # not in the order of versions: the manifest promises none
    Offer(OPEN, "1.9.0", f"local-textgeneration/{OPEN}/artifacts/inference-prepack/v1.0.0/"),
    Offer(OPEN, "1.10.0", f"local-textgeneration/{OPEN}/artifacts/inference-prepack/v1.0.0/"),
    Offer(OPEN, "1.0.0", f"local-textgeneration/{OPEN}/artifacts/inference-prepack/v1.0.0/"),
    Offer(GATED, "1.0.0", f"local-textgeneration/{GATED}/artifacts/inference-prepack/v1.0.0/", gated=True),
    Offer(ARCHIVED, "2.0.1", f"local-prepack/v2.0.0/{ARCHIVED}.tar.gz"),
)


def _newer(artifact: str, region: str) -> dict[str, Any]:
    component = {
        "default_inference_instance_type": "ml.g5.xlarge",
        "supported_inference_instance_types": ["ml.g5.xlarge", "ml.g5.2xlarge", "ml.g5.12xlarge", "ml.g6.xlarge"],
        "hosting_ecr_specs": {"framework": "djl-lmi", "framework_version": "0.34.0", "py_version": "py310"},
        "hosting_artifact_key": artifact.replace("-prepack", ""),
        "hosting_artifact_s3_data_type": "S3Prefix",
        "hosting_artifact_compression_type": "None",
        "hosting_prepacked_artifact_key": artifact,
        "hosting_use_script_uri": False,
        "hosting_instance_type_variants": {
            "regional_aliases": {each: {"gpu_ecr_uri_1": _LMI.format(region=each)} for each in {*_REGIONS, region}},
            "variants": {
                "g5": {"regional_properties": {"image_uri": "$gpu_ecr_uri_1"}},
                "g6": {"regional_properties": {"image_uri": "$gpu_ecr_uri_1"}},
                "ml.g5.12xlarge": {"properties": {"environment_variables": {"OPTION_TENSOR_PARALLEL_DEGREE": "4"}}},
            },
        },
        "inference_environment_variables": [
            _variable("HF_MODEL_ID", "/opt/ml/model"),
            _variable("OPTION_TENSOR_PARALLEL_DEGREE", "1"),
            _variable("SAGEMAKER_MODEL_SERVER_WORKERS", 1, kind="int"),
            _variable("SAGEMAKER_CONTAINER_LOG_LEVEL", "20", required=False),
        ],
        "inference_enable_network_isolation": True,
        "inference_vulnerable": False,
        "deploy_kwargs": {"model_data_download_timeout": 1200, "container_startup_health_check_timeout": 1200},
        "model_kwargs": {},
        "predictor_specs": _JSON,
        "default_payloads": {
            "hello": {
                "content_type": "application/json",
                "prompt_key": "inputs",
                "output_keys": {"generated_text": "generated_text"},
                "body": {"inputs": "A small model says", "parameters": {"max_new_tokens": 16}},
            }
        },
    }
    return {
        "default_inference_instance_type": "ml.g5.xlarge",
        "hosting_use_script_uri": False,
        "hosting_prepacked_artifact_key": artifact,
        "inference_configs": {"lmi": {"component_names": ["lmi"]}},
        "inference_config_components": {"lmi": component},
        "inference_config_rankings": {"overall": {"description": "default", "rankings": ["lmi"]}},
    }


def _older(artifact: str, region: str) -> dict[str, Any]:
    aliases = {
        each: {
            "cpu_ecr_uri_1": _TRANSFORMERS.format(region=each, tag="cpu-py310-ubuntu22.04"),
            "gpu_ecr_uri_1": _TRANSFORMERS.format(region=each, tag="gpu-py310-cu118-ubuntu20.04"),
        }
        for each in {*_REGIONS, region}
    }
    return {
        "default_inference_instance_type": "ml.m5.xlarge",
        "supported_inference_instance_types": ["ml.m5.xlarge", "ml.c5.2xlarge", "ml.g5.xlarge"],
        "hosting_ecr_specs": {
            "framework": "huggingface",
            "framework_version": "2.1.0",
            "py_version": "py310",
            "huggingface_transformers_version": "4.37.0",
        },
        "hosting_prepacked_artifact_key": artifact,
        "hosting_use_script_uri": False,
        "hosting_instance_type_variants": {
            "regional_aliases": aliases,
            "variants": {
                "m5": {"regional_properties": {"image_uri": "$cpu_ecr_uri_1"}},
                "c5": {"regional_properties": {"image_uri": "$cpu_ecr_uri_1"}},
                "g5": {"regional_properties": {"image_uri": "$gpu_ecr_uri_1"}},
            },
        },
        "inference_environment_variables": [_variable("HF_TASK", "feature-extraction")],
        "inference_enable_network_isolation": True,
        "inference_vulnerable": False,
        "predictor_specs": _JSON,
        "default_payloads": {"one": {"content_type": "application/json", "body": {"inputs": "one sentence"}}},
    }


_JSON = {
    "default_content_type": "application/json",
    "supported_content_types": ["application/json"],
    "default_accept_type": "application/json",
    "supported_accept_types": ["application/json"],
}


def _variable(name: str, default: object, *, kind: str = "text", required: bool = True) -> dict[str, Any]:
    return {
        "name": name,
        "type": kind,
        "default": default,
        "scope": "container",
        "required_for_model_class": required,
    }
