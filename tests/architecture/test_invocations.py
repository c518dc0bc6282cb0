"""What the template says of invocations is what the code counts on."""

from pilotlight.domain.webhook import MOST_ATTEMPTS
from pilotlight.routes import BINARY_MEDIA_TYPES
from pilotlight.services.queue_work import WorkerLimits

from tools import cloudformation


def properties(name: str) -> dict:
    return cloudformation.load()["Resources"][name]["Properties"]


def test_the_gateway_hands_over_whole_what_the_api_takes_for_binary() -> None:
    told = [kind.replace("~1", "/") for kind in properties("Gateway")["BinaryMediaTypes"]]

    assert told == sorted(told)
    assert set(told) == set(BINARY_MEDIA_TYPES)


def test_a_notice_is_tried_as_often_as_its_record_says() -> None:
    assert properties("WebhookQueue")["RedrivePolicy"]["maxReceiveCount"] == MOST_ATTEMPTS


def test_a_message_stays_away_for_as_long_as_its_worker_may_work() -> None:
    for queue, worker in (("InvocationQueue", "RunInvocation"), ("WebhookQueue", "DeliverWebhook")):
        assert properties(queue)["VisibilityTimeout"] > properties(worker)["Timeout"], queue
    assert WorkerLimits().claim_seconds >= properties("RunInvocation")["Timeout"]
