"""Each hub is given its own token, and no other hub's."""

import json
from datetime import UTC, datetime

import pytest
from pilotlight.adapters.secrets import FIRST_TOKEN, MODELSCOPE_TOKEN, HubToken


class Secrets:
    """Secrets Manager with one secret."""

    def __init__(self, text):
        self._text = text

    def get_secret_value(self, **_):
        return {"SecretString": self._text}


def token(text, name, local=None):
    return HubToken(
        local=local,
        secret_arn="arn:hub",  # pragma: allowlist secret (a name)
        client=lambda: Secrets(text),
        now=lambda: datetime(2026, 11, 29, tzinfo=UTC),
        name=name,
    )()


@pytest.mark.parametrize(
    ("text", "first", "modelscope"),
    [
        (json.dumps({"token": "one", "modelscope_token": "two"}), "one", "two"),
        (json.dumps({"token": "one"}), "one", None),
        (json.dumps({"modelscope_token": "two"}), None, "two"),
        ("one", "one", None),
        ("{}", None, None),
        ("[]", None, None),
    ],
)
def test_a_token_is_what_lies_under_its_name_and_a_bare_one_is_the_first_hubs(text, first, modelscope):
    assert (token(text, FIRST_TOKEN), token(text, MODELSCOPE_TOKEN)) == (first, modelscope)


def test_a_token_of_the_environment_comes_first():
    assert token(json.dumps({"modelscope_token": "two"}), MODELSCOPE_TOKEN, local="three") == "three"
