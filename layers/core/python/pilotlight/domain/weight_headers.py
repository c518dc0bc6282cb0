"""Do the headers of the weights agree with one another, and with the index that names them?"""

from collections.abc import Mapping
from math import prod

from pilotlight.domain.artifact import ModelFacts
from pilotlight.domain.checkpoint_config import WeightIndex
from pilotlight.domain.checkpoint_files import INDEX
from pilotlight.domain.problems import Problem, some_of
from pilotlight.domain.safetensors import Tensor
from pilotlight.domain.weights import SAVE_AGAIN, SUPPORTED

MOST_SHARDS = 1000  # the largest models in use have two hundred

Headers = Mapping[str, Mapping[str, Tensor]]
"""The tensors of each file of weights."""


def unsound(path: str, why: str) -> Problem:
    """Return the problem of a file that is not sound safetensors."""
    return Problem(
        subject="weights",
        found=f"{path} is not sound safetensors: {why}",
        supported="files whose header accounts for every byte exactly once",
        advice=SAVE_AGAIN,
    )


def disagreements(index: WeightIndex | None, headers: Headers) -> tuple[Problem, ...]:
    """Return what the headers contradict: one another by a tensor that two hold, the index by one that none holds."""
    found = [*_held_twice(headers), *_named_and_not_held(index, headers)]
    return tuple(Problem(subject="weights", found=each, supported=SUPPORTED, advice=SAVE_AGAIN) for each in found)


def with_parameters(facts: ModelFacts, headers: Headers) -> ModelFacts:
    """Return the facts with the number of parameters that the shapes come to; of quantised weights they tell none."""
    if facts.quantisation is not None:
        return facts
    shapes = (tensor.shape for header in headers.values() for tensor in header.values())
    return facts.changed(parameter_count=sum(map(prod, shapes)))


def _held_twice(headers: Headers) -> list[str]:
    holders: dict[str, str] = {}
    twice: list[str] = []
    for path, tensors in headers.items():
        twice += [name for name in tensors if name in holders]
        holders |= dict.fromkeys(tensors, path)
    return [f"{len(twice)} tensors lie in two shards: {some_of(twice)}"] if twice else []


def _named_and_not_held(index: WeightIndex | None, headers: Headers) -> list[str]:
    if index is None:
        return [] if any(headers.values()) else ["no tensor at all"]
    missing = [name for name, path in index.weight_map.items() if name not in headers.get(path, {})]
    if not missing:
        return []
    return [f"{INDEX} names {len(missing)} tensors that its shards do not hold: {some_of(missing)}"]
