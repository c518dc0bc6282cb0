"""A simulation of SageMaker's hosting: its limits, its times and its errors, and made-up answers.

It adds to moto what moto lacks: endpoints that take time to come and can fail, instances that are paid for,
containers that read their model data and may not start, asynchronous requests whose results are written and told,
and updates that are rolled back. No model is ever loaded; every text that it writes says "[simulated]".
"""

from local.sagemaker.following import Following
from local.sagemaker.install import install
from local.sagemaker.settings import Knobs, Settings
from local.sagemaker.simulation import Simulation, advance, reset, simulation
from local.sagemaker.ticker import Ticker

__all__ = ["Following", "Knobs", "Settings", "Simulation", "Ticker", "advance", "install", "reset", "simulation"]
