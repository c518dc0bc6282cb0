"""The example's handler answers as its README says, and its serving.properties is what its request becomes.

torch, transformers and djl_python are in the container and not here: the model is a stand-in, the tensors are lists.
"""

import importlib.util
import json
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest
from pilotlight.domain.containers import WEIGHTS_PATH, ContainerSettings, plan_container
from pilotlight.domain.serving import ServingSettings

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "bart-feature-extraction"


class FakeInput:
    """A request as DJL Serving's Python engine gives it: contents by key, those of a batch under `batch_000.`."""

    def __init__(self, *bodies: bytes) -> None:
        self.bodies = bodies

    def get_properties(self) -> dict[str, str]:
        return {"model_id": WEIGHTS_PATH}

    def is_empty(self) -> bool:
        return not self.bodies

    def is_batch(self) -> bool:
        return len(self.bodies) > 1

    def get_batches(self) -> list["FakeInput"]:
        return [FakeInput(body) for body in self.bodies] if self.is_batch() else [self]

    def get_as_bytes(self) -> bytes:
        return self.bodies[0]


class FakeOutput:
    """An answer as the engine takes it, by key."""

    def __init__(self) -> None:
        self.code = 200
        self.properties: dict[str, str] = {}
        self.content: dict[str, object] = {}

    def add_property(self, key: str, value: str) -> "FakeOutput":
        self.properties[key] = value
        return self

    def set_code(self, code: int) -> "FakeOutput":
        self.code = code
        return self

    def set_message(self, _: str) -> "FakeOutput":
        return self

    def add_as_json(self, value: object, key: str | None = None, batch_index: int | None = None) -> "FakeOutput":
        self.content[f"batch_{batch_index}.{key}" if batch_index is not None else "data"] = value
        return self


class Tensor:
    """The few operations of a tensor that a mean needs, on nested lists of at most three dimensions."""

    def __init__(self, values: list) -> None:
        self.values = values

    def unsqueeze(self, _: int) -> "Tensor":
        return Tensor([[[value] for value in row] for row in self.values])

    def __mul__(self, other: "Tensor") -> "Tensor":
        pairs = zip(self.values, other.values, strict=True)
        return Tensor(
            [[[value * factor for value in state] for state, (factor,) in zip(*text, strict=True)] for text in pairs]
        )

    def sum(self, _: int) -> "Tensor":
        return Tensor([[sum(column) for column in zip(*text, strict=True)] for text in self.values])

    def clamp(self, *, min: float) -> "Tensor":  # noqa: A002 (torch's own name)
        return Tensor([[max(value, min) for value in row] for row in self.values])

    def __truediv__(self, other: "Tensor") -> "Tensor":
        return Tensor([[value / by for value in row] for row, (by,) in zip(self.values, other.values, strict=True)])


class Lengths:
    """Features of a text: its length, and how many texts went through with it."""

    def __init__(self) -> None:
        self.calls: list[list[str]] = []

    def of(self, texts: list[str]) -> list[list[float]]:
        self.calls.append(texts)
        return [[float(len(text)), float(len(texts))] for text in texts]


@pytest.fixture
def handler(monkeypatch: pytest.MonkeyPatch):
    engine = ModuleType("djl_python")
    engine.Input, engine.Output = FakeInput, FakeOutput  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "djl_python", engine)
    spec = importlib.util.spec_from_file_location("example_handler", EXAMPLE / "model.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    features = Lengths()
    monkeypatch.setattr(module.Features, "load", lambda _: features)
    module.loaded = features
    return module


def body(inputs: object) -> bytes:
    return json.dumps({"inputs": inputs}).encode()


def test_the_first_call_loads_the_model_and_answers_nothing(handler):
    assert handler.handle(FakeInput()) is None
    assert handler._features is handler.loaded


def test_a_text_is_answered_with_its_vector_and_several_with_a_list_of_theirs(handler):
    one = handler.handle(FakeInput(body("four")))
    many = handler.handle(FakeInput(body(["a", "bcd"])))

    assert (one.code, one.content, one.properties) == (200, {"data": [4.0, 1.0]}, {"Content-Type": "application/json"})
    assert many.content == {"data": [[1.0, 2.0], [3.0, 2.0]]}


def test_requests_that_were_gathered_go_through_together_and_are_answered_one_by_one(handler):
    answered = handler.handle(FakeInput(body("a"), b"no json", body(["bb", "ccc"])))

    assert answered.content == {
        "batch_0.data": [1.0, 3.0],
        "batch_1.data": {"code": 400, "error": "the body is not JSON"},
        "batch_2.data": [[2.0, 3.0], [3.0, 3.0]],
    }
    assert handler.loaded.calls == [["a", "bb", "ccc"]]


@pytest.mark.parametrize(
    "asked",
    [b"", b"nonsense", b"\xff", b"[" * 100_000, b"[]", b"{}", body(3), body([]), body(["a", 3]), body(["a"] * 513)],
)
def test_a_request_that_is_no_text_is_refused_with_what_is_one(handler, asked):
    answered = handler.handle(FakeInput(asked))

    assert answered.code == 400
    assert answered.content["data"]["error"]


def test_the_mean_leaves_out_the_padding(handler):
    states = Tensor([[[1.0, 2.0], [3.0, 6.0], [100.0, 100.0]], [[5.0, 5.0], [0.0, 0.0], [0.0, 0.0]]])
    mask = Tensor([[1, 1, 0], [1, 0, 0]])

    assert handler.mean_of(states, mask).values == [[2.0, 4.0], [5.0, 5.0]]


def test_a_text_without_a_token_has_a_mean_all_the_same(handler):
    assert handler.mean_of(Tensor([[[7.0]]]), Tensor([[0]])).values == [[0.0]]


def test_texts_go_through_with_their_neighbours_in_length(handler):
    assert handler.passes([30, 1, 20, 2], most=2) == [[1, 3], [2, 0]]
    assert handler.passes([]) == []


def test_every_text_of_a_request_keeps_its_place(handler):
    features = handler.Features(None, None, "cpu")
    features._together = lambda texts: [[float(text)] for text in texts]
    texts = [str(number) for number in (5, 111, 22, 3, 4444) * 20]

    assert features.of(texts) == [[float(text)] for text in texts]


def test_the_properties_beside_the_example_are_what_its_request_becomes():
    told = re.search(r"```json\n(.*?)```", (EXAMPLE / "README.md").read_text(), re.DOTALL)
    assert told
    files = {name: (EXAMPLE / name).read_text() for name in ("model.py", "requirements.txt")}
    serving = ServingSettings.model_validate({**json.loads(told[1])["serving"], "files": files})

    planned = plan_container(
        serving,
        ContainerSettings(),
        region="us-west-2",
        weights=WEIGHTS_PATH,
        facts_options={},
        tensor_parallel_degree=1,
    )

    assert planned.files["serving.properties"] == (EXAMPLE / "serving.properties").read_text()
    assert planned.files.keys() == {"model.py", "requirements.txt", "serving.properties"}
