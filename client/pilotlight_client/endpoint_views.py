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


class Hosting(TypedDict, total=False):
    """Every section about instances that a request may have."""

    instance: Instance
    scaling: Scaling
    serving: Serving
    container: Container
    accept_eula: bool


class EndpointUpdateView(TypedDict):
    """An update under way: to which revision, and how far it is."""

    revision: int
    status: str
    started_at: str


class EndpointView(TypedDict):
    """An endpoint as it was last seen; `instances` are there, `desired` are on their way or wanted."""

    name: str
    arn: NotRequired[str | None]
    status: NotRequired[str | None]
    instance_type: str
    instances: int
    desired: int
    min: int
    max: int
    revision: int
    image: NotRequired[str | None]
    update: NotRequired[EndpointUpdateView | None]


class ProposalView(TypedDict):
    """An instance that would do, what it costs, and why it was chosen."""

    instance_type: str
    tensor_parallel_degree: NotRequired[int | None]
    usd_per_hour: NotRequired[float]
    tokens_per_second: NotRequired[float | None]
    usd_per_million_tokens: NotRequired[float | None]
    why: str
    alternatives: NotRequired[list[Any]]


class RevisionView(TypedDict):
    """One configuration that a deployment has, or had: what it ran on, and what became of it."""

    revision: int
    status: str
    instance_type: str
    image: NotRequired[str | None]
    reason: NotRequired[str | None]
    created_at: str


class Estimate(TypedDict):
    """How long an answer may still take, and what that is taken from."""

    seconds_left: float
    basis: str


class Upload(TypedDict):
    """One request that stores an input: nothing else may be sent with it, and nobody else need be asked."""

    url: str
    method: Literal["PUT"]
    headers: dict[str, str]


class InputView(TypedDict):
    """A place for the input of one invocation, and how to fill it."""

    input: str
    upload: Upload
    expires_at: str
