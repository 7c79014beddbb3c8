"""Recordings of greedy episodes."""

import jax
import numpy as np
import pytest
from PIL import Image

import jaxq
from jaxq.reports import record
from jaxq.reports.drawings import painter
from jaxq.reports.watching import episode


def test_a_recording_shows_every_step(tmp_path):
    """Along the cliff nothing is left to chance, so the episode is the one that is evaluated."""
    trainer = jaxq.Trainer(jaxq.envs.make("Cliff-grid"), jaxq.q_learning(epsilon_end=1.0))
    state, _ = trainer.run(trainer.init(jax.random.key(0)), 100_000)
    (steps,) = -trainer.evaluate(state, jax.random.key(1), num_episodes=1)
    seen = episode(trainer, state, jax.random.key(2), max_steps=50)
    assert len(seen) == steps + 1
    assert (seen[0], seen[-1]) == (36, 47)  # from the start to the goal
    assert record(trainer, state, jax.random.key(2), tmp_path / "episode.gif")
    with Image.open(tmp_path / "episode.gif") as image:
        assert image.format == "GIF"
        assert image.n_frames == steps + 1
    assert len(episode(trainer, state, jax.random.key(2), max_steps=3)) == 4


def test_where_there_is_nothing_to_draw_nothing_is_written(tmp_path):
    trainer = jaxq.Trainer(jaxq.envs.make("Taxi-v4"), jaxq.q_learning())
    state = trainer.init(jax.random.key(0))
    assert not record(trainer, state, jax.random.key(0), tmp_path / "episode.gif")
    assert not (tmp_path / "episode.gif").exists()
    with pytest.raises(TypeError, match="one PRNG key"):
        record(trainer, state, 0, tmp_path / "episode.gif")


DRAWN = (
    "CartPole-v1 MountainCar-v0 Acrobot-v1 Catch-bsuite Breakout-MinAtar FourRooms-misc FourRooms-grid "
    "WindyGrid-grid FrozenLake-v1"
)


@pytest.mark.parametrize("name", DRAWN.split())
def test_environments_that_are_drawn(name):
    env = jaxq.envs.make(name)
    _, seen = jax.jit(lambda key: play(env, key))(jax.random.key(0))
    pictures = [np.asarray(painter(env).paint(observation)) for observation in np.asarray(seen)]
    assert len({picture.shape for picture in pictures}) == 1
    assert len(np.unique(pictures[0].reshape(-1, 3), axis=0)) > 1
    assert any((picture != pictures[0]).any() for picture in pictures)


def play(env, key):
    """Take actions in turn, and return what is seen."""

    def step(state, number):
        action = number % env.num_actions
        state, timestep = env.step(jax.random.fold_in(key, number), state, action, env.params)
        return state, timestep.final_observation

    return jax.lax.scan(step, env.reset(key, env.params)[0], jax.numpy.arange(12))
