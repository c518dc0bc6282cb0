"""How fast, how large and how strict the simulated service is, and what tests turn to see it at its worst."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

USUAL_QUOTA = 2


def _usual_quotas() -> defaultdict[str, int]:
    return defaultdict(lambda: USUAL_QUOTA)


@dataclass
class Settings:
    """Times are simulated seconds. Tests and the demo set the fields of `simulation().settings`.

    Sources: 4 to 8 minutes to an endpoint in service with some GB of weights, and 9 min 24 s to the first answer of
    a component at zero, as measured by others; limits from the service's API reference. Quotas are an account's own.
    """

    start_seconds: float = 150.0  # until an instance runs and the image is there; larger instances take longer
    capacity_verdict_seconds: float = 60.0  # after which a missing instance is told
    verdict_seconds: float = 60.0  # after which model data that cannot be had is told
    load_seconds: float = 45.0  # of a container, before any weights
    download_bytes_per_second: float = 400e6
    load_bytes_per_second: float = 800e6
    delete_seconds: float = 20.0
    rollback_seconds: float = 60.0
    failure_reason_after_rollback: bool = False  # by the API reference only failed endpoints have one
    weights_only_seconds: float = 5.0  # of an update that moves no instance

    # What holds where an endpoint configuration says nothing; the service does not publish them all.
    download_timeout_seconds: float = 1200.0
    health_check_timeout_seconds: float = 480.0

    weights_scale: float = 1.0  # how many times larger weights count than they are: small files stand for large models
    hub_model_bytes: float = 16e9  # what a model that a container fetches from a hub itself counts as

    first_token_seconds: float = 0.4
    tokens_per_second: float = 40.0  # of an ml.g5; others by their table
    answer_tokens: int = 60
    other_answer_seconds: float = 0.2  # of whatever is not a text
    answer_limit_seconds: float = 60.0  # InvokeEndpoint
    largest_body_bytes: int = 6_291_456
    largest_inline_bytes: int = 128_000

    concurrency: int = 4  # of an instance of an asynchronous endpoint that says nothing; the service chooses
    request_ttl_seconds: int = 21_600
    invocation_timeout_seconds: int = 900
    expired_status: str = "Expired"  # "Failed" has been seen, too
    failure_location_on_top: bool = False  # where the notification of a failure has it: both have been seen

    idle_release_seconds: float = 300.0  # after which a managed instance without copies is given back
    quotas: defaultdict[str, int] = field(default_factory=_usual_quotas)  # instances by type, for endpoint usage
    judges_image_pulls: bool = True  # whether the execution role must be allowed to pull the image

    hub_contents: dict[str, str] = field(default_factory=dict)  # documents of the public hub, by model id

    metrics_kept_seconds: float = 3 * 86_400.0


@dataclass
class Knobs:
    """What a test turns to see the service at its worst. Each is off by itself."""

    throttle_calls: int = 0  # so many calls, of the API or the runtime, are throttled
    fail_next_endpoint: str | None = None  # the FailureReason of the next endpoint that is created
    capacity_fails: int = 0  # so many instances are not to be had
    never_ready: bool = False  # instances that are asked for do not come: endpoints stay Creating or Updating
    never_healthy: bool = False  # containers do not pass their health check
    update_fails: int = 0  # so many updates' new instances do not pass their health check
    rollback_fails: bool = False  # an update that fails cannot be taken back either
    fail_calls: list[str] = field(default_factory=list)  # the next invocations fail in the container, saying this
    stall_calls: int = 0  # so many invocations take longer than any limit
    lose_sns: int = 0  # so many results of asynchronous invocations are never told
    duplicate_sns: int = 0  # so many are told twice
    lose_results: int = 0  # so many are neither written nor told
