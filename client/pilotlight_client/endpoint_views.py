"""The shapes of what concerns models on instances: what is wanted of them, and how their endpoint is.

They are as those of `views`: fields that are not set are absent, moments are text, and a newer API may give more.
"""

from typing import Any, Literal, NotRequired, TypedDict


class Instance(TypedDict, total=False):
    """Which instance: its `type`, or what the proposed one shall be best at (cost, latency, throughput) and hold."""

    type: str
    optimize_for: str
    context_tokens: int
    concurrency: int


class Scaling(TypedDict, total=False):
    """How many instances, and when more or fewer; `scale_in` is cooldown or immediate."""

    min: int
    max: int
    initial: int
    backlog_per_instance: float
    invocations_per_instance: float
    scale_in_cooldown_seconds: int
    scale_out_cooldown_seconds: int
    disable_scale_in: bool
    scale_in: str
    concurrent_invocations: int
    components: bool


Serving = dict[str, Any]
"""The `serving` section: keys of serving.properties, `options` (each an option.*), and `files` of a handler."""


class Container(TypedDict, total=False):
    """Which image: one of the user's own (`image`), or a `version` of LMI; and what is in its environment."""

    image: str
    version: str
    environment: dict[str, str]
    health_check_timeout_seconds: int
    download_timeout_seconds: int
    inference_ami_version: str


class Sections(TypedDict, total=False):
    """Every section about instances that a request may have."""

    instance: Instance
    scaling: Scaling
    serving: Serving
    container: Container


class Hosting(Sections, total=False):
    """What may be said of instances when a model is deployed or judged."""

    accept_eula: bool


class UpdateView(TypedDict):
    """An update under way: to which revision, from which, how instances are replaced, and by how many of which."""

    revision: int
    previous: int
    strategy: str
    started_at: str
    instance_type: NotRequired[str | None]
    instances: NotRequired[int]
    usd_per_instance_hour: NotRequired[float]


class FailedUpdateView(TypedDict):
    """The update that failed last, and why; it is forgotten when the next one begins."""

    revision: int
    reason: str
    at: str


class EndpointFailureView(TypedDict):
    """Why an endpoint failed, and the last that its container wrote."""

    reason: str
    log_lines: NotRequired[list[str]]
    at: str


class SettledScaling(TypedDict):
    """Scaling with nothing left open; `target` is of the backlog, or of calls a minute, for each instance."""

    min: int
    max: int
    initial: int
    target: float
    scale_in_cooldown_seconds: int
    scale_out_cooldown_seconds: int
    disable_scale_in: NotRequired[bool]
    scale_in: NotRequired[str]
    concurrent_invocations: NotRequired[int | None]
    components: NotRequired[bool]


class EndpointView(TypedDict):
    """An endpoint as it was last seen; `instances` are there, `desired` are on their way or wanted.

    `min` and `max` are what holds now, `scaling` what was asked for.
    """

    name: str
    arn: NotRequired[str | None]
    status: str
    instance_type: str
    instances: int
    desired: int
    min: int
    max: int
    scaling: NotRequired[SettledScaling]
    usd_per_instance_hour: float
    revision: int
    seen_at: NotRequired[str | None]
    update: NotRequired[UpdateView | None]
    failed_update: NotRequired[FailedUpdateView | None]
    failure: NotRequired[EndpointFailureView | None]


class AlternativeView(TypedDict):
    """An instance that would do, what it costs, and how fast it probably is."""

    instance_type: str
    tensor_parallel_degree: int
    usd_per_hour: float
    tokens_per_second: NotRequired[float | None]
    usd_per_million_tokens: NotRequired[float | None]


class ProposalView(AlternativeView):
    """The instance that is proposed, why it is this one, and what else would do."""

    hardware: str
    accelerator: NotRequired[str | None]
    price_confirmed: bool
    price_source: str
    speed_basis: NotRequired[str]
    speed_source: NotRequired[str]
    seconds_per_token: float
    needed_gib: float
    usable_gib: float
    context_tokens: NotRequired[int | None]
    concurrency: NotRequired[int]
    options: NotRequired[dict[str, str]]
    why: NotRequired[str]
    alternatives: NotRequired[list[AlternativeView]]


class RevisionScaling(TypedDict):
    """What of scaling belongs to a revision; bounds are the endpoint's."""

    initial: int
    concurrent_invocations: NotRequired[int | None]
    components: NotRequired[bool]


class RevisionView(TypedDict):
    """One configuration that a deployment has, or had: what it is made of, and what became of it."""

    number: int
    status: Literal["CREATED", "IN_SERVICE", "RETIRED", "FAILED"]
    instance_type: str
    usd_per_hour: float
    image: str
    scaling: RevisionScaling
    instance: Instance
    serving: Serving
    container: Container
    tensor_parallel_degree: NotRequired[int | None]
    why: str
    reason: str
    created_at: str


class Estimate(TypedDict):
    """How long an answer may still take, and what that is taken from."""

    seconds_left: int
    basis: str


class WebhookView(TypedDict):
    """Whether the address that was named has been told that an invocation is over."""

    status: NotRequired[Literal["pending", "delivered", "failed"]]
    attempts: NotRequired[int]
    reason: NotRequired[str | None]
    at: NotRequired[str | None]


class InputUpload(TypedDict):
    """One request that stores an input: nothing else may be sent with it, and nobody else need be asked."""

    url: str
    method: Literal["PUT"]
    headers: dict[str, str]


class InputView(TypedDict):
    """A place for the input of one invocation, and how to fill it."""

    input: str
    upload: InputUpload
    expires_at: str
