"""What waits for something waits shorter than whoever waits for it; and together they fit into a new account."""

from pilotlight.settings import Settings
from pilotlight.wiring import CONTROL

from tests.architecture.template_rules import Template
from tools import cloudformation

NEW_ACCOUNT = 10  # Lambdas at once. Source: AWS Lambda developer guide, "Lambda quotas"
PAUSES = 1 + 2  # seconds at most before the second and the third attempt, in botocore's standard mode


def template() -> Template:
    return Template(cloudformation.TEMPLATE.read_text())


def test_a_call_that_hangs_is_retried_within_every_lambda() -> None:
    told = vars(CONTROL)  # a Config has its attributes from a table, which no type checker reads
    attempts, read_timeout = told["retries"]["total_max_attempts"], told["read_timeout"]
    shortest = min(int(own["Timeout"]) for own in template().functions.values())

    assert attempts > 1
    assert attempts * read_timeout + PAUSES < shortest


def test_held_and_queued_invocations_leave_a_new_account_room_for_everything_else() -> None:
    parameters = template().data["Parameters"]
    held, queued = parameters["HeldRequests"]["Default"], parameters["InvocationConcurrency"]["Default"]
    (told,) = template().functions["DeliverWebhook"]["Events"].values()

    assert held + queued + told["Properties"]["ScalingConfig"]["MaximumConcurrency"] <= NEW_ACCOUNT - 2
    assert Settings().held_requests == held
