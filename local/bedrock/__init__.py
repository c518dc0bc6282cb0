"""A simulation of Bedrock Custom Model Import: its limits, its times and its errors, and made-up text.

It adds to moto what moto lacks: import jobs, imported models with their tags, the service's quotas, and the
runtime that answers for an imported model. No model is ever loaded; every text it writes says "[simulated]".
"""

from local.bedrock.install import install
from local.bedrock.settings import Settings
from local.bedrock.simulation import Simulation, reset, simulation

__all__ = ["Settings", "Simulation", "install", "reset", "simulation"]
