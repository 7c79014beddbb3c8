"""Experiments: training with a configuration, a directory, progress and a report."""

from jaxq.experiment.config import Config, configure
from jaxq.experiment.config_file import read_config
from jaxq.experiment.experiment import Experiment
from jaxq.experiment.runner import DivergenceError
from jaxq.experiment.stopping import StoppedError
from jaxq.experiment.tuning import Tuning, tune

__all__ = [
    "Config",
    "DivergenceError",
    "Experiment",
    "StoppedError",
    "Tuning",
    "configure",
    "read_config",
    "tune",
]
