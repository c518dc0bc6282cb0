"""Parameters of the local stack are checked by the template's own rules, before anything starts."""

import pytest

from local.stack_parameters import ParameterError, read
from local.stage import TEMPLATE


def test_what_the_template_takes_is_taken():
    assert read((), TEMPLATE) == {}
    assert read(["SourceBuckets=my-models-*", "PartMib=16", "SourceBuckets="], TEMPLATE) == {
        "SourceBuckets": "",
        "PartMib": "16",
    }


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("SourceBuckets", "write NAME=VALUE"),
        ("SourceBucket=x", "did you mean SourceBuckets?"),
        ("Nothing=x", "it has .*Copiers"),
        ("PartMib=2000", "a number from 5 to 1024"),
        ("PartMib=many", "a number from 5 to 1024"),
        ("SourceBuckets=UPPER", "a bucket's name"),
        ("HubEndpoint=ftp://x", "an http"),
    ],
)
def test_anything_else_is_refused_with_what_was_wanted(said, why):
    with pytest.raises(ParameterError, match=why):
        read([said], TEMPLATE)


def test_a_value_that_is_none_of_those_that_are_allowed_is_refused_with_these(tmp_path):
    template = tmp_path / "template.yaml"
    template.write_text("Parameters:\n  Days: {Type: Number, AllowedValues: [1, 3, 7]}\n")

    assert read(["Days=3"], template) == {"Days": "3"}
    with pytest.raises(ParameterError, match="one of 1, 3, 7"):
        read(["Days=2"], template)
