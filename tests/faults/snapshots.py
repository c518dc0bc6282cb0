"""What the cloud holds, kept and put back: a run begins where another one began, without a deployment."""

from __future__ import annotations

import copy
from collections.abc import Callable
from io import BytesIO
from types import SimpleNamespace
from typing import Any

from moto.cloudwatch.models import cloudwatch_backends
from moto.core.model_instances import reset_model_data
from moto.dynamodb.models import dynamodb_backends
from moto.logs.models import logs_backends
from moto.s3 import models as s3_models
from moto.s3.models import FakeKey, s3_backends
from moto.s3.utils import _VersionedKeyStore
from moto.sns.models import sns_backends
from moto.sqs.models import sqs_backends
from moto.ssm.models import ssm_backends
from moto.stepfunctions.parser.models import stepfunctions_parser_backends

from local import autoscaling, sagemaker
from local.bedrock.simulation import simulation
from local.identity import ACCOUNT_ID, REGION
from local.index_lag import lag
from tests.faults.replacing import replace

Restore = Callable[[], None]


def install() -> None:
    """Let the bytes of deleted objects live: a snapshot may still hold them."""
    replace(FakeKey, "dispose", lambda _: _stay)
    replace(s3_models, "tempfile", lambda _: SimpleNamespace(SpooledTemporaryFile=_in_memory))


def _in_memory(max_size: int = 0) -> BytesIO:
    return BytesIO()


def _stay(_key: FakeKey, garbage: bool = False) -> None:
    """Do nothing: the bytes are in memory, and go with the last who holds them."""


def take() -> Restore:
    """Give what puts everything back as it is now."""
    hosted = [sagemaker.simulation().snapshot(), autoscaling.snapshot(ACCOUNT_ID, REGION), _alarm_tags(), _logs()]
    parts = [_tables(), _buckets(), _queues(), _executions(), _bedrock(), *hosted, _small_change()]

    def restore() -> None:
        for part in parts:
            part()

    return restore


def _tables() -> Restore:
    backend = dynamodb_backends[ACCOUNT_ID][REGION]
    kept = {name: copy.deepcopy(table.items) for name, table in backend.tables.items()}

    def restore() -> None:
        for name, items in kept.items():
            backend.tables[name].items = copy.deepcopy(items)  # a cancelled transaction puts another table there
        lag.forget()

    return restore


def _buckets() -> Restore:
    buckets = list(s3_backends[ACCOUNT_ID]["aws"].buckets.values())
    kept = [
        ({name: list(bucket.keys.getlist(name)) for name in dict.keys(bucket.keys)}, dict(bucket.multiparts))
        for bucket in buckets
    ]
    parts = {id(upload): dict(upload.parts) for _, uploads in kept for upload in uploads.values()}

    def restore() -> None:
        for bucket, (keys, uploads) in zip(buckets, kept, strict=True):
            bucket.keys = _VersionedKeyStore({name: list(versions) for name, versions in keys.items()})
            dict.clear(bucket.multiparts)
            for name, upload in uploads.items():
                upload.parts = dict(parts[id(upload)])
                dict.__setitem__(bucket.multiparts, name, upload)

    return restore


def _queues() -> Restore:
    queues = list(sqs_backends[ACCOUNT_ID][REGION].queues.values())
    kept = [[copy.copy(message) for message in queue._messages] for queue in queues]

    def restore() -> None:
        for queue, messages in zip(queues, kept, strict=True):
            queue._messages = [copy.copy(message) for message in messages]
            queue.pending_messages.clear()
            queue.deleted_messages.clear()

    return restore


def _executions() -> Restore:
    machines = list(stepfunctions_parser_backends[ACCOUNT_ID][REGION].state_machines)
    kept = [list(machine.executions) for machine in machines]

    def restore() -> None:
        for machine, executions in zip(machines, kept, strict=True):
            machine.executions[:] = executions

    return restore


def _bedrock() -> Restore:
    service = simulation()
    fields = ("settings", "knobs", "jobs", "models", "gone_windows", "correlation_ids")
    kept: dict[str, Any] = copy.deepcopy({name: getattr(service, name) for name in fields})

    def restore() -> None:
        for name, value in copy.deepcopy(kept).items():
            setattr(service, name, value)

    return restore


def _alarm_tags() -> Restore:
    """Keep the tags of alarms, which moto keeps apart from them, and after their end."""
    tagger = cloudwatch_backends[ACCOUNT_ID][REGION].tagger
    kept = copy.deepcopy(tagger.tags)

    def restore() -> None:
        tagger.tags = copy.deepcopy(kept)

    return restore


def _logs() -> Restore:
    """Keep what containers logged, and the groups of it, whatever other snapshots put back meanwhile."""
    groups = logs_backends[ACCOUNT_ID][REGION].groups
    kept = {
        name: (group, {key: list(each.events) for key, each in group.streams.items()}, dict(group.streams))
        for name, group in groups.items()
    }

    def restore() -> None:
        groups.clear()
        for name, (group, events, streams) in kept.items():
            groups[name] = group
            group.streams = dict(streams)
            for key, stream in streams.items():
                stream.events = list(events[key])

    return restore


def _small_change() -> Restore:
    topics = list(sns_backends[ACCOUNT_ID][REGION].topics.values())
    metrics = cloudwatch_backends[ACCOUNT_ID][REGION]
    parameters = ssm_backends[ACCOUNT_ID][REGION]._parameters
    kept = {name: list(versions) for name, versions in parameters.items()}

    def restore() -> None:
        for topic in topics:
            topic.sent_notifications = []
        metrics.metric_data = []
        for name in set(dict.keys(parameters)) - kept.keys():
            dict.pop(parameters, name)  # the kill switch, which nobody had turned yet
        dict.update(parameters, {name: list(versions) for name, versions in kept.items()})
        reset_model_data()  # moto remembers every object that it ever made

    return restore
