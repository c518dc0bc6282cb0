"""Calls from states to services: one client for many tasks, and each API's own way to spell its parameters."""

from __future__ import annotations

import sys
import threading
from functools import lru_cache
from typing import Any

import boto3
from botocore import xform_name
from botocore.config import Config
from botocore.session import get_session
from moto.settings import moto_server_port

from local.authorization import sessions
from local.seams import replace
from local.step_functions.interpreter import (
    StateTaskService,
    boto_client_for,
    json_path,
    state_task_service_callback,
)

_LONGEST_CALL_SECONDS = 86_400
_SECONDS_BETWEEN_LOOKS_AT_A_CHILD = 0.05
_BOTO_NAMES = {"bedrockruntime": "bedrock-runtime", "sagemakerruntime": "sagemaker-runtime", "eventbridge": "events"}


def install() -> None:
    """Let tasks share clients, and let nested executions and SDK integrations through."""
    forget()
    for module in list(sys.modules.values()):
        # Each integration has imported the function by name, so each holds its own copy to replace.
        if module.__name__.startswith("moto.stepfunctions.parser") and hasattr(module, boto_client_for.__name__):
            replace(module, boto_client_for.__name__, lambda _: _client_for)
    replace(json_path, "parse", lru_cache(maxsize=1024))
    StateTaskService._SERVICE_NAME_SFN_TO_BOTO_OVERRIDES.update(_BOTO_NAMES)
    replace(StateTaskService, "_normalise_parameters", lambda _: _as_the_api_spells)
    replace(StateTaskService, "_normalise_response", lambda _: _as_states_spell)
    state_task_service_callback._DELAY_SECONDS_SYNC_CONDITION_CHECK = _SECONDS_BETWEEN_LOOKS_AT_A_CHILD


_making = threading.Lock()
_keyring = sessions.Keyring()
_clients: dict[tuple[str, str, str], Any] = {}


def forget() -> None:
    """Keep nothing of a former cloud: its keys are nobody's."""
    global _keyring  # noqa: PLW0603 - one cloud runs in a process
    _keyring = sessions.Keyring()
    with _making:
        for client in _clients.values():
            client.close()
        _clients.clear()


def _client_for(region: str, service: str, state_credentials: Any = None) -> Any:
    """Give a client that acts as the machine's role and that all its tasks share; moto makes one for each task."""
    with _making:
        keys = _keyring.of_role(state_credentials.role_arn, "states").credentials
        key = (service, region, keys.access_key_id)
        if key not in _clients:
            _clients[key] = boto3.session.Session().client(
                service,  # type: ignore[call-overload]
                region_name=region,
                endpoint_url=f"http://127.0.0.1:{moto_server_port()}",
                aws_access_key_id=keys.access_key_id,
                aws_secret_access_key=keys.secret_access_key,
                aws_session_token=keys.session_token,
                config=Config(
                    parameter_validation=False,
                    retries={"total_max_attempts": 1},
                    read_timeout=_LONGEST_CALL_SECONDS,
                    max_pool_connections=100,
                ),
            )
        return _clients[key]


@lru_cache(maxsize=1)
def _session() -> Any:
    return get_session()


@lru_cache(maxsize=64)
def _operations(service: str) -> dict[str, Any]:
    """Give a service's operations by the name that boto3's methods have."""
    model = _session().get_service_model(service)
    return {xform_name(name): model.operation_model(name) for name in model.operation_names}


def _operation(task: StateTaskService, service: str | None, action: str | None) -> Any:
    operations = _operations(task._get_boto_service_name(service))
    return operations.get(task._get_boto_service_action(action))


def _as_the_api_spells(
    task: StateTaskService,
    parameters: dict[str, Any],
    boto_service_name: str | None = None,
    service_action_name: str | None = None,
) -> None:
    """The gap: ASL says StateMachineArn, the API says stateMachineArn; moto passes ASL's spelling on."""
    operation = _operation(task, boto_service_name, service_action_name)
    if operation is not None and operation.input_shape is not None:
        task._to_boto_request(parameters, operation.input_shape)


def _as_states_spell(
    task: StateTaskService,
    response: Any,
    boto_service_name: str | None = None,
    service_action_name: str | None = None,
) -> None:
    """Give the API's answer in ASL's spelling, for paths like $.ExecutionArn."""
    operation = _operation(task, boto_service_name, service_action_name)
    if operation is not None and operation.output_shape is not None:
        task._from_boto_response(response, operation.output_shape)
