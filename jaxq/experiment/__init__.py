"""Experiments: training what a configuration describes, in a directory, with progress and a report."""

from jaxq.experiment.experiment import Experiment
from jaxq.experiment.impossible_values import DivergenceError
from jaxq.experiment.runner import StoppedError
from jaxq.experiment.sweep import Sweep, SweepError
from jaxq.experiment.tuning import Tuning, tune

__all__ = [
    "DivergenceError",
    "Experiment",
    "StoppedError",
    "Sweep",
    "SweepError",
    "Tuning",
    "tune",
]
