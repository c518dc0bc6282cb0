"""The examples of docs/api.md are answers that the API can give, and together they show every field."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.documented import document, operation_of, validator
from tools.cloudformation import ROOT

PAGE = (ROOT / "docs/api.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"```http\n(?P<text>.*?)```", re.DOTALL)
REQUEST = re.compile(r"(?P<method>GET|POST|PUT|PATCH|DELETE) (?P<path>/\S*)")
CUT = "required"  # long answers are cut on the page: what is shown has to be right, and need not be all


def examples() -> Iterator[tuple[str, str, int, Any]]:
    """Yield method, path, status and body of every answer that the page shows, by the request before it."""
    asked: re.Match[str] | None = None
    for block in BLOCK.finditer(PAGE):
        text = block["text"]
        if found := REQUEST.match(text):
            asked = found
            continue
        assert asked, text
        body = text[text.index("{") :] if "{" in text else "null"
        yield asked["method"], asked["path"], int(text.split()[0]), json.loads(body)


ANSWERS = list(examples())


def test_the_page_has_its_examples() -> None:
    assert len(ANSWERS) >= 20
    assert {status for _, _, status, _ in ANSWERS} >= {200, 202, 304, 409, 422}


@pytest.mark.parametrize(("method", "path", "status", "body"), ANSWERS, ids=lambda told: str(told)[:40])
def test_an_answer_has_no_field_and_no_value_that_the_api_cannot_give(
    method: str, path: str, status: int, body: Any
) -> None:
    operation = operation_of(method, path)
    assert operation, f"{method} {path}"
    content = operation["responses"][str(status)].get("content", {})
    if not content:
        assert body is None
        return
    (schema,) = [told["schema"] for kind, told in content.items() if "json" in kind][:1]

    wrong = [
        f"{error.json_path}: {error.message[:200]}"
        for error in validator(json.dumps(schema, sort_keys=True)).iter_errors(body)
        if error.validator != CUT
    ]

    assert wrong == []


def test_every_field_that_an_answer_may_have_is_on_the_page() -> None:
    views = [name for name in document()["components"]["schemas"] if name.endswith(("View", "List"))]
    fields = {
        f"{name}.{field}" for name in views for field in document()["components"]["schemas"][name].get("properties", ())
    }

    missing = sorted(each for each in fields if not re.search(rf'["`.]{each.partition(".")[2]}["`]', PAGE))

    assert fields
    assert missing == []


@pytest.mark.parametrize("view", ["HealthView", "KillSwitchView", "UploadList", "OrphanList"])
def test_a_short_answer_is_shown_whole(view: str) -> None:
    schema = document()["components"]["schemas"][view]
    shown = [body for _, _, status, body in ANSWERS if status == 200 and set(body) <= set(schema["properties"])]

    assert any(set(schema["properties"]) - {"next"} == set(body) for body in shown), shown
