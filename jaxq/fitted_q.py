"""Fitted Q evaluation with a network, for logs whose states cannot be counted."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxq.networks import Head, QNetwork, Torso
from jaxq.types import ObservationSpec

_BATCH_SIZE, _TARGET_RATE, _LEARNING_RATE = 256, 0.05, 3e-3


class LoggedRows(NamedTuple):
    """Logged steps of T rows, and what is seen in R places, those of the rows and of ends cut off.

    Attributes:
        observation: What is seen, `[R, ...]`.
        policy: The policy's probabilities there, `[R, A]`.
        action: Actions, int32 `[T]`.
        reward: Rewards, `[T]`.
        terminated: Whether that ended the task, bool `[T]`.
        following: Place that each step led to, int32 `[T]`, in [0, R).
        episode: Number of the episode, int32 `[T]`.
        known: Whether it is known what the step led to, bool `[T]`.
    """

    observation: jax.Array
    policy: jax.Array
    action: jax.Array
    reward: jax.Array
    terminated: jax.Array
    following: jax.Array
    episode: jax.Array
    known: jax.Array


def fitted_q_network(
    key: jax.Array,
    rows: LoggedRows,
    discount: jax.Array,
    weight: jax.Array,
    *,
    hidden_sizes: tuple[int, ...],
    num_updates: int,
) -> jax.Array:
    """Learn a policy's action values from logged steps, with a network and a slower copy of it.

    `loss = (r_t + discount_t * sum_b policy[s_t, b] q_target(s_t, b) - q(s_tm1, a_tm1))^2 / 2`

    in batches of 256 steps, drawn in proportion to the weights of their episodes, with Adam, whose step
    size falls to zero. Rewards are divided by their root mean square on the way.

    Args:
        key: PRNG key.
        rows: The steps.
        discount: gamma, `[]`, in [0, 1].
        weight: Weight of each episode, `[N]`, >= 0.
        hidden_sizes: Widths of the dense layers.
        num_updates: Gradient steps.

    Returns:
        Action values in all places, `[R, A]`.

    References:
        Le, Voloshin and Yue, Batch Policy Learning under Constraints, 2019, algorithm 3.
    """
    observation = rows.observation
    spec = ObservationSpec(observation.shape[1:], observation.dtype)
    network = QNetwork(Torso(spec, hidden_sizes, False, False, None), Head(rows.policy.shape[1]))
    optimizer = optax.adam(optax.linear_schedule(_LEARNING_RATE, 0, num_updates))
    init_key, draw_key = jax.random.split(key)
    params = network.init(init_key, observation[:1])
    ends = jnp.cumsum(weight[rows.episode] * rows.known)
    scale = jnp.maximum(jnp.sqrt(jnp.mean(rows.reward**2)), 1e-8)

    def update(carry: tuple, key: jax.Array) -> tuple[tuple, None]:
        params, target, opt_state = carry
        chosen = jnp.searchsorted(ends, ends[-1] * jax.random.uniform(key, (_BATCH_SIZE,)), "right")
        chosen = jnp.minimum(chosen, len(ends) - 1)
        after = rows.following[chosen]
        value = jnp.sum(rows.policy[after] * network.apply(target, observation[after]), axis=1)
        goal = rows.reward[chosen] / scale + discount * (1 - rows.terminated[chosen]) * value

        def loss(params: dict) -> jax.Array:
            q = network.apply(params, observation[chosen])
            taken = jnp.take_along_axis(q, rows.action[chosen][:, None], axis=1)[:, 0]
            return jnp.mean(optax.losses.l2_loss(taken, goal))

        updates, opt_state = optimizer.update(jax.grad(loss)(params), opt_state)
        params = optax.apply_updates(params, updates)
        return (params, optax.incremental_update(params, target, _TARGET_RATE), opt_state), None

    carry = params, params, optimizer.init(params)
    (params, *_), _ = jax.lax.scan(update, carry, jax.random.split(draw_key, num_updates))
    return scale * network.apply(params, observation)
