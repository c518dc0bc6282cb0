"""What moto keeps of autoscaling and of alarms, kept and put back: for runs that begin where another one began."""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Callable

from moto.applicationautoscaling.models import applicationautoscaling_backends
from moto.cloudwatch.models import cloudwatch_backends


def snapshot(account: str, region: str) -> Callable[[], None]:
    """Give what puts targets, policies and alarms back to where they are now, as often as one likes."""
    scaling, watching = applicationautoscaling_backends[account][region], cloudwatch_backends[account][region]
    targets = {
        dimension: {key: copy.copy(each) for key, each in held.items()} for dimension, held in scaling.targets.items()
    }
    policies = {key: copy.copy(each) for key, each in scaling.policies.items()}
    alarms = {key: copy.copy(each) for key, each in watching.alarms.items()}

    def put_back() -> None:
        scaling.targets = OrderedDict(
            (dimension, OrderedDict((key, copy.copy(each)) for key, each in held.items()))
            for dimension, held in targets.items()
        )
        scaling.policies = {key: copy.copy(each) for key, each in policies.items()}
        watching.alarms = {key: copy.copy(each) for key, each in alarms.items()}

    return put_back
