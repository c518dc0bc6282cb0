"""Which files make a checkpoint, and why every other one is left where it is."""

import re
from pathlib import PurePosixPath

from pilotlight.domain.source import Listing
from pilotlight.domain.upload import NOT_WEIGHTS

CONFIG = "config.json"
GENERATION_CONFIG = "generation_config.json"
TOKENIZER_CONFIG = "tokenizer_config.json"
PROCESSOR_CONFIG = "processor_config.json"
INDEX = "model.safetensors.index.json"
SINGLE = "model.safetensors"
TEMPLATE_TEXT = "chat_template.jinja"
TEMPLATE_JSON = "chat_template.json"
ADAPTER_CONFIG = "adapter_config.json"
QUANTIZE_CONFIG = "quantize_config.json"  # GPTQ's, where config.json does not tell
AWQ_CONFIG = "quant_config.json"  # AWQ's
QUANTIZE_FILES = frozenset({QUANTIZE_CONFIG, AWQ_CONFIG})

MIB = 1024 * 1024
READ_LIMITS = {
    CONFIG: MIB,
    GENERATION_CONFIG: MIB,
    TOKENIZER_CONFIG: 10 * MIB,
    PROCESSOR_CONFIG: MIB,
    INDEX: 20 * MIB,
    TEMPLATE_TEXT: MIB,
    TEMPLATE_JSON: MIB,
}
"""The files that a verdict is read from, and how large each may be."""

FORMAT_LIMITS = {QUANTIZE_CONFIG: MIB, AWQ_CONFIG: MIB}
"""Those that tell the format of the weights where config.json does not; one that is larger is no such file."""

TEMPLATE_FILES = frozenset({TEMPLATE_TEXT, TEMPLATE_JSON})
STAGED_NAMES = frozenset(
    {
        CONFIG,
        GENERATION_CONFIG,
        INDEX,
        TOKENIZER_CONFIG,
        "tokenizer.json",
        "tokenizer.model",
        "spiece.model",
        "special_tokens_map.json",
        "added_tokens.json",
        "vocab.json",
        "merges.txt",
        "preprocessor_config.json",  # the last two belong to multimodal models
        PROCESSOR_CONFIG,
    }
)

LONGEST_NAME = 900  # an S3 key has 1,024 bytes, and ours begins with the artifact's prefix
_SEGMENT = re.compile(r"[-!_*'().a-z0-9A-Z]+")  # Source: botocore, bedrock service model, s3Uri

SAFETENSORS = ".safetensors"
PICKLES = frozenset({".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".pyc", ".joblib"})
GGUF = frozenset({".gguf", ".ggml"})
_OTHER_WEIGHTS = GGUF | {".h5", ".msgpack", ".onnx", ".tflite", ".npy", ".npz", ".ot", ".mlmodel", ".nemo"}
_ARCHIVES = frozenset(
    {".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".zst", ".7z", ".rar", ".lz4", ".mar", ".whl", ".jar"}
)
_PROGRAMS = frozenset({".exe", ".dll", ".so", ".dylib", ".sh", ".bat", ".cmd", ".ps1", ".js", ".wasm", ".elf"})
_PICTURES = frozenset({".png", ".jpg", ".jpeg", ".gif", ".svg", ".webp", ".pdf", ".mp4"})


NEVER = "never staged"
"""How the reasons begin of files that somebody may believe to be part of the model."""


def to_read(listing: Listing) -> dict[str, int]:
    """Return the small files that a verdict needs, and how many bytes each may have."""
    present = ((name, limit, listing.file(name)) for name, limit in {**READ_LIMITS, **FORMAT_LIMITS}.items())
    return {name: limit for name, limit, file in present if file and file.size_bytes <= limit}


def name_problem(path: str) -> str | None:
    """Return why a file of that name cannot be staged, or None."""
    if len(path.encode("utf-8", "replace")) > LONGEST_NAME:
        return f"its name is longer than {LONGEST_NAME} bytes"
    segments = path.split("/")
    if any(segment in (".", "..") for segment in segments) or path.startswith("/") or "\\" in path:
        return "its name leaves its folder"
    if not all(_SEGMENT.fullmatch(segment) for segment in segments):
        return "its name has characters other than letters, digits and -!_*'().: Bedrock does not read those"
    return None


def is_adapter(path: str) -> bool:
    """Say whether a file belongs to a LoRA adapter."""
    return PurePosixPath(path).name.startswith("adapter_")


def why_skipped(path: str) -> str:
    """Return the reason why a file that is not part of the checkpoint is not staged."""
    suffix = PurePosixPath(path).suffix.lower()
    reasons = (
        (path in NOT_WEIGHTS, "Pilotlight's own"),
        (is_adapter(path), f"{NEVER}: a LoRA adapter, where only merged weights are imported"),
        (any(part.startswith(".") for part in path.split("/")), "a hidden file"),
        (suffix in PICKLES, f"{NEVER}: pickles run code when they are loaded"),
        (suffix == ".py", f"{NEVER}: code of the repository is not run"),
        (suffix in _PROGRAMS, f"{NEVER}: a program"),
        (suffix in _ARCHIVES, f"{NEVER}: an archive"),
        (suffix == SAFETENSORS, f"{NEVER}: not one of the model's weights, its index does not name it"),
        (suffix in _OTHER_WEIGHTS, f"{NEVER}: weights in another format"),
        (suffix in _PICTURES, "a picture"),
        (name_problem(path) is not None, name_problem(path) or ""),
    )
    return next((reason for holds, reason in reasons if holds), "not needed to serve the model")
