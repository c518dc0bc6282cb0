"""Builders of what tests begin with: each gives something sound, and a test states only what it is about."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from pilotlight.contracts import DeploymentRequest
from pilotlight.domain.artifact import Artifact, ModelFacts
from pilotlight.domain.deployment import Deployment, Event, EventKind, ImportedModel, Status
from pilotlight.domain.endpoint import Endpoint
from pilotlight.domain.hosting import ScalingSettings
from pilotlight.domain.invocation import Invocation, InvocationRequest, InvocationStatus
from pilotlight.domain.keep_warm import KeepWarm, Policy, Window
from pilotlight.domain.lease import lease_from
from pilotlight.domain.pricing import BillingWindow, WindowOpener
from pilotlight.domain.proposals import Proposal
from pilotlight.domain.source import Listing, Source, SourceFile
from pilotlight.domain.spans import MIB, SpanLimits, UploadedPart
from pilotlight.domain.upload import Upload
from pilotlight.domain.uptime import Uptime
from pilotlight.domain.values import Backend, seconds
from pilotlight.domain.warmth import WakeBudget, new_wake

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)  # a Friday
HUB_SOURCE = "hf://acme/llama-8b"
COMMIT = "0123456789abcdef0123456789abcdef01234567"  # pragma: allowlist secret (a commit)
TEMPLATE = "{{ bos_token }}{% for m in messages %}<|{{ m.role }}|>{{ m.content }}{% endfor %}<|assistant|>"
FIVE_MIB_PARTS = SpanLimits(part_bytes=5 * MIB, span_seconds=1, worst_bytes_per_second=10 * MIB, streams=1)


def at(text: str) -> datetime:
    """Return the moment that an ISO text names; without an offset it is of UTC."""
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def a_request(name: str = "llama", **fields: Any) -> DeploymentRequest:
    return DeploymentRequest(**{"name": name, "source": HUB_SOURCE, **fields})


def a_deployment(name: str = "llama", *, now: datetime = NOON, lease: str = "72h", **fields: Any) -> Deployment:
    sound: dict[str, Any] = {
        "name": name,
        "source": HUB_SOURCE,
        "backend": Backend.BEDROCK,
        "lease": lease_from(lease, now),
        "correlation_id": "c-1",
        "created_at": now,
        "updated_at": now,
    }
    return Deployment(**{**sound, **fields})


def a_serving_deployment(name: str = "llama", *, now: datetime = NOON, units: int = 2, **fields: Any) -> Deployment:
    imported = ImportedModel(
        job_name=f"pilotlight-{name}-g1-a1",
        model_name=f"pilotlight-{name}-g1",
        started_at=now,
        model_arn=f"arn:aws:bedrock:us-east-1:123456789012:imported-model/{name}",
        units=units,
        ended_at=now,
    )
    return a_deployment(name, now=now, **{"status": Status.SERVING, "imported": imported, **fields})


def a_hosted_deployment(
    name: str = "llama", *, now: datetime = NOON, backend: Backend = Backend.SAGEMAKER_ASYNC, **endpoint: Any
) -> Deployment:
    """Return a deployment that serves on one instance; fields of its endpoint may be given."""
    running = {"status": "InService", "instances": 1, "desired": 1, "exists": True, "created_at": now, "seen_at": now}
    found = an_endpoint(name, backend=backend, **{**running, **endpoint})
    return a_deployment(name, now=now, backend=backend, status=Status.SERVING, endpoint=found)


def an_endpoint(name: str = "llama", *, backend: Backend = Backend.SAGEMAKER_ASYNC, **fields: Any) -> Endpoint:
    sound: dict[str, Any] = {
        "name": f"pilotlight-{name}-g1",
        "revision": 1,
        "newest_revision": 1,
        "instance_type": "ml.g5.xlarge",
        "usd_per_hour": 1.408,
        "scaling": ScalingSettings().for_backend(backend),
    }
    return Endpoint(**{**sound, **fields})


def a_proposal(instance_type: str = "ml.g5.xlarge", **fields: Any) -> Proposal:
    sound: dict[str, Any] = {
        "instance_type": instance_type,
        "tensor_parallel_degree": 1,
        "usd_per_hour": 1.408,
        "hardware": "1 × A10G of 22.5 GiB",
        "price_confirmed": True,
        "price_source": "a price list",
        "seconds_per_token": 0.02,
        "needed_gib": 17.0,
        "usable_gib": 20.0,
    }
    return Proposal(**{**sound, **fields})


def an_event(reason: str = "something happened", *, now: datetime = NOON, **fields: Any) -> Event:
    return Event(**{"at": now, "kind": EventKind.NOTE, "reason": reason, "generation": 1, **fields})


def an_artifact(artifact_id: str = "a00000000000000000ff", *, now: datetime = NOON, **fields: Any) -> Artifact:
    sound: dict[str, Any] = {
        "id": artifact_id,
        "source": HUB_SOURCE,
        "revision": COMMIT,
        "facts": some_facts(),
        "users": ("llama-g1",),
        "keep": "delete",
        "created_at": now,
        "updated_at": now,
    }
    return Artifact(**{**sound, **fields})


def some_facts(**fields: Any) -> ModelFacts:
    sound = {"architecture": "LlamaForCausalLM", "model_type": "llama", "chat_template": TEMPLATE, "bos_token": "<s>"}
    return ModelFacts(**{**sound, **fields})


def an_invocation(invocation_id: str = "i-1", *, now: datetime = NOON, **fields: Any) -> Invocation:
    sound: dict[str, Any] = {
        "id": invocation_id,
        "deployment": "llama",
        "generation": 1,
        "status": InvocationStatus.QUEUED,
        "created_at": now,
        "expires_at": now + seconds(3600),
        "kept_until": now + seconds(7 * 24 * 3600),
        "correlation_id": "c-1",
        "input_length": 5,
    }
    return Invocation(**{**sound, **fields})


def a_question(prompt: str = "Why is the sky blue?", **fields: Any) -> InvocationRequest:
    return InvocationRequest(**{"prompt": prompt, **fields})


def an_upload(folder: str = "llama", *, now: datetime = NOON, **fields: Any) -> Upload:
    return Upload(**{"folder": folder, "updated_at": now, **fields})


def a_window(*, starts_at: datetime = NOON, **fields: Any) -> BillingWindow:
    sound: dict[str, Any] = {
        "generation": 1,
        "ordinal": 1,
        "chains": 1,
        "starts_at": starts_at,
        "ends_at": starts_at + seconds(300),
        "last_answer_at": starts_at,
        "opened_by": WindowOpener.INVOCATION,
    }
    return BillingWindow(**{**sound, **fields})


def an_uptime(*, starts_at: datetime = NOON, **fields: Any) -> Uptime:
    sound: dict[str, Any] = {
        "generation": 1,
        "ordinal": 1,
        "instances": 1,
        "usd_per_hour": 1.408,
        "starts_at": starts_at,
        "ends_at": starts_at,
    }
    return Uptime(**{**sound, **fields})


def a_wake(wake_id: str = "w-1", *, now: datetime = NOON, budget: WakeBudget | None = None, **fields: Any) -> Any:
    return new_wake(wake_id, budget or WakeBudget(), now).changed(**fields)


def office_hours(timezone: str = "UTC", **fields: Any) -> KeepWarm:
    window = Window(**{"days": "MON-FRI", "start": "09:00", "end": "18:00", "timezone": timezone, **fields})
    return KeepWarm(policy=Policy.WINDOW, windows=(window,))


def always_warm() -> KeepWarm:
    return KeepWarm(policy=Policy.ALWAYS)


def a_part(number: int, size_bytes: int) -> UploadedPart:
    return UploadedPart(number=number, size_bytes=size_bytes, etag=f'"{number}"')


def a_listing(*paths: str, size_bytes: int = 10, source: str = HUB_SOURCE) -> Listing:
    files = tuple(SourceFile(path=path, size_bytes=size_bytes) for path in paths)
    return Listing(source=Source.parse(source).at(COMMIT), files=files)


def some_weights(filler: bytes, tensor: str = "layer.0") -> bytes:
    """Return a sound safetensors file of as many bytes as the filler, which fills its one tensor."""
    header_bytes = 152
    data = filler[8 + header_bytes :]
    described = {tensor: {"dtype": "U8", "shape": [len(data)], "data_offsets": [0, len(data)]}}
    return header_bytes.to_bytes(8, "little") + json.dumps(described).encode().ljust(header_bytes) + data


def a_checkpoint(
    *, weights: bytes = b"w" * 2048, shards: Mapping[str, bytes] | None = None, config: Mapping[str, Any] | None = None
) -> dict[str, bytes]:
    """Return the files of a small Llama that Bedrock takes: one file of weights or these shards, as long as given."""
    described = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "torch_dtype": "bfloat16",
        "max_position_embeddings": 8192,
    }
    files = {
        "config.json": json.dumps({**described, **(config or {})}).encode(),
        "tokenizer.json": b'{"version": "1.0"}',
        "tokenizer_config.json": json.dumps(
            {"tokenizer_class": "LlamaTokenizer", "chat_template": TEMPLATE, "bos_token": "<s>", "eos_token": "</s>"}
        ).encode(),
    }
    if shards is None:
        return {**files, "model.safetensors": some_weights(weights)}
    index = {
        "metadata": {"total_size": sum(map(len, shards.values()))},
        "weight_map": {f"layer.{number}": name for number, name in enumerate(shards)},
    }
    sound = {name: some_weights(body, f"layer.{number}") for number, (name, body) in enumerate(shards.items())}
    return {**files, "model.safetensors.index.json": json.dumps(index).encode(), **sound}
