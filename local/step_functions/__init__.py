"""Step Functions: moto's interpreter, made to run our state machines unmodified and to fail as the service does."""

from __future__ import annotations

import logging

from moto.core.config import default_user_config

from local.clock import ScaledClock
from local.step_functions import definitions, distributed_map, executions, failures, integrations, tokens, waiting


def install(clock: ScaledClock) -> None:
    """Take over the interpreter's seams; a second call swaps the clock."""
    default_user_config["stepfunctions"]["execute_state_machine"] = True
    # A failing state is an execution's business: moto would print each one on the cloud's own output.
    logging.getLogger("moto.stepfunctions").setLevel(logging.CRITICAL)
    definitions.install(clock)
    waiting.install(clock)
    tokens.install(clock)
    failures.install()
    distributed_map.install()
    integrations.install()
    executions.install(clock)
