"""What Bedrock's custom model import takes: data with its source and the day it was looked up.

Source: Amazon Bedrock user guide, "Use Custom model import to import a customized open-source model into Amazon
Bedrock" (regions, architectures, sizes, tokenizers, files, GPT-OSS) and "Quotas for Amazon Bedrock" in the AWS
General Reference; looked up 2026-11-20. What the pages leave open is said beside the value.
"""

from math import ceil

from pilotlight.domain.values import Model

LOOKED_UP = "2026-11-20"

REGIONS = ("us-east-1", "us-east-2", "us-west-2", "eu-central-1")

MB = 10**6
GB = 10**9
LARGEST_TEXT_BYTES = 200 * GB  # less than this
LARGEST_MULTIMODAL_BYTES = 100 * GB  # less than this
LONGEST_CONTEXT_TOKENS = (
    131_072  # "less than 128K" by the page, yet AWS's own example imports a model with exactly this
)

DTYPES = ("float16", "bfloat16", "float32")
REQUIRED_FILES = ("config.json", "tokenizer_config.json", "tokenizer.json")
TRANSFORMERS = "4.51.3"

# Each is taken with and without "Fast" at its end.
TOKENIZERS = (
    "T5Tokenizer",
    "LlamaTokenizer",
    "CodeLlamaTokenizer",
    "GPT2Tokenizer",
    "GPTNeoXTokenizer",
    "PreTrainedTokenizer",
    "Qwen2Tokenizer",
)

MODEL_QUOTA_CODE = "L-45B04988"  # imported models per account and region: 3 by default, adjustable

# Parameters, and custom model units of a copy: Llama 3.1 8B and 70B with 128K. Source: Amazon Bedrock user guide,
# "Calculate the cost of running a custom model"
KNOWN_UNITS = ((8_030_261_248, 2), (70_553_706_496, 8))

GPT_OSS_EOS_IDS = frozenset({200002, 199999, 200012})


class Family(Model):
    """A family of models: matched by config.json's `model_type`, and by the class in `architectures`."""

    name: str
    model_type: str
    architecture: str
    multimodal: bool = False
    regions: tuple[str, ...] = REGIONS
    quantisations: tuple[str, ...] = ()
    eos_ids: frozenset[int] = frozenset()

    @property
    def largest_bytes(self) -> int:
        """The weights must be smaller than this."""
        return LARGEST_MULTIMODAL_BYTES if self.multimodal else LARGEST_TEXT_BYTES


FAMILIES = (
    Family(name="Llama", model_type="llama", architecture="LlamaForCausalLM"),
    Family(
        name="Llama 3.2 Vision", model_type="mllama", architecture="MllamaForConditionalGeneration", multimodal=True
    ),
    Family(name="Mistral", model_type="mistral", architecture="MistralForCausalLM"),
    Family(name="Mixtral", model_type="mixtral", architecture="MixtralForCausalLM"),
    Family(name="Flan-T5", model_type="t5", architecture="T5ForConditionalGeneration"),
    Family(name="GPTBigCode", model_type="gpt_bigcode", architecture="GPTBigCodeForCausalLM"),
    Family(name="Qwen2 and Qwen2.5", model_type="qwen2", architecture="Qwen2ForCausalLM"),
    Family(name="Qwen2-VL", model_type="qwen2_vl", architecture="Qwen2VLForConditionalGeneration", multimodal=True),
    Family(
        name="Qwen2.5-VL", model_type="qwen2_5_vl", architecture="Qwen2_5_VLForConditionalGeneration", multimodal=True
    ),
    Family(name="Qwen3", model_type="qwen3", architecture="Qwen3ForCausalLM"),
    Family(name="Qwen3 MoE", model_type="qwen3_moe", architecture="Qwen3MoeForCausalLM"),
    Family(
        name="GPT-OSS",
        model_type="gpt_oss",
        architecture="GptOssForCausalLM",
        regions=("us-east-1",),
        quantisations=("mxfp4",),
        eos_ids=GPT_OSS_EOS_IDS,
    ),
)


def family_of(model_type: str) -> Family | None:
    """Return the family that a `model_type` names, or None."""
    return next((family for family in FAMILIES if family.model_type == model_type), None)


def takes_tokenizer(tokenizer_class: str) -> bool:
    """Say whether a tokenizer class is one that Bedrock has."""
    return tokenizer_class.removesuffix("Fast") in TOKENIZERS


def units_of(parameter_count: int) -> int:
    """Return how many custom model units a copy of a model may have, before its import tells.

    Two are known, and a line is drawn through them; nothing smaller than the smaller one is taken to have fewer.
    """
    (small, least), (large, most) = KNOWN_UNITS
    return least + max(ceil((parameter_count - small) * (most - least) / (large - small)), 0)
