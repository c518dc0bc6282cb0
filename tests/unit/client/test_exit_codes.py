"""One table says with which code a command ends: the command's, its help's and the page's are the same."""

import json
import re
from pathlib import Path

import httpx
import pytest
from pilotlight_client.commands.session import EXIT_CODES
from pilotlight_client.errors import PilotlightError

ROOT = Path(__file__).resolve().parents[3]
ROW = re.compile(r"^\| (\d+) \| (.+) \|$", re.MULTILINE)


def test_the_page_tells_the_same_codes():
    page = (ROOT / "docs/command.md").read_text(encoding="utf-8")

    assert {int(code): meaning for code, meaning in ROW.findall(page)} == EXIT_CODES


def test_the_page_tells_every_code_that_the_command_itself_gives():
    page = (ROOT / "docs/command.md").read_text(encoding="utf-8")

    def codes(error: type[PilotlightError]) -> set[str]:
        return {error.code}.union(*(codes(leaf) for leaf in error.__subclasses__()))

    assert set(re.findall(r"^\| `([a-z-]+)` \|", page, re.M)) == codes(PilotlightError) - {"error"} | {"interrupted"}


def test_the_help_tells_the_same_codes(command):
    shown = " ".join(command("--help").stdout.split())

    for code, meaning in EXIT_CODES.items():
        assert f"{code} {meaning}" in shown


WRONG = pytest.mark.parametrize(
    "arguments",
    [
        ("bogus",),
        ("--bogus", "list"),
        ("deploy", "hf://org/model"),
        ("deploy", "hf://org/model", "--name", "Demo"),
        ("deploy", "hf://org/model", "--name", "demo", "--tag", "x"),
        ("deploy", "hf://org/model", "--name", "demo", "--spend-ceiling-usd", "0"),
        ("keep-warm", "demo", "sometimes"),
        ("kill-switch", "maybe"),
        ("spend-ceiling", "demo", "0"),
        ("spend-ceiling", "demo", "much"),
        ("invoke", "demo"),
        ("teardown", "demo"),
        ("upload", "no-such-folder", "--name", "demo"),
        ("upload", ".", "--name", "Demo"),
        ("list", "--url", "ftp://x"),
        ("list", "--url", "nonsense"),
    ],
    ids=" ".join,
)


@WRONG
def test_whatever_is_wrong_with_what_was_typed_ends_with_2_in_plain_words(command, api, arguments):
    api.has("demo")

    told = " ".join(command(*arguments, code=2).stderr.split())

    assert told
    assert not [word for word in ("Value error", "Input should", "unable to parse", "Traceback") if word in told]


@WRONG
def test_with_json_whatever_is_wrong_with_what_was_typed_is_one_document_with_that_code(command, api, arguments):
    api.has("demo")

    result = command(*arguments, "--json", code=2)

    problem = json.loads(result.stderr)
    assert {"type", "title", "detail", "code"} <= set(problem)
    assert problem["code"] in {"wrong-input", "not-configured", "invalid-input"}
    assert problem["detail"]
    assert result.stdout == ""


def test_the_document_of_wrong_usage_says_what_is_wrong(command):
    assert command.problem("deploy", code=2)["detail"].lower() == "missing argument 'source'."
    assert "no-such-folder" in command.problem("upload", "no-such-folder", "--name", "x", code=2)["detail"]
    assert "Value error" not in command.problem("spend-ceiling", "demo", "much", code=2)["detail"]


def test_what_comes_after_two_hyphens_asks_for_no_document(command):
    assert "Usage:" in command("deploy", "--", "hf://org/model", "--json", code=2).stderr


def test_what_the_api_refuses_for_what_it_is_ends_with_1(command, api, a_problem):
    api.has("demo")

    command("status", "nobody", code=1)
    command("deploy", "hf://org/model", "--name", "demo", code=1)
    command("retry", "demo", code=1)
    api.failures = [a_problem(409, "spend-ceiling-reached", "Nothing more is spent.")]
    command("warm-up", "demo", code=1)


def test_nobody_there_ends_with_4(command, api):
    api.failures = [httpx.ConnectError("refused")] * 9

    command("list", code=4)
