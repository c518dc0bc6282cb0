"""A small, valid byte-level BPE tokenizer with DeepSeek-R1's special tokens and form of prompt."""

from __future__ import annotations

from typing import Any

BEGIN = "<｜begin▁of▁sentence｜>"
END = "<｜end▁of▁sentence｜>"
PADDING = "<｜▁pad▁｜>"
USER = "<｜User｜>"
ASSISTANT = "<｜Assistant｜>"
SPECIAL_TOKENS = (BEGIN, END, PADDING, USER, ASSISTANT, "<think>", "</think>")

# Words from which the merges are made; Ġ stands for a leading space in byte-level BPE.
_WORDS = ("Ġthe", "Ġand", "Ġmodel", "Ġanswer", "ing", "tion", "Ġto", "Ġof", "Ġis", "Ġprompt", "Ġin", "ent")

# Written from the format's description: the system text first, then the turns; a former answer goes back
# without its reasoning; and an answer is asked for with the reasoning already opened.
CHAT_TEMPLATE = (
    "{%- set add_generation_prompt = add_generation_prompt | default(false) -%}"
    "{%- set told = namespace(system='') -%}"
    "{%- for message in messages if message.role == 'system' -%}"
    "{%- set told.system = told.system ~ ('\\n\\n' if told.system else '') ~ message.content -%}"
    "{%- endfor -%}"
    "{{- bos_token ~ told.system -}}"
    "{%- for message in messages -%}"
    "{%- if message.role == 'user' -%}{{- '<｜User｜>' ~ message.content -}}"
    "{%- elif message.role == 'assistant' -%}"
    "{{- '<｜Assistant｜>' ~ message.content.split('</think>')[-1].lstrip('\\n') ~ eos_token -}}"
    "{%- endif -%}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- '<｜Assistant｜><think>\\n' -}}{%- endif -%}"
)


def tokenizer_json() -> dict[str, Any]:
    """Give the content of tokenizer.json: every byte is a token, so any text can be encoded and decoded."""
    vocabulary, merges = _vocabulary()
    added = [_added_token(len(vocabulary) + index, token) for index, token in enumerate(SPECIAL_TOKENS)]
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added,
        "normalizer": None,
        "pre_tokenizer": byte_level,
        "post_processor": byte_level,
        "decoder": byte_level,
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": vocabulary,
            "merges": merges,
        },
    }


def vocabulary_size() -> int:
    """Give the number of tokens, special ones included, rounded up as trainers do."""
    used = len(_vocabulary()[0]) + len(SPECIAL_TOKENS)
    return -(-used // 64) * 64


def token_id(token: str) -> int:
    """Give the id of a special token."""
    return len(_vocabulary()[0]) + SPECIAL_TOKENS.index(token)


def tokenizer_config(*, chat_template: str | None, tokenizer_class: str) -> dict[str, Any]:
    """Give the content of tokenizer_config.json, in the form in which DeepSeek's distilled models have it."""
    config: dict[str, Any] = {
        "add_bos_token": True,
        "add_eos_token": False,
        "bos_token": _marked(BEGIN),
        "clean_up_tokenization_spaces": False,
        "eos_token": _marked(END),
        "legacy": True,
        "model_max_length": 16384,
        "pad_token": _marked(END),
        "sp_model_kwargs": {},
        "unk_token": None,
        "tokenizer_class": tokenizer_class,
    }
    if chat_template is not None:
        config["chat_template"] = chat_template
    return config


def _marked(token: str) -> dict[str, Any]:
    flags = {"lstrip": False, "normalized": True, "rstrip": False, "single_word": False}
    return {"__type": "AddedToken", "content": token, **flags}


def _added_token(number: int, token: str) -> dict[str, Any]:
    # The think marks are text that a caller wants to see, so decoding must not drop them as special.
    special = token not in ("<think>", "</think>")
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": special}
    return {"id": number, "content": token, **flags}


def _vocabulary() -> tuple[dict[str, int], list[str]]:
    tokens = _byte_alphabet()
    merges: list[str] = []
    for word in _WORDS:
        head = word[0]
        for letter in word[1:]:
            if head + letter not in tokens:
                merges.append(f"{head} {letter}")
                tokens.append(head + letter)
            head += letter
    return {token: number for number, token in enumerate(tokens)}, merges


def _byte_alphabet() -> list[str]:
    """Give a printable character for each byte, as byte-level BPE does: itself, or one from U+0100 on."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    rest = [byte for byte in range(256) if byte not in printable]
    return [chr(byte) for byte in printable] + [chr(256 + index) for index in range(len(rest))]
