"""What a recurrent agent carries from step to step: its hidden state, what it did and what that paid."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxq.learning import rescale


class RecurrentState(NamedTuple):
    """What a recurrent agent knows before an observation.

    Attributes:
        hidden: State of the recurrent layer, `[..., H]`.
        action: The action before, int32 `[...]`; -1 where the episode begins.
        reward: What it was rewarded with, float32 `[...]`; 0 where the episode begins.
    """

    hidden: jax.Array
    action: jax.Array
    reward: jax.Array


def episode_begin(lead: tuple[int, ...], hidden_size: int) -> RecurrentState:
    """Return what is known where an episode begins, leaves `[*lead, ...]`."""
    hidden, action = jnp.zeros((*lead, hidden_size)), jnp.full(lead, -1, jnp.int32)
    return RecurrentState(hidden, action, jnp.zeros(lead))


def previous_features(action: jax.Array, reward: jax.Array, num_actions: int) -> jax.Array:
    """Describe what was done before an observation to the network.

    The action as a one-hot vector, all zeros for -1, and behind it the reward, rescaled like values, so
    that large ones do not push the gates of the recurrent layer to their ends.

    Args:
        action: Actions before, int32 `[...]`.
        reward: Their rewards, float32 `[...]`.
        num_actions: Number of actions A.

    Returns:
        float32 `[..., A + 1]`.

    References:
        Kapturowski et al., Recurrent Experience Replay in Distributed Reinforcement Learning, 2019,
        section 2.3 (both as input, rewards as they are).
    """
    return jnp.append(jax.nn.one_hot(action, num_actions), rescale(reward)[..., None], axis=-1)
