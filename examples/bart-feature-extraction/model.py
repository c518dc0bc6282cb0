"""Sentence vectors of a BART encoder: a handler for DJL Serving's Python engine.

A request is `{"inputs": "a text"}`, and its answer a vector; or `{"inputs": ["a text", "another"]}`, and its answer a
list of vectors in the same order. A text's vector is the mean of the encoder's last hidden states, without those of the
padding. Requests that the server gathered (`batch_size`) go through the model together and are answered one by one.
"""

import json
import logging
from typing import Any

from djl_python import Input, Output

LARGEST_PASS = 16  # texts that go through the model at once
LONGEST_TEXT_TOKENS = 1024  # BART's max_position_embeddings; what is longer is cut
MOST_TEXTS = 512  # of one request

_features: "Features | None" = None


class UnreadableRequestError(ValueError):
    """A request that is no text; it says what is."""


class Features:
    """A tokenizer and an encoder, and the vectors that they make."""

    def __init__(self, tokenizer: Any, encoder: Any, device: str) -> None:
        self._tokenizer = tokenizer
        self._encoder = encoder
        self._device = device

    @classmethod
    def load(cls, properties: dict[str, str]) -> "Features":
        """Load what lies where option.model_id points to, or in the bundle's own folder without one."""
        # Imported here, so that what needs neither can be tested without them.
        import torch  # noqa: PLC0415
        from transformers import AutoModel, AutoTokenizer  # noqa: PLC0415

        place = properties.get("model_id") or properties["model_dir"]
        number = int(properties.get("device_id", -1))
        device = f"cuda:{max(number, 0)}" if torch.cuda.is_available() else "cpu"
        model = AutoModel.from_pretrained(place, dtype=_dtype_of(torch, properties, device)).to(device).eval()
        logging.info("loaded %s on %s", type(model).__name__, device)
        # Of a model of two halves only the encoder reads the text; one of one half is its own encoder.
        encoder = model.get_encoder() if model.config.is_encoder_decoder else model
        return cls(AutoTokenizer.from_pretrained(place), encoder, device)

    def of(self, texts: list[str]) -> list[list[float]]:
        """Return one vector for each text, in order."""
        vectors: dict[int, list[float]] = {}
        for places in passes([len(text) for text in texts]):
            found = self._together([texts[place] for place in places])
            vectors.update(zip(places, found, strict=True))
        return [vectors[place] for place in range(len(texts))]

    def _together(self, texts: list[str]) -> list[list[float]]:
        import torch  # noqa: PLC0415

        tokens = self._tokenizer(
            texts, padding=True, truncation=True, max_length=LONGEST_TEXT_TOKENS, return_tensors="pt"
        ).to(self._device)
        with torch.inference_mode():
            states = self._encoder(
                input_ids=tokens["input_ids"], attention_mask=tokens["attention_mask"]
            ).last_hidden_state
        return mean_of(states.float(), tokens["attention_mask"].float()).cpu().tolist()


def mean_of(states: Any, mask: Any) -> Any:
    """Return the mean state of each text: states are texts x tokens x width, the mask texts x tokens of 1 and 0."""
    kept = mask.unsqueeze(-1)
    return (states * kept).sum(1) / kept.sum(1).clamp(min=1)


def passes(lengths: list[int], most: int = LARGEST_PASS) -> list[list[int]]:
    """Return which texts go through the model together: neighbours in length, so that little is padded."""
    order = sorted(range(len(lengths)), key=lambda place: lengths[place])
    return [order[start : start + most] for start in range(0, len(order), most)]


def texts_of(body: bytes) -> str | list[str]:
    """Return the text, or the texts, that a request asks for.

    Raises: UnreadableRequestError.
    """
    try:
        told = json.loads(body)
    except (ValueError, RecursionError) as exc:
        raise UnreadableRequestError("the body is not JSON") from exc
    inputs = told.get("inputs") if isinstance(told, dict) else None
    if isinstance(inputs, str):
        return inputs
    if not isinstance(inputs, list) or not inputs or not all(isinstance(text, str) for text in inputs):
        raise UnreadableRequestError('write {"inputs": "a text"} or {"inputs": ["a text", "another"]}')
    if len(inputs) > MOST_TEXTS:
        raise UnreadableRequestError(f"{len(inputs)} texts are more than the {MOST_TEXTS} of one request")
    return inputs


def answers_of(bodies: list[bytes], features: Features) -> list[Any]:
    """Return the answer to each request: its vectors, or what is wrong with it. All texts go through together."""
    asked: list[str | list[str] | UnreadableRequestError] = []
    for body in bodies:
        try:
            asked.append(texts_of(body))
        except UnreadableRequestError as exc:
            asked.append(exc)
    vectors = iter(features.of([text for each in asked for text in _listed(each)]))
    answers: list[Any] = []
    for each in asked:
        found = [next(vectors) for _ in _listed(each)]
        if isinstance(each, UnreadableRequestError):
            answers.append({"code": 400, "error": str(each)})
        else:
            answers.append(found[0] if isinstance(each, str) else found)
    return answers


def _listed(asked: str | list[str] | UnreadableRequestError) -> list[str]:
    if isinstance(asked, UnreadableRequestError):
        return []
    return [asked] if isinstance(asked, str) else asked


def handle(inputs: Input) -> Output | None:
    """Answer a request, or those that the server gathered; the first call has no content and only loads the model."""
    global _features  # noqa: PLW0603 (the server calls a function, and keeps the process)
    if _features is None:
        _features = Features.load(inputs.get_properties())
    if inputs.is_empty():
        return None
    answers = answers_of([each.get_as_bytes() for each in inputs.get_batches()], _features)
    output = Output()
    output.add_property("Content-Type", "application/json")
    if not inputs.is_batch():
        if isinstance(answers[0], dict):
            output.set_code(400).set_message("unreadable request")
        return output.add_as_json(answers[0])
    # Gathered requests share one status: what is wrong with one of them is told in its own body alone.
    for place, answer in enumerate(answers):
        output.add_as_json(answer, key="data", batch_index=place)
    return output


def _dtype_of(torch: Any, properties: dict[str, str], device: str) -> Any:
    wanted = properties.get("dtype", "auto")
    if device == "cpu":
        return torch.float32  # half precision is slow there, where it exists at all
    return {"fp16": torch.float16, "bf16": torch.bfloat16, "fp32": torch.float32}.get(wanted, "auto")
