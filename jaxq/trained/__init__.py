"""Trained agents by themselves: loaded from a run, or from where one was saved without it."""

from jaxq.trained.loaded_agent import LoadedAgent
from jaxq.trained.loading import load

__all__ = ["LoadedAgent", "load"]
