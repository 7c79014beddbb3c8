"""Training: one agent, a population, how they are evaluated, and how they learn from each other."""

from jaxq.engine.collecting import collect
from jaxq.engine.devices import use_all_cores
from jaxq.engine.evaluation import EpisodeOutcomes
from jaxq.engine.pbt import pbt
from jaxq.engine.population import Population
from jaxq.engine.state import AGENT_AXES, AgentState, CostMetrics, Metrics
from jaxq.engine.trainer import Trainer

__all__ = [
    "AGENT_AXES",
    "AgentState",
    "CostMetrics",
    "EpisodeOutcomes",
    "Metrics",
    "Population",
    "Trainer",
    "collect",
    "pbt",
    "use_all_cores",
]
