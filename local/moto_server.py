"""moto's own server, on loopback, with the interpreter of state machines switched on."""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler

from moto.core.base_backend import BackendDict
from moto.core.config import default_user_config
from moto.core.model_instances import reset_model_data
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app

from local.server import LoopbackServer, QuietRequestHandler


def moto_server() -> LoopbackServer:
    """Give moto's server, not yet started, on a free port."""
    default_user_config["stepfunctions"]["execute_state_machine"] = True
    quiet_moto: type[BaseHTTPRequestHandler] = type("QuietMoto", (QuietRequestHandler, MotoRequestHandler), {})
    return LoopbackServer(DomainDispatcherApplication(create_backend_app), handler=quiet_moto)


def forget_everything() -> None:
    """Empty every backend of moto: the next cloud in this process starts from nothing."""
    BackendDict.reset()
    reset_model_data()
