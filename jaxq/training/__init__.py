"""Training: one agent, a population, how they are evaluated, and how they learn from each other."""

from jaxq.training.devices import use_all_cores
from jaxq.training.pbt import pbt
from jaxq.training.population import Population
from jaxq.training.state import AGENT_AXES, AgentState, Metrics
from jaxq.training.trainer import Trainer

__all__ = ["AGENT_AXES", "AgentState", "Metrics", "Population", "Trainer", "pbt", "use_all_cores"]
