"""Learning to published scores."""

import jax
import numpy as np
import pytest

import jaxq

pytestmark = [pytest.mark.learning, pytest.mark.optimized]


def scores(id, agents, recipe="dqn"):
    """Train with the settings that the command line starts from, and return a score per agent."""
    steps, keywords = jaxq.preset(id, algorithm=recipe)
    return scores_of(getattr(jaxq, recipe)(**keywords), id, agents, steps)


def scores_of(algorithm, id, agents, steps):
    trainer = jaxq.Trainer(jaxq.envs.make(id), algorithm)
    # No core trains agents that only fill up a chunk.
    population = jaxq.Population(trainer, agents, chunk=min(max(agents // 2, 1), 4))
    state = population.init(jax.random.key(0))
    state, _ = population.run(state, steps - trainer.warmup_steps)
    return np.mean(population.evaluate(state, jax.random.key(1), num_episodes=32), axis=1)


def test_cartpole_is_solved():
    result = scores("CartPole-v1", 16, "n_step_dqn")
    assert jaxq.iqm(result) >= 490
    # About one agent in thirty ends below; elsewhere other rounding makes other agents.
    assert (result >= 475).sum() >= 13


def test_plain_dqn_solves_cartpole():
    # It was 437 before the defaults were swept for; one agent in ten has unlearned when this looks.
    assert jaxq.iqm(scores_of(jaxq.dqn(), "CartPole-v1", 8, 100_000)) >= 475


@pytest.mark.parametrize("algorithm", [jaxq.c51(), jaxq.rainbow()], ids=["c51", "rainbow"])
def test_distributions_find_returns_of_one_without_being_told_their_range(algorithm):
    assert scores_of(algorithm, "Catch-bsuite", 2, 12_000).min() == 1


def test_values_of_a_chain_that_ends_by_its_clock_stay_what_it_can_pay():
    """As a truncation its end was bootstrapped from, and a start from which 1.1 is most came to 10."""
    trainer = jaxq.Trainer(jaxq.envs.make("DiscountingChain-bsuite"), jaxq.c51())
    state, _ = trainer.run(trainer.init(jax.random.key(0)), 40_000)
    q = trainer.q_values(state, np.array([-1.0, 0.0], np.float32))
    assert q.max() < 1.5


def test_acrobot_reaches_the_published_score():
    assert jaxq.iqm(scores("Acrobot-v1", 8)) >= -90


MEMORY = {
    "hidden_sizes": (32,),
    "learning_rate": 1e-3,
    "epsilon_steps": 20_000,
    "target_interval": 200,
}


@pytest.mark.parametrize(
    ("algorithm", "solves"),
    [(jaxq.r2d2(**MEMORY, recurrent_size=32), True), (jaxq.dqn(**MEMORY), False)],
    ids=["recurrent", "feed-forward"],
)
def test_only_memory_solves_a_memory_task(algorithm, solves):
    """The context is shown once, at the beginning; without memory the answer is a coin's toss."""
    trainer = jaxq.Trainer(jaxq.envs.make("MemoryChain-bsuite"), algorithm)
    population = jaxq.Population(trainer, 4, chunk=2)
    state, _ = population.run(population.init(jax.random.key(0)), 60_000)
    score = jaxq.iqm(np.mean(population.evaluate(state, jax.random.key(1), num_episodes=64), axis=1))
    assert score > 0.9 if solves else abs(score) < 0.3
