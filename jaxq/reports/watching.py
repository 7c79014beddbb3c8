"""Watching an agent: one greedy episode as a moving picture."""

import io
from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from jaxq import checks
from jaxq.agents.protocol import first_input, next_input
from jaxq.engine import AgentState, Trainer
from jaxq.engine.state import check_key, check_state
from jaxq.experiment.evaluating import evaluate, instead, trained
from jaxq.precision import in_32_bits
from jaxq.reports.drawings import painter
from jaxq.storage import access

_LAST_MILLISECONDS = 1_000


def record(
    trainer: Trainer, agent_state: AgentState, key: jax.Array, path: Path, max_steps: int = 500
) -> bool:
    """Play one episode greedily, and draw it.

    Args:
        trainer: What the agent was trained with.
        agent_state: One agent, from `trainer.init`, `trainer.run` or `Population.agent`.
        key: PRNG key.
        path: The GIF to write.
        max_steps: Steps to draw at most.

    Returns:
        Whether it was written; nothing is where there is no way to draw the environment.

    Raises:
        InputTypeError: If `agent_state` is no agent or `key` no PRNG key.
        InputValueError: If `agent_state` is another trainer's, or the steps are not positive.
    """
    check_state(agent_state, trainer.template)
    check_key(key)
    max_steps = checks.whole_number("max_steps", max_steps)
    drawn = painter(trainer.env)
    if drawn is None:
        return False
    images = [drawn.paint(observation) for observation in episode(trainer, agent_state, key, max_steps)]
    gif = io.BytesIO()
    images[0].save(
        gif,
        format="GIF",
        save_all=True,
        append_images=images[1:],
        duration=[drawn.milliseconds] * (len(images) - 1) + [_LAST_MILLISECONDS],
        loop=0,
    )
    access.replace(path, gif.getvalue())
    return True


@in_32_bits()
def record_best(directory: Path, warn: Callable[[str], None]) -> bool:
    """Draw an episode of the agent of a run that scores best, to `report/episode.gif`.

    Args:
        directory: A run directory.
        warn: Told why newer checkpoints could not be used.

    Returns:
        Whether its environment can be drawn.

    Raises:
        InputValueError: If it is no run directory, or has no checkpoint that can be used.
    """
    plan, run, skipped = trained(directory)
    for reason in skipped:
        warn(instead(reason, run.steps))
    scores = evaluate(plan, run, plan.config.evaluation_episodes).returns.mean(axis=1)
    best = plan.population.agent(run.state, int(np.nanargmax(np.nan_to_num(scores, nan=-np.inf))))
    key = jax.random.key(plan.config.seed)
    return record(plan.population.trainer, best, key, directory / "report" / "episode.gif")


def episode(trainer: Trainer, agent_state: AgentState, key: jax.Array, max_steps: int) -> np.ndarray:
    """Play one episode greedily, and return what the agent sees, the last observation included.

    Args:
        trainer: What the agent was trained with.
        agent_state: The agent.
        key: PRNG key.
        max_steps: Steps to play at most.

    Returns:
        Observations `[T + 1, ...]` of the T steps that were played.
    """
    env = trainer.env

    def play(agent: AgentState, key: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        reset_key, step_key = jax.random.split(key)
        env_state, first = env.reset(reset_key, agent.env_params)

        def step(game: tuple, time: jax.Array) -> tuple[tuple, tuple]:
            env_state, inputs, ended = game
            output = trainer.agent.policy(agent.learner, inputs)
            step_key_now = jax.random.fold_in(step_key, time)
            env_state, timestep = env.step(step_key_now, env_state, output.action[0], agent.env_params)
            now_ended = ended | timestep.terminated | timestep.truncated
            many = jax.tree.map(lambda leaf: leaf[None], timestep)
            game = env_state, next_input(inputs, output, many), now_ended
            return game, (timestep.final_observation, ~ended)

        inputs = first_input(first[None], trainer.agent.initial_carry(1))
        game = env_state, inputs, jnp.bool_(False)
        _, (seen, played) = jax.lax.scan(step, game, jnp.arange(max_steps))
        return first, seen, played

    first, seen, played = jax.device_get(jax.jit(play)(agent_state, key))
    return np.concatenate([first[None], seen[played]])
