"""Experiments: training with a configuration, a directory, progress and a report."""

from jaxq.experiment.config import Config, configure
from jaxq.experiment.experiment import Experiment

__all__ = ["Config", "Experiment", "configure"]
