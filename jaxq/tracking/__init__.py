"""Experiment tracking: TensorBoard files in every run directory; wandb and MLflow on request."""

from jaxq.tracking.trackers import Tracker, Trackers

__all__ = ["Tracker", "Trackers"]
