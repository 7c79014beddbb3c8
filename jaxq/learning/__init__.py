"""The maths of Q-learning: pure functions on one transition or one trajectory, which callers vmap.

In reading order: `schedules` say how much to explore, and `policies` which action that makes likely;
`returns` sum rewards over several steps; `targets` add what is still to come, by one formula for every
algorithm; `values` say what a network's output means, be it a number or a distribution, and how far it
is from its target, with the maths of `distributions` and `rescaling`, and of costs, `constrained`.
`off_policy` says from logged episodes what a policy would be worth.
"""

from jaxq.learning.constrained import (
    PricedValue,
    multiplier_step,
    priced_target,
    priced_values,
)
from jaxq.learning.distributions import (
    Quantiles,
    categorical_projection,
    quantile_huber_loss,
    quantile_midpoints,
)
from jaxq.learning.imitation import ConstrainedValue, PreferenceValue, imitation_loss
from jaxq.learning.off_policy import (
    Episodes,
    Estimate,
    bootstrap_estimate,
    doubly_robust,
    fitted_q_evaluation,
    fitted_q_value,
    importance_ratios,
    per_decision_importance,
    weighted_importance,
)
from jaxq.learning.policies import (
    action_at,
    boltzmann_probabilities,
    epsilon_greedy,
    greedy_probabilities,
    mask_illegal,
    mix_uniform,
    sample_action,
    scaled_log_probabilities,
    ucb_values,
)
from jaxq.learning.rescaling import RescaledValue, rescale, undo_rescale
from jaxq.learning.returns import NStepReturn, lambda_returns, n_step_return, n_step_sums
from jaxq.learning.schedules import (
    epsilon_ladder,
    exponential_schedule,
    learning_rate_schedule,
    linear_schedule,
)
from jaxq.learning.targets import (
    Bootstrap,
    conservative_penalty,
    expected_bootstrap,
    greedy_bootstrap,
    munchausen_bootstrap,
    td_target,
    value_of_action,
)
from jaxq.learning.values import CategoricalValue, Loss, QuantileValue, ScalarValue, Value

__all__ = [
    "Bootstrap",
    "CategoricalValue",
    "ConstrainedValue",
    "Episodes",
    "Estimate",
    "Loss",
    "NStepReturn",
    "PreferenceValue",
    "PricedValue",
    "QuantileValue",
    "Quantiles",
    "RescaledValue",
    "ScalarValue",
    "Value",
    "action_at",
    "boltzmann_probabilities",
    "bootstrap_estimate",
    "categorical_projection",
    "conservative_penalty",
    "doubly_robust",
    "epsilon_greedy",
    "epsilon_ladder",
    "expected_bootstrap",
    "exponential_schedule",
    "fitted_q_evaluation",
    "fitted_q_value",
    "greedy_bootstrap",
    "greedy_probabilities",
    "imitation_loss",
    "importance_ratios",
    "lambda_returns",
    "learning_rate_schedule",
    "linear_schedule",
    "mask_illegal",
    "mix_uniform",
    "multiplier_step",
    "munchausen_bootstrap",
    "n_step_return",
    "n_step_sums",
    "per_decision_importance",
    "priced_target",
    "priced_values",
    "quantile_huber_loss",
    "quantile_midpoints",
    "rescale",
    "sample_action",
    "scaled_log_probabilities",
    "td_target",
    "ucb_values",
    "undo_rescale",
    "value_of_action",
    "weighted_importance",
]
