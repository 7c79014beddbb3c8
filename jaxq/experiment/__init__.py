"""Experiments: training with a configuration, a directory, progress and a report."""

from jaxq.experiment.callbacks import Callback, Run
from jaxq.experiment.config import Config
from jaxq.experiment.config_file import read_config, read_groups
from jaxq.experiment.configuring import configure
from jaxq.experiment.divergence import DivergenceError
from jaxq.experiment.experiment import Experiment
from jaxq.experiment.groups import configure_sweep
from jaxq.experiment.loaded_agent import AgentCarry, LoadedAgent
from jaxq.experiment.loading import load
from jaxq.experiment.progress import Progress
from jaxq.experiment.runner import StoppedError
from jaxq.experiment.sweep import Sweep, SweepError
from jaxq.experiment.tuning import Tuning, tune

__all__ = [
    "AgentCarry",
    "Callback",
    "Config",
    "DivergenceError",
    "Experiment",
    "LoadedAgent",
    "Progress",
    "Run",
    "StoppedError",
    "Sweep",
    "SweepError",
    "Tuning",
    "configure",
    "configure_sweep",
    "load",
    "read_config",
    "read_groups",
    "tune",
]
