"""Experiment tracking: what a run did, where people look at runs side by side.

TensorBoard files are always written, into the run directory; wandb and MLflow get the same numbers on
request. A tracker that fails is switched off, and training goes on.
"""

from jaxq.experiment.tracking.tracker import Tracker
from jaxq.experiment.tracking.trackers import Trackers

__all__ = ["Tracker", "Trackers"]
