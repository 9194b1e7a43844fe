"""Simulated exchanges on loopback: real WebSocket and REST servers that speak the exchanges' wire protocols."""

from local.simulator.simulators import Simulators

__all__ = ["Simulators"]
