"""Every way of saying no reaches whoever has to know it, with its code and its words."""

import json

import pytest
from pilotlight.contracts import TaskError
from pilotlight.domain import errors
from pilotlight.domain.errors import PilotlightError, Retryable, Terminal


def leaves(root: type[PilotlightError]) -> list[type[PilotlightError]]:
    below = [each for kind in root.__subclasses__() for each in leaves(kind) if each.__module__ == errors.__name__]
    return [root, *below]


ALL = leaves(PilotlightError)[1:]


def as_step_functions_tells_it(error: PilotlightError) -> TaskError:
    cause = {"errorType": "Terminal", "errorMessage": error.to_message(), "stackTrace": ["File x, line 1"]}
    return TaskError.model_validate({"Error": "Terminal", "Cause": json.dumps(cause)})


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_an_error_is_either_worth_another_try_or_not(kind):
    assert issubclass(kind, Retryable) != issubclass(kind, Terminal)


def test_every_error_has_a_code_of_its_own_and_a_place_in_the_drawing():
    assert len({kind.code for kind in ALL}) == len(ALL)
    assert all(kind.__name__ in (errors.__doc__ or "") for kind in ALL)


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_an_error_crosses_a_state_machine_with_its_code_and_its_words(kind):
    told = as_step_functions_tells_it(kind('it said "no" – twice', holders=["one"], at=object))

    assert (told.code, told.readable) == (kind.code, 'it said "no" – twice')


@pytest.mark.parametrize(
    ("error", "code", "readable"),
    [
        ({"Error": "States.Timeout", "Cause": ""}, "States.Timeout", "States.Timeout"),
        ({"Error": "States.Timeout"}, "States.Timeout", "States.Timeout"),
        ({"Error": "Lambda.Unknown", "Cause": "the process died"}, "Lambda.Unknown", "the process died"),
        ({"Error": "KeyError", "Cause": '{"errorMessage": "\'x\'", "stackTrace": ["secret"]}'}, "KeyError", "'x'"),
        ({"Error": "Odd", "Cause": "[1, 2]"}, "Odd", "[1, 2]"),
    ],
)
def test_an_error_that_is_not_ours_is_told_as_well_as_it_can_be(error, code, readable):
    told = TaskError.model_validate(error)

    assert (told.code, told.readable) == (code, readable)
