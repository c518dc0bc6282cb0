"""What is wrong with a request is told in words for whoever wrote it."""

import json

import pytest
from pilotlight.contracts import (
    DeploymentRequest,
    KillSwitchRequest,
    LeaseRequest,
    SpendCeilingRequest,
    UploadSettings,
)
from pilotlight.domain.broken_rules import FORMS, LONGEST_MESSAGE, broken_rules
from pilotlight.domain.folder_upload import AddressesRequest, JoinRequest, UploadRequest
from pilotlight.domain.invocation import InvocationRequest
from pydantic import BaseModel, ValidationError

REQUESTS = (
    DeploymentRequest,
    InvocationRequest,
    KillSwitchRequest,
    LeaseRequest,
    SpendCeilingRequest,
    UploadRequest,
    AddressesRequest,
    JoinRequest,
)
WRONG = (None, True, "", "\n", "ü", "x" * 200, -1, 0.5, 10**30, float("nan"), [], [1], {}, {"": 1}, {"ü": ["x"]})
JARGON = ("Value error", "Input should", "should have", "should match", "validat", "Extra inputs", "Field required")


def told(model: type[BaseModel], body: object) -> dict[str, str]:
    with pytest.raises(ValidationError) as caught:
        model.model_validate(body)
    return {each.field: each.message for each in broken_rules(caught.value)}


@pytest.mark.parametrize("model", [*REQUESTS, UploadSettings])
@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: json.dumps(wrong)[:20])
def test_no_message_speaks_of_types_and_validators(model: type[BaseModel], wrong: object):
    found: list[str] = []
    for body in (wrong, {"field": wrong}, *({name: wrong} for name in model.model_fields)):
        try:
            model.model_validate(body)
        except ValidationError as error:
            found += [each.message for each in broken_rules(error)]

    assert found
    assert not [message for message in found for word in JARGON if word in message]


def test_every_pattern_of_a_request_has_its_words():
    patterns = set().union(*(_patterns(model.__pydantic_core_schema__) for model in REQUESTS))

    assert patterns == set(FORMS)


def test_what_is_missing_and_what_is_too_much_is_named():
    assert told(DeploymentRequest, {"name": "my-model", "leese": "8h"}) == {
        "source": "is required",
        "leese": "is not known: leave it out, or look at how it is spelled",
    }


def test_a_name_is_told_its_form():
    words = told(DeploymentRequest, {"name": "My Model", "source": "hf://a/b"})

    assert words == {"name": 'write lower-case words joined by single hyphens, at most 32 characters: "my-model"'}


def test_bounds_are_told_as_numbers():
    words = told(InvocationRequest, {"prompt": "x", "parameters": {"max_tokens": 0, "temperature": 3, "stop": []}})

    assert words == {
        "parameters.max_tokens": "must be at least 1",
        "parameters.temperature": "must be at most 2",
        "parameters.stop": "must have at least 1 item",
    }


def test_a_message_with_a_wrong_role_is_not_told_to_be_missing_too():
    words = told(InvocationRequest, {"messages": [{"role": "robot", "content": "x"}]})

    assert words == {"messages.0.role": 'must be "system", "user", "assistant" or "tool"'}


def test_a_body_that_is_no_object_is_told_so():
    assert told(DeploymentRequest, ["x"]) == {"body": "must be an object, {…}"}


def test_what_a_rule_quotes_is_cut_short():
    (message,) = told(LeaseRequest, {"lease": "8" * 1_000_000}).values()

    assert len(message) == LONGEST_MESSAGE + 1


def test_a_reason_of_white_space_is_none():
    assert told(KillSwitchRequest, {"on": True, "reason": " \t\n"}) == {"reason": "say why, or leave it out"}
    assert KillSwitchRequest(on=True, reason=" a bill ").reason == "a bill"


def _patterns(schema: object) -> set[str]:
    """Return the patterns that pydantic itself holds text to: others only tell programs what is taken."""
    if isinstance(schema, dict):
        own = {schema["pattern"]} if schema.get("type") == "str" and "pattern" in schema else set()
        return own.union(*map(_patterns, schema.values()))
    return set().union(*map(_patterns, schema)) if isinstance(schema, list | tuple) else set()
