"""Simulated exchanges on loopback that speak the real wire protocols, with faults on command and a ground truth."""

from local.simulator.connection import Limits
from local.simulator.faults import (
    Arbitrage,
    Disconnect,
    Duplicate,
    Gap,
    Malformed,
    Planted,
    Reorder,
    Shutdown,
    Stall,
)
from local.simulator.simulators import BookView, Simulators

__all__ = [
    "Arbitrage",
    "BookView",
    "Disconnect",
    "Duplicate",
    "Gap",
    "Limits",
    "Malformed",
    "Planted",
    "Reorder",
    "Shutdown",
    "Simulators",
    "Stall",
]
