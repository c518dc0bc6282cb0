"""One table says with which code a command ends: the command's, its help's and the page's are the same."""

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


@pytest.mark.parametrize(
    "arguments",
    [
        ("bogus",),
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
def test_whatever_is_wrong_with_what_was_typed_ends_with_2_in_plain_words(command, api, arguments):
    api.has("demo")

    told = " ".join(command(*arguments, code=2).stderr.split())

    assert told
    assert not [word for word in ("Value error", "Input should", "unable to parse", "Traceback") if word in told]


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
