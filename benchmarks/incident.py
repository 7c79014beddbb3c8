"""How well incidents are handled: baselines, a table against optimal play, DQN, Rainbow, frames, R2D2.

Every policy plays whole episodes of `Incident-v0` with the same keys: what it recovers, how soon, at
what price, and what it violates. Agents are trained from 20 seeds, and keep to legal actions; baselines
play as many sets of episodes. On the small instance tabular Q-learning is held against value iteration.

    python benchmarks/incident.py [--seeds 20] [--steps 100000] [--only dqn r2d2] [--tiny] [--write]
"""

import functools
import json
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jaxq

jaxq.use_all_cores()

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
from report import RESULTS, option_parser, report, versions  # noqa: E402

from jaxq.agents.protocol import first_input  # noqa: E402
from jaxq.envs import Incident, IncidentTable, incident_params, incident_table, stack_frames  # noqa: E402
from jaxq.envs.incident.dynamics import split_action  # noqa: E402
from jaxq.envs.incident.policies import POLICIES, omniscient_repairer  # noqa: E402

SERVICES, EPISODES, FRAMES, DISCOUNT = 5, 200, 4, 0.97
KEPT = RESULTS / "incident.json"  # means of each seed
LIMIT = 50  # steps after which an episode is truncated
DEEP = {"hidden_sizes": (64, 64), "learning_rate": 1e-3, "discount": DISCOUNT, "epsilon_end": 0.02}
COLUMNS = ("return", "recovered", "steps to recovery", "price", *Incident.cost_names, "illegal")


class Player(NamedTuple):
    """Something that acts: `act(key, observation, state, legal, carry) -> (action, carry)`.

    `receive(carry, action, reward)` notes what came of it, as recurrent networks ask for.
    """

    act: Callable[..., tuple[jax.Array, Any]]
    begin: Any = ()
    receive: Callable[..., Any] = lambda carry, action, reward: carry


class Game(NamedTuple):
    """An episode while it is played, of which totals count until it ends."""

    state: Any
    observation: jax.Array
    frames: jax.Array
    carry: Any
    running: jax.Array
    recovered: jax.Array
    totals: jax.Array


def play(player: Player, frames: int, key: jax.Array) -> jax.Array:
    """Play one episode, and return `COLUMNS` of it; steps to recovery are NaN where there is none."""
    env, params = Incident(SERVICES), jax.tree.map(jnp.asarray, incident_params(SERVICES))
    reset_key, key = jax.random.split(key)
    observation, state = env.reset(reset_key, params)

    def step(game: Game, key: jax.Array) -> tuple[Game, None]:
        legal = env.legal_actions(game.state, params)
        act_key, step_key = jax.random.split(key)
        action, carry = player.act(act_key, game.frames.ravel(), game.state, legal, game.carry)
        seen, state, reward, terminated, truncated, info = env.step(step_key, game.state, action, params)
        price = params.price[split_action(action)[1]]
        row = jnp.stack([reward, 1.0, price, *info["cost"], ~legal[action]])
        return Game(
            state,
            seen,
            jnp.concatenate([game.frames[1:], seen[None]]),
            player.receive(carry, action, reward),
            game.running & ~(terminated | truncated),
            game.recovered | (game.running & terminated),
            game.totals + game.running * row,
        ), None

    stacked = jnp.broadcast_to(observation[None], (frames, *observation.shape))
    no, yes = jnp.zeros((), bool), jnp.ones((), bool)
    begin = Game(state, observation, stacked, player.begin, yes, no, jnp.zeros(7))
    game = jax.lax.scan(step, begin, jax.random.split(key, LIMIT))[0]
    total, length, *rest = game.totals
    return jnp.stack([total, game.recovered, jnp.where(game.recovered, length, jnp.nan), *rest])


def baseline(policy: Callable[..., jax.Array], knows_state: bool = False) -> Player:
    def act(key: jax.Array, seen: jax.Array, state: Any, legal: jax.Array, carry: Any) -> tuple:
        return policy(key, state if knows_state else seen, legal), carry

    return Player(act)


def agent(trainer: jaxq.Trainer, learner: Any) -> Player:
    """Act greedily on what an agent has learned; what the policy is given next is carried along."""
    env = trainer.env
    blank, legal = jnp.zeros((1, *env.observation_spec.shape)), jnp.ones((1, env.num_actions), bool)
    begin = first_input(blank, trainer.agent.initial_carry(1), legal)

    def act(key: jax.Array, seen: jax.Array, state: Any, legal: jax.Array, inputs: Any) -> tuple:
        inputs = inputs._replace(observation=seen[None], legal_actions=legal[None])
        output = trainer.agent.policy(learner, inputs)
        after = inputs._replace(first=jnp.zeros(1, bool), carry=output.carry)
        return output.action[0], after

    def receive(inputs: Any, action: jax.Array, reward: jax.Array) -> Any:
        return inputs._replace(previous_action=action[None], previous_reward=reward[None])

    return Player(act, begin, receive)


def played(player_of: Callable[[Any], Player], parts: Any, seeds: int, frames: int = 1) -> np.ndarray:
    """Let one player for each seed play the same episodes, and return their means `[seeds, COLUMNS]`."""

    def one(number: jax.Array, part: Any) -> jax.Array:
        keys = jax.random.split(jax.random.fold_in(jax.random.key(1), number), EPISODES)
        return jax.vmap(functools.partial(play, player_of(part), frames))(keys)

    outcomes = jax.jit(lambda parts: jax.lax.map(lambda x: one(*x), (jnp.arange(seeds), parts)))(parts)
    with np.errstate(invalid="ignore"):
        return np.nanmean(np.asarray(outcomes), axis=1)


def trained(recipe: str, seeds: int, steps: int, frames: int = 1, **keywords: Any) -> np.ndarray:
    env = jaxq.envs.make("Incident-v0", services=SERVICES)
    trainer = jaxq.Trainer(
        env if frames == 1 else stack_frames(env, frames),
        getattr(jaxq, recipe)(**{**DEEP, "epsilon_steps": steps // 4, **keywords}),
    )
    population = jaxq.Population(trainer, seeds)
    state, _ = population.run(population.init(jax.random.key(0)), steps)
    return played(functools.partial(agent, trainer), state.learner, seeds, frames)


def cell(values: np.ndarray, digits: str = ".2f") -> str:
    """Write a mean over seeds with its 95% interval."""
    values = values[np.isfinite(values)]
    if not values.size:
        return "-"
    half = 1.96 * values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else 0.0
    return f"{values.mean():{digits}} ± {half:{digits}}"


def small(seeds: int, steps: int) -> list[str]:
    """Train a table on the small instance, and value what it does exactly."""
    table = incident_table(2)
    env, start = table.env, table.env.initial
    best = start @ jaxq.value_iteration(env, DISCOUNT).max(axis=1)

    def value(policy: np.ndarray) -> float:
        q = jaxq.policy_evaluation(env, policy, DISCOUNT)
        return start @ (policy * q).sum(axis=1)

    values = np.array([value(jaxq.greedy_policy(q)) for q in tables(env, seeds, steps)])
    always = {
        "omniscient repairer": omniscient_actions(table),
        "never act": np.zeros(env.num_states, int),
    }
    others = {name: value(np.eye(env.num_actions)[actions]) for name, actions in always.items()}
    loss = 100 * (best - values) / abs(best)
    return [
        f"The small instance ({env.num_states:,} states, discount {DISCOUNT}), exact values of what the",
        "policies are worth at the start:",
        "",
        "| policy | value | below the optimum |",
        "| --- | ---: | ---: |",
        f"| optimal play, by value iteration | {best:.4f} | |",
        f"| q_learning, {steps:,} env steps, {seeds} seeds | {cell(values, '.4f')} | "
        f"{loss.mean():.2f}%, at most {loss.max():.2f}%; {int((loss <= 2).sum())} within 2% |",
        *(
            f"| {name} | {number:.4f} | {100 * (best - number) / abs(best):.2f}% |"
            for name, number in others.items()
        ),
    ]


def tables(env: Any, seeds: int, steps: int) -> list[np.ndarray]:
    """Train tables from so many seeds, and return their values `[S, A]`."""
    exploring = {"epsilon_start": 1.0, "epsilon_end": 0.3, "epsilon_steps": steps // 2}
    trainer = jaxq.Trainer(env, jaxq.q_learning(discount=DISCOUNT, num_envs=64, **exploring))
    population = jaxq.Population(trainer, seeds)
    state, _ = population.run(population.init(jax.random.key(0)), steps)
    numbers = jnp.arange(env.num_states)
    return [np.asarray(trainer.q_values(population.agent(state, i), numbers)) for i in range(seeds)]


def omniscient_actions(table: IncidentTable) -> np.ndarray:
    """What the omniscient repairer does in each state, `[S]`."""
    params = jax.tree.map(jnp.asarray, table.params)
    policy, raw = omniscient_repairer(params), Incident(2)
    act = jax.jit(jax.vmap(lambda state: policy(None, state, raw.legal_actions(state, params))))
    return np.append(act(jax.tree.map(jnp.asarray, table.states)), 0)


def contenders(seeds: int, steps: int) -> dict[str, Callable[[], np.ndarray]]:
    params = jax.tree.map(jnp.asarray, incident_params(SERVICES))
    nothing = jnp.zeros(seeds)
    made: dict[str, Callable[[], np.ndarray]] = {
        name: lambda policy=policy: played(lambda _: baseline(policy), nothing, seeds)
        for name, policy in POLICIES.items()
    }
    made["dqn"] = lambda: trained("dqn", seeds, steps)
    made[f"dqn, {FRAMES} frames"] = lambda: trained("dqn", seeds, steps, FRAMES)
    made["rainbow"] = lambda: trained("rainbow", seeds, steps)
    made["r2d2"] = lambda: trained("r2d2", seeds, steps)
    omniscient = baseline(omniscient_repairer(params), knows_state=True)
    made["omniscient repairer"] = lambda: played(lambda _: omniscient, nothing, seeds)
    return made


def main() -> None:
    parser = option_parser(__doc__, tiny=True)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--steps", type=int, default=100_000, help="env steps of a deep agent")
    parser.add_argument("--table-steps", type=int, default=20_000_000, help="env steps of a table")
    parser.add_argument("--only", nargs="*", help="measure these, and take the rest as it was kept")
    options = parser.parse_args()
    if options.tiny:
        options.seeds, options.steps, options.table_steps = 2, 2_000, 20_000
    measures = contenders(options.seeds, options.steps)
    measures["small"] = lambda: small(options.seeds, options.table_steps)
    kept = {} if options.only is None else json.loads(KEPT.read_text())
    for name in measures if options.only is None else options.only:
        began = time.perf_counter()
        kept[name] = np.asarray(measures[name]()).tolist()
        print(f"{name}: {time.perf_counter() - began:.0f} s", flush=True)
        if options.write:
            KEPT.write_text(json.dumps(kept) + "\n")
    table = [
        "| policy | " + " | ".join(name.replace("_", " ") for name in COLUMNS) + " |",
        "| --- |" + " ---: |" * len(COLUMNS),
    ]
    for name in [name for name in measures if name in kept and name != "small"]:
        cells = " | ".join(cell(np.array(column)) for column in zip(*kept[name], strict=True))
        table.append(f"| {name} | {cells} |")
    table += ["", *kept.get("small", [])]
    method = [
        f"`Incident-v0` with {SERVICES} services: means over whole episodes of at most {LIMIT} steps,",
        f"{EPISODES} for each of {options.seeds} seeds, with the 95% interval of the mean over seeds.",
        "Costs are steps of an episode in which each was 1, the price is summed over an episode, and",
        "steps to recovery are those of episodes that recovered.",
        f"Deep agents were trained for {options.steps:,} env steps each, with hidden layers of",
        f"{DEEP['hidden_sizes']} and discount {DISCOUNT}; they act greedily among legal actions.",
    ]
    measured_with = [versions("jaxq", "jax", "flax", "gymnax")]
    report(__file__, "Incidents", method, measured_with, table, options.write)


if __name__ == "__main__":
    main()
