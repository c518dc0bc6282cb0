"""A model hub on this machine that speaks the Hugging Face hub's HTTP API over folders."""

from local.hub.faults import Faults
from local.hub.limits import RateLimit
from local.hub.server import Hub, Leak, Request

__all__ = ["Faults", "Hub", "Leak", "RateLimit", "Request"]
