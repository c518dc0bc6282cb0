"""A simulation of Application Auto Scaling for SageMaker's hosting: alarms are evaluated, and policies act.

moto stores scalable targets, policies and alarms, and does nothing with them. Here the end of each minute does what
the services do: it evaluates the alarms on the hosting's metrics and scales what their policies say.
"""

from local.autoscaling.install import install
from local.autoscaling.snapshot import snapshot

__all__ = ["install", "snapshot"]
