"""What a SageMaker endpoint of LMI's takes: regions, tasks and files, as data with its source.

Source: DJL Serving's code and documentation at 0.36: the user guides of vLLM and of Hugging Face Accelerate (which
architecture is which task), "Model Artifacts for LMI" (files), its choice of a batching by architecture
(LmiConfigRecommender). Looked up 2026-11-28.
"""

from pilotlight.domain.lmi_images import REGIONS as LMI_REGIONS
from pilotlight.domain.serving import Quantize, Task

LOOKED_UP = "2026-11-28"
REGIONS = LMI_REGIONS

DEFAULT_CONTEXT_TOKENS = 8192
DEFAULT_CONCURRENCY = 2
"""What is reserved where nobody says how long texts are and how many are answered at once."""

REQUIRED_FILE = "config.json"
TOKENIZER_FILES = (
    frozenset({"tokenizer.json"}),
    frozenset({"tokenizer.model"}),
    frozenset({"spiece.model"}),
    frozenset({"vocab.json", "merges.txt"}),
)
"""Any of these makes a tokenizer."""

ON_LOADING = frozenset({Quantize.FP8, Quantize.BITSANDBYTES})
"""What vLLM quantises while it loads; everything else has to be done before."""

_ENCODER_DECODERS = frozenset(
    {"bart", "bigbird_pegasus", "blenderbot", "blenderbot-small", "led", "longt5", "m2m_100", "mbart", "mt5"}
    | {"pegasus", "pegasus_x", "plbart", "prophetnet", "switch_transformers", "t5", "umt5"}
)
_TASKS = (
    ("ForSequenceClassification", Task.TEXT_CLASSIFICATION),
    ("ForTokenClassification", Task.TOKEN_CLASSIFICATION),
    ("ForQuestionAnswering", Task.QUESTION_ANSWERING),
    ("ForMaskedLM", Task.FILL_MASK),
    ("MTModel", Task.TEXT2TEXT_GENERATION),
    ("ForCausalLM", Task.TEXT_GENERATION),
    ("LMHeadModel", Task.TEXT_GENERATION),
    ("EncoderModel", Task.FEATURE_EXTRACTION),
    ("Model", Task.FEATURE_EXTRACTION),
)


def task_of(model_type: str, architecture: str) -> Task | None:
    """Return what a class of transformers is for, or None for one of which nothing is known."""
    if architecture.endswith("ForConditionalGeneration"):
        return Task.TEXT2TEXT_GENERATION if model_type in _ENCODER_DECODERS else Task.TEXT_GENERATION
    return next((task for suffix, task in _TASKS if architecture.endswith(suffix)), None)


def is_encoder_decoder(model_type: str) -> bool:
    """Say whether a family encodes what it reads before it writes: vLLM has none of these any more."""
    return model_type in _ENCODER_DECODERS


TASKS = tuple(dict.fromkeys(task for _, task in _TASKS))
"""The tasks that a class of transformers tells by its name."""
