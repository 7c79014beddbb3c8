"""Planning: from Q-values to the next corrective action, and what is to be expected of it.

In reading order: `plans` is what comes of it, `ranking` asks a trained agent, and `simulation` rolls its
policy out.
"""

from jaxq.planning.plans import Estimate, Outlook, PathStep, Plan, PlannedAction
from jaxq.planning.ranking import plan, plan_of

__all__ = ["Estimate", "Outlook", "PathStep", "Plan", "PlannedAction", "plan", "plan_of"]
