"""Training: one agent, a population, and how they are evaluated."""

from jaxq.training.devices import use_all_cores
from jaxq.training.population import Population
from jaxq.training.state import AGENT_AXES, AgentState, Metrics
from jaxq.training.trainer import Trainer

__all__ = ["AGENT_AXES", "AgentState", "Metrics", "Population", "Trainer", "use_all_cores"]
