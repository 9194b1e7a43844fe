"""Simulated exchanges on loopback that speak the real wire protocols, with faults on command and a ground truth."""

from local.simulator.connection import Limits
from local.simulator.faults import (
    Arbitrage,
    Crossed,
    Disconnect,
    Duplicate,
    Gap,
    Heartbeat,
    Maintenance,
    Malformed,
    Mute,
    Planted,
    RateLimit,
    Refuse,
    Reorder,
    Restart,
    Shutdown,
    Silent,
    Stall,
    WrongClock,
)
from local.simulator.simulators import BookView, Simulators

__all__ = [
    "Arbitrage",
    "BookView",
    "Crossed",
    "Disconnect",
    "Duplicate",
    "Gap",
    "Heartbeat",
    "Limits",
    "Maintenance",
    "Malformed",
    "Mute",
    "Planted",
    "RateLimit",
    "Refuse",
    "Reorder",
    "Restart",
    "Shutdown",
    "Silent",
    "Simulators",
    "Stall",
    "WrongClock",
]
