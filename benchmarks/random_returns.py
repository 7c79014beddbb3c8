"""Returns of random actions in every environment, and the best there can be where a table is exact.

    python benchmarks/random_returns.py [--write]

Each environment is played by a policy that takes every legal action equally often. Of a table the best
return is that of a policy that also knows the time, by going backwards from the time limit.
`jaxq/envs/catalogue.py` holds what comes out.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from report import option_parser, report, versions

import jaxq
from jaxq.envs import TableEnvironment

EPISODES, SEGMENT, SEGMENTS = 1_024, 200, 60
# Making it downloads a data set.
LEFT_OUT = ("MNISTBandit-bsuite",)


def random_returns(env: Any) -> np.ndarray:
    """Play whole episodes with random legal actions, and return their returns, `[EPISODES]`."""
    masked = bool(getattr(env, "has_legal_actions", False))

    def act(key: jax.Array, state: Any) -> jax.Array:
        if not masked:
            return jax.random.randint(key, (), 0, env.num_actions)
        logits = jnp.where(env.legal_actions(state, env.params), 0.0, -jnp.inf)
        return jax.random.categorical(key, logits)

    def step(game: tuple, key: jax.Array) -> tuple[tuple, None]:
        state, total, going_on = game
        act_key, step_key = jax.random.split(key)
        state, timestep = env.step(step_key, state, act(act_key, state), env.params)
        total += jnp.where(going_on, timestep.reward, 0.0)
        return (state, total, going_on & ~(timestep.terminated | timestep.truncated)), None

    @jax.jit
    @jax.vmap
    def play(game: tuple, key: jax.Array) -> tuple:
        return jax.lax.scan(step, game, jax.random.split(key, SEGMENT))[0]

    keys = jax.random.split(jax.random.key(0), EPISODES)
    state, _ = jax.vmap(env.reset, in_axes=(0, None))(keys, env.params)
    game = state, jnp.zeros(EPISODES), jnp.ones(EPISODES, bool)
    for segment in range(SEGMENTS):
        game = play(game, jax.random.split(jax.random.key(1 + segment), EPISODES))
        if not game[2].any():
            return np.asarray(game[1], np.float64)
    raise RuntimeError(f"{env.name} has episodes of more than {SEGMENT * SEGMENTS} steps")


def best_return(env: TableEnvironment) -> float:
    """Return the largest mean return within the time limit, by backward induction."""
    probability, following, reward, terminated = env.outcomes
    illegal = np.zeros(probability.shape[:2]) if env.legal is None else np.where(env.legal, 0, -np.inf)
    value = np.zeros(env.num_states)
    for _ in range(int(env.params.max_steps_in_episode)):
        q = (probability * (reward + np.where(terminated, 0.0, value[following]))).sum(axis=2)
        value = (q + illegal).max(axis=1)
    return float(env.initial @ value)


def main() -> None:
    options = option_parser(__doc__).parse_args()
    table = ["| environment | random | standard error | best, exactly |", "| --- | ---: | ---: | ---: |"]
    for info in jaxq.envs.listing():
        if info.actions is None or info.id in LEFT_OUT:
            continue
        env = jaxq.envs.make(info.id)
        returns = random_returns(env)
        error = returns.std() / np.sqrt(EPISODES)
        best = f"{best_return(env):.4g}" if isinstance(env, TableEnvironment) else ""
        table.append(f"| {info.id} | {returns.mean():.4g} | {error:.2g} | {best} |")
        print(table[-1], flush=True)
    method = [
        f"Undiscounted returns of {EPISODES:,} whole episodes with random legal actions, and the",
        "standard error of their mean; of tables also the best mean return within the time limit, of a",
        "policy that knows the time, exactly.",
    ]
    measured_with = [versions("jaxq", "jax", "gymnax", "gymnasium", "numpy")]
    report(__file__, "Random returns", method, measured_with, table, options.write)


if __name__ == "__main__":
    main()
