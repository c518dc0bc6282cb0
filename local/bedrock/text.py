"""Made-up text: labelled as simulated, the same for the same prompt and seed, and counted in tokens."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass
from enum import Enum, auto

LABEL = "[simulated]"

# About four characters a token, and a mark such as </think> is one; put together again they are the text.
_TOKEN = re.compile(r"</?think>|<[｜|][^>\s]*>|\s*\w{1,6}|\s*[^\w\s]|\s+")
_ROLE_MARK = re.compile(r"<[｜|][^>]*[｜|]>|</?think>|<[｜|]?\w+[｜|]?>")

_SENTENCES = (
    "No model was loaded to write this.",
    "The words only take as long and count as much as real ones would.",
    "A prompt went in, and its number of tokens was counted.",
    "Ask again with the same seed and the same text comes back.",
    "Another seed puts these sentences in another order.",
    "What you see is the way that an answer takes, not an answer.",
    "The first call after a cold start waited for a copy to load.",
    "After some idle minutes the copy is gone again.",
)


class Reasoning(Enum):
    """Whether a text begins with reasoning, and who opened it."""

    NONE = auto()
    OPENED = auto()  # the prompt ends with <think>: the text goes on from there
    OWN = auto()  # the prompt only names the assistant: the text opens it itself


@dataclass(frozen=True)
class Generation:
    """A generated text; `complete` is false where the limit of tokens cut it."""

    text: str
    prompt_tokens: int
    tokens: int
    complete: bool


def tokens(text: str) -> list[str]:
    """Give the tokens of a text."""
    return _TOKEN.findall(text)


def reasoning_after(prompt: str) -> Reasoning:
    """Say from a rendered prompt, as DeepSeek-R1's template makes it, how the text must begin."""
    if prompt.rstrip("\n").endswith("<think>"):
        return Reasoning.OPENED
    return Reasoning.OWN if prompt.endswith("<｜Assistant｜>") else Reasoning.NONE


@dataclass(frozen=True)
class Order:
    """What is to be written, and where to stop."""

    prompt: str
    most_tokens: int
    stop: tuple[str, ...]
    seed: int
    reasoning: Reasoning
    usual_tokens: int


def generate(order: Order) -> Generation:
    """Write a text."""
    pieces = tokens(_compose(order))
    text = "".join(pieces[: order.most_tokens])
    complete = len(pieces) <= order.most_tokens
    found = [position for mark in order.stop if mark and (position := text.find(mark)) >= 0]
    if found:
        text, complete = text[: min(found)], True
    return Generation(text, len(tokens(order.prompt)), len(tokens(text)), complete)


def _compose(order: Order) -> str:
    question = _question(order.prompt)
    answer = _answer(question, order)
    if order.reasoning is Reasoning.NONE:
        return answer
    opening = "<think>\n" if order.reasoning is Reasoning.OWN else ""
    thought = f"{LABEL} Somebody asks about “{question}”. I have nothing to think with, so I say so."
    return f"{opening}{thought}\n</think>\n\n{answer}"


def _answer(question: str, order: Order) -> str:
    chance = random.Random(f"{order.seed}/{order.prompt}")  # the same answer each time # nosec B311
    wanted = chance.randint(order.usual_tokens * 3 // 4, order.usual_tokens * 5 // 4)
    text = f"{LABEL} You asked about “{question}”."
    while len(tokens(text)) < wanted:
        text += " " + chance.choice(_SENTENCES)
    return text


def _question(prompt: str) -> str:
    """Give the last words that a person wrote, shortened."""
    lines = [line.strip() for line in _ROLE_MARK.split(prompt) if line and line.strip()]
    words = (lines[-1] if lines else "nothing").split()
    return " ".join(words[:12]) + (" …" if len(words) > 12 else "")
