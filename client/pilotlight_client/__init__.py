"""A Python client of the Pilotlight API and the `pilotlight` command.

from pilotlight_client import Pilotlight

with Pilotlight() as pilotlight:
    pilotlight.deploy("hf://org/model", name="demo", lease="8h")
    pilotlight.wait_until("demo", {"SERVING"})
    print(pilotlight.invoke("demo", "Hello")["output"]["text"])
    print(pilotlight.predict("demo", Path("photograph.png")).json())  # any payload, where a container takes it
"""

from pilotlight_client.api import Pilotlight
from pilotlight_client.errors import (
    ApiError,
    DeploymentFailed,
    InvocationFailed,
    NotReachable,
    PilotlightError,
    TimedOut,
)
from pilotlight_client.results import Result

__all__ = [
    "ApiError",
    "DeploymentFailed",
    "InvocationFailed",
    "NotReachable",
    "Pilotlight",
    "PilotlightError",
    "Result",
    "TimedOut",
]
