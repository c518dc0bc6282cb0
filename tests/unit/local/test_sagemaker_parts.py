"""Parts of the simulated hosting that need no service: properties, instances, names of statuses, and due things."""

import copy

import pytest

from local.sagemaker.agenda import Agenda
from local.sagemaker.errors import SageMakerError
from local.sagemaker.instances import GIB, instance_type
from local.sagemaker.lmi import is_lmi, options_of, properties_of
from local.sagemaker.resources import Status
from local.sagemaker.validation import validate


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (
            "engine=Python\n# no\n! no\n\n option.model_id = s3\\://b/k=1 ",
            {"engine": "Python", "option.model_id": "s3://b/k=1"},
        ),
        ("option.task: text-generation", {"option.task": "text-generation"}),
        ("option.a=one\\\ntwo", {"option.a": "onetwo"}),
        ("option.name=caf\\u00e9", {"option.name": "café"}),
        ("alone", {"alone": ""}),
    ],
)
def test_properties_are_read_as_java_reads_them(text, found):
    assert properties_of(text) == found


def test_options_are_what_stands_behind_option_and_no_top_level_key():
    properties = {"option.dtype": "bf16", "dtype": "fp16", "option.batch_size": "4", "batch_size": "8"}

    found = options_of({"OPTION_DTYPE": "fp32", "OPTION_TASK": "x", "SERVING_BATCH_SIZE": "2"}, properties)

    assert found == {"dtype": "bf16", "task": "x"}


@pytest.mark.parametrize(
    ("image", "wanted"),
    [
        ("763104351884.dkr.ecr.us-east-1.amazonaws.com/djl-inference:0.33.0-lmi15.0.0-cu128", True),
        ("123456789012.dkr.ecr.us-east-1.amazonaws.com/team/djl-inference@sha256:0", True),
        ("123456789012.dkr.ecr.us-east-1.amazonaws.com/not-djl-inference:1", False),
    ],
)
def test_an_lmi_image_is_known_by_its_repository(image, wanted):
    assert is_lmi(image) is wanted


def test_instances_have_the_memory_of_so_many_of_their_gpus():
    assert instance_type("ml.g5.12xlarge").gpu_bytes(4) == 96 * GIB
    assert instance_type("ml.g5.12xlarge").gpu_bytes(1) == 24 * GIB
    assert instance_type("ml.p5.48xlarge").gpu_bytes(99) == 640 * GIB
    assert instance_type("ml.m5.xlarge").gpus == 0


def test_events_write_statuses_in_their_own_way():
    assert [status.in_event for status in (Status.IN_SERVICE, Status.UPDATE_ROLLBACK_FAILED, Status.CREATING)] == [
        "IN_SERVICE",
        "UPDATE_ROLLBACK_FAILED",
        "CREATING",
    ]


def test_an_agenda_keeps_the_order_of_what_is_due_and_its_copy_goes_its_own_way():
    agenda, seen = Agenda(), []
    for at, name in ((2.0, "c"), (1.0, "a"), (1.0, "b")):
        agenda.add(at, lambda _, what: seen.append(what), name)
    kept = copy.deepcopy(agenda)

    while due := agenda.take(1.5):
        due.act(None, *due.about)

    assert (seen, agenda.next_at, kept.next_at) == (["a", "b"], 2.0, 1.0)


def test_a_request_is_held_to_the_model_of_the_service():
    with pytest.raises(SageMakerError, match="3 validation errors detected") as refused:
        validate("sagemaker", "CreateEndpoint", {"EndpointName": "under_score", "Tags": [{"Key": "a"}]})

    for fault in ("at 'endpointName' failed", "null at 'endpointConfigName'", "null at 'tags.1.member.value'"):
        assert fault in str(refused.value)
