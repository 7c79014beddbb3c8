"""Who handles incidents: baselines and agents, and how their episodes are played."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import jaxq
from jaxq.agents.protocol import first_input
from jaxq.envs import Incident, incident_params
from jaxq.envs.incident.dynamics import split_action
from jaxq.learning import mix_uniform, sample_action

SERVICES, EPISODES = 5, 200
LIMIT = 50  # steps after which an episode is truncated
COLUMNS = ("return", "recovered", "steps to recovery", "price", *Incident.cost_names, "illegal")
BUDGETED, BUDGETS = "needless_action", (1.0, 0.2, 0.05)  # of an episode, on average


def constrained(budget: float) -> str:
    """Name the row of an agent with a budget."""
    return f"constrained_dqn, budget {budget:g}"


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
    """Act by a rule on observations or, for an upper bound, on the state that nobody sees."""

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


class Rules(jaxq.Agent):
    """A baseline as an agent that learns nothing, which `jaxq.collect` logs."""

    name, num_envs, iteration_steps, hparams = "rules", 1, 1, jaxq.Hparams.of()

    def __init__(self, rule: Callable[..., jax.Array]) -> None:
        self.rule = rule

    def init(self, key: jax.Array, hparams: jaxq.Hparams) -> tuple[jax.Array, tuple]:
        return key, ()

    def initial_carry(self, num_envs: int) -> jax.Array:
        return jnp.zeros((), jnp.int32)

    def policy(self, learner: jax.Array, inputs: Any) -> jaxq.PolicyOutput:
        keys = jax.random.split(jax.random.fold_in(learner, inputs.carry), len(inputs.observation))
        action = jax.vmap(self.rule)(keys, inputs.observation, inputs.legal_actions)
        return jaxq.PolicyOutput(action, inputs.carry + 1)

    def act(self, key: jax.Array, learner: jax.Array, hparams: Any, inputs: Any) -> jaxq.PolicyOutput:
        return self.policy(learner, inputs)

    def learn(self, key: jax.Array, learner: Any, replay: Any, *_: Any) -> tuple:
        return learner, replay, jaxq.LearningStatistics()


def log(rule: Callable[..., jax.Array], epsilon: float, steps: int) -> jaxq.dataset.Dataset:
    """Log what a baseline does, some of its actions at random, as a log of past incidents would be."""
    trainer = jaxq.Trainer(jaxq.envs.make("Incident-v0", services=SERVICES), Rules(rule))
    return jaxq.collect(trainer, trainer.init(jax.random.key(2)), jax.random.key(3), steps, epsilon)


def behaviour(rule: Callable[..., jax.Array], epsilon: float) -> Player:
    """Act as in the log: by the rule, and with probability epsilon at random among legal actions."""

    def act(key: jax.Array, seen: jax.Array, state: Any, legal: jax.Array, carry: Any) -> tuple:
        rule_key, key = jax.random.split(key)
        choice = jax.nn.one_hot(rule(rule_key, seen, legal), len(legal))
        return sample_action(key, mix_uniform(choice, epsilon, legal)), carry

    return Player(act)
