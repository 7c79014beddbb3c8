"""Recurrent agents: what they carry, what they learn from, and what their priorities are."""

import jax
import jax.numpy as jnp
import numpy as np
from numpy.testing import assert_allclose, assert_array_equal
from worlds import Cue, Delayed

import jaxq
from jaxq.agents.experience import mixed_priority
from jaxq.agents.protocol import first_input
from jaxq.agents.q_function import previous_features


def test_the_action_before_and_its_reward_by_hand():
    features = previous_features(jnp.array([-1, 0, 2]), jnp.array([0.0, 3.0, -8.0]), num_actions=3)
    # h(3) = sqrt(4) - 1 + 0.003 and h(-8) = -(sqrt(9) - 1) - 0.008.
    expected = [[0, 0, 0, 0], [1, 0, 0, 1.003], [0, 0, 1, -2.008]]
    assert_allclose(features, expected, rtol=1e-5)


def test_priorities_mix_the_largest_error_of_a_sequence_with_the_mean():
    errors = jnp.array([[1.0, -3.0, 0.0, 2.0], [0.5, 0.5, 0.5, 0.5]])
    # 0.9 * 3 + 0.1 * 6 / 4, and 0.5 however it is mixed.
    assert_allclose(mixed_priority(errors), [2.85, 0.5], rtol=1e-6)


def test_a_sequence_is_unrolled_through_what_acting_went_through(small):
    """With the weights that acted, every state that was stored comes out again, across episodes too."""
    env = jaxq.envs.from_gymnax(Delayed())
    keywords = small(recurrent_size=6, sequence_length=10, burn_in=3, batch_size=32)
    trainer = jaxq.Trainer(env, jaxq.r2d2(**{**keywords, "learning_starts": 100}))
    agent = trainer.agent

    @jax.jit
    def unrolled(state):
        rows = state.steps // 4
        drawn = agent.source.replay.sample(jax.random.key(1), state.memory, rows, state.hparams)
        q_function = agent.q_function
        hidden, output = q_function._unroll(q_function.network, state.learner.params, drawn, {})
        return hidden, output, drawn, state.memory.ring

    state = trainer.init(jax.random.key(0))
    hidden, output, drawn, ring = jax.device_get(unrolled(state))
    assert output.shape == (32, 13, 2)
    # Where a sequence begins in the ring, by the state before it.
    stored, actions, rewards, _ = ring.extras
    written = int(state.steps) // 4
    for sequence in range(32):
        first = drawn.extras.carry[sequence]
        rows, envs = np.nonzero((stored == first).all(axis=-1)[: written - 12])
        # Of windows that begin an episode, several begin with the same state: nothing.
        after = hidden[sequence, :-1]
        matches = []
        for row, env in zip(rows, envs, strict=True):
            ended = ring.ending[row : row + 12, env][:, None] > 0
            matches.append(np.abs(np.where(ended, 0, after - stored[row + 1 : row + 13, env])).max())
        assert min(matches) < 1e-5
    # An episode begins with nothing, and goes on with what was done and what that paid.
    begins = np.concatenate([np.ones((1, 4), bool), ring.ending[: written - 1] > 0])
    assert_array_equal(actions[:written][begins], -1)
    assert_array_equal(stored[:written][begins], 0)
    before = ~begins[1:]
    assert_array_equal(actions[1:written][before], ring.action[: written - 1][before])
    assert_array_equal(rewards[1:written][before], ring.reward[: written - 1][before])
    assert begins[1:].any()


def test_what_was_done_changes_what_a_recurrent_agent_values(small):
    trainer = jaxq.Trainer(jaxq.envs.from_gymnax(Cue()), jaxq.r2d2(**small(recurrent_size=6)))

    @jax.jit
    def values(action, reward):
        learner, _ = trainer.agent.init(jax.random.key(0), trainer.hparams)
        inputs = first_input(jnp.ones((1, 1)), trainer.agent.initial_carry(1))
        before = {"previous_action": action[None], "previous_reward": reward[None].astype(jnp.float32)}
        return trainer.agent.q_values(learner, inputs._replace(**before))[0][0]

    pairs = (-1, 0), (0, 0), (1, 0), (1, 5)
    seen = [tuple(np.asarray(values(*map(jnp.asarray, pair)))) for pair in pairs]
    assert len(set(seen)) == 4
