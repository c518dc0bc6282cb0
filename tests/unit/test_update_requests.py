"""PATCH names what shall change: everything else of the deployment stays as it is."""

import pytest
from pilotlight.contracts import UpdateRequest
from pilotlight.domain.errors import InvalidInput
from pilotlight.domain.hosting import Hosting

BEFORE = Hosting.model_validate(
    {
        "instance": {"type": "ml.g5.xlarge"},
        "scaling": {"min": 1, "max": 2, "backlog_per_instance": 3},
        "serving": {"options": {"max_model_len": "4096"}},
        "container": {"version": "0.36.0", "environment": {"A": "1"}},
    }
)


def over(**told: object) -> Hosting:
    return UpdateRequest.model_validate(told).over(BEFORE)


def test_a_field_that_is_named_changes_and_its_section_keeps_the_others() -> None:
    after = over(scaling={"max": 4})

    assert (after.scaling.min, after.scaling.max, after.scaling.backlog_per_instance) == (1, 4, 3)
    assert (after.instance, after.serving, after.container) == (BEFORE.instance, BEFORE.serving, BEFORE.container)


def test_null_sends_a_field_back_to_its_default() -> None:
    after = over(container={"image": "123456789012.dkr.ecr.us-east-1.amazonaws.com/mine:1", "version": None})

    assert (after.container.version, after.container.environment) == (None, {"A": "1"})


def test_null_is_the_default_of_a_field_that_is_never_null() -> None:
    before = Hosting.model_validate({"instance": {"optimize_for": "latency"}})

    after = UpdateRequest.model_validate({"instance": {"type": "ml.g5.xlarge", "optimize_for": None}}).over(before)

    assert (after.instance.type, after.instance.optimize_for.value) == ("ml.g5.xlarge", "cost")


def test_options_are_replaced_by_those_that_are_named() -> None:
    assert over(serving={"options": {"gpu_memory_utilization": "0.8"}}).serving.options == {
        "gpu_memory_utilization": "0.8"
    }


def test_what_contradicts_what_there_is_is_refused_with_the_field() -> None:
    with pytest.raises(InvalidInput, match="min is 3 and max is 2"):
        over(scaling={"min": 3})


def test_the_same_again_is_the_same() -> None:
    assert over(scaling={"max": 2}) == BEFORE
