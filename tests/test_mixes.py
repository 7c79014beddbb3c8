"""Every two settings together: what is accepted has an effect, and what has none is refused.

Programs are compared as they are traced: where one setting leaves the program that another one makes as
it was, it was ignored. Nothing is compiled.
"""

import functools
import itertools
import re
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
import pytest

import jaxq
from jaxq.agents.composition import OWNERS
from jaxq.agents.protocol import first_input
from jaxq.agents.target_params import TargetNetwork
from jaxq.checks import InputValueError
from jaxq.replay import UniformReplay
from jaxq.types import ObservationSpec, Transition


class Blind(nn.Module):
    @nn.compact
    def __call__(self, observation):
        return nn.Dense(2)(nn.Dense(2)(observation))


class World(NamedTuple):
    """As much of an environment as an agent asks for before it acts."""

    name: str = "world"
    num_actions: int = 2
    observation_spec: ObservationSpec = ObservationSpec((1,), jnp.dtype("float32"))
    has_legal_actions: bool = False
    cost_names: tuple[str, ...] = ()


def sgd(hparams):
    return optax.sgd(hparams.learning_rate)


class Torso(nn.Module):
    @nn.compact
    def __call__(self, observation):
        return nn.Dense(2)(observation)


class OtherReplay(UniformReplay):
    def sample(self, key, state, rows_written, hparams):
        return super().sample(jax.random.fold_in(key, 1), state, rows_written, hparams)


def average(q_target_t):
    return jaxq.learning.expected_bootstrap(jnp.full(q_target_t.shape, 1 / q_target_t.size))


def smaller(q_tm1):
    return jnp.mean(q_tm1**2)


BASE = {
    "hidden_sizes": (2,),
    "num_envs": 2,
    "buffer_size": 256,
    "batch_size": 8,
    "learning_starts": 16,
    "train_interval": 2,
    "target_interval": 4,
    "optimizer": sgd,
}
# Another value of every setting; of a choice all but those that are treated like one of the others.
OTHERWISE = {
    "hidden_sizes": [(3,)],
    "network": [Blind()],
    "layer_norm": [True],
    "noisy": [True],
    "compute_type": ["bfloat16"],
    "recurrent_size": [3],
    "num_envs": [4],
    "memory": ["window"],
    "buffer_size": [512],
    "batch_size": [16],
    "sequence_length": [5],
    "burn_in": [2],
    "prioritized": [True],
    "learning_starts": [1_200],
    "train_interval": [4],
    "target_interval": [8],
    "double": [True],
    "dueling": [True],
    "n_step": [2],
    "munchausen": [True],
    "conservative": [True],
    "value": ["rescaled", "categorical", "implicit_quantile"],
    "num_atoms": [7],
    "value_min": [-3.0],
    "value_max": [3.0],
    "num_quantiles": [5],
    "num_target_quantiles": [5],
    "num_policy_quantiles": [5],
    "loss": ["huber"],
    "exploration": ["boltzmann", "ucb", "ensemble"],
    "epsilon_schedule": ["ladder"],
    "count_bits": [5],
    "ensemble_size": [3],
    "prior_scale": [0.5],
    "optimizer": [jaxq.agents.adam],
    "torso": [Torso()],
    "bootstrap": [average],
    "target": [TargetNetwork(7)],
    "auxiliary": [(smaller,)],
    "replay": [OtherReplay],
}
CHOICES = [(name, value) for name, values in OTHERWISE.items() for value in values]


@functools.cache
def recipe(*chosen):
    """The recipe with some settings otherwise than at the base, or why there is none."""
    keywords = {**BASE, **dict(chosen)}
    if {"network", "torso"} & {*keywords} and "hidden_sizes" not in dict(chosen):
        del keywords["hidden_sizes"]
    if {"memory", "target"} & {*dict(chosen)} and "target_interval" not in dict(chosen):
        del keywords["target_interval"]
    try:
        return jaxq.dqn(**keywords)
    except InputValueError as error:
        return str(error)


def written(function, *arguments):
    """The program of a function as text, with the numbers that it closes over; and what it returns."""
    program, returned = jax.make_jaxpr(function, return_shape=True)(*arguments)
    text = re.sub("0x[0-9a-f]+", "", str(program))
    return (text, [leaf.tobytes() for leaf in constants(program)]), returned


def constants(program):
    found = [jax.device_get(leaf) for leaf in program.consts]
    for equation in program.eqns:
        for value in jax.tree.leaves(equation.params, is_leaf=lambda leaf: hasattr(leaf, "eqns")):
            found += constants(value) if hasattr(value, "consts") else []
    return found


@functools.cache
def parts(*chosen):
    """An agent and what its parts are given."""
    algorithm = recipe(*chosen)
    agent = algorithm.bind(World(), lambda batch: batch)
    hparams = jax.tree.map(jnp.float32, algorithm.hparams)
    return agent, (jax.random.key(0), hparams, jnp.ones((agent.num_envs, 1)), jnp.int32(0))


@functools.cache
def beginning(*chosen):
    """How an agent begins and acts: a part of its program that is traced fast."""
    agent, arguments = parts(*chosen)

    def begin_and_act(key, hparams, observation, steps):
        learner, replay = agent.init(key, hparams)
        inputs = first_input(observation, agent.initial_carry(agent.num_envs))
        inputs = inputs._replace(first=observation[:, 0] > 0, steps=steps)
        return learner, replay, agent.act(key, learner, hparams, inputs)

    program, returned = written(begin_and_act, *arguments)
    return (*program, agent.iteration_steps, agent.warmup_steps), returned


@functools.cache
def learning(*chosen):
    """How an agent learns from what it did."""
    agent, arguments = parts(*chosen)
    rows = agent.iteration_steps // agent.num_envs

    def learn(key, hparams, observation, steps, begun):
        learner, replay, output = begun
        number, flag = observation[:, 0], observation[:, 0] > 0
        row = Transition(observation, output.action, number, flag, flag, observation, output.extras)
        newest = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (rows, *leaf.shape)), row)
        replay = agent.observe(replay, newest, steps)
        return agent.learn(key, learner, replay, hparams, newest, steps)

    return written(learn, *arguments, beginning(*chosen)[1])[0]


def same_program(left, right):
    return beginning(*left)[0] == beginning(*right)[0] and learning(*left) == learning(*right)


def test_every_setting_is_walked_through():
    fields = {name for owner in OWNERS for name in owner.fields}
    # Budgets are for an environment with costs: see test_budgets.
    assert {*OTHERWISE} == ({*jaxq.dqn().settings} | fields) - {"budgets"}


def test_what_is_accepted_has_an_effect_beside_every_other_setting():
    ignored, accepted = [], 0
    for pair in itertools.combinations(CHOICES, 2):
        if pair[0][0] == pair[1][0] or isinstance(recipe(*pair), str):
            continue
        accepted += 1
        alone = [(choice,) for choice in pair if not isinstance(recipe(choice), str)]
        assert alone, pair
        ignored += [(pair, choice) for choice in alone if same_program(pair, choice)]
    assert not ignored
    assert accepted > 250


def test_single_settings_have_an_effect_or_need_another_one():
    needed = {name for name, value in CHOICES if isinstance(recipe((name, value)), str)}
    assert needed == {
        *("num_atoms", "value_min", "value_max"),
        *("num_quantiles", "num_target_quantiles", "num_policy_quantiles"),
        *("count_bits", "prior_scale", "sequence_length", "burn_in"),
    }
    for choice in CHOICES:
        if choice[0] not in needed:
            assert not same_program((choice,), ()), choice
    atoms = (("value", "categorical"),)
    assert not same_program((*atoms, ("value_min", -3.0), ("value_max", 3.0)), atoms)


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"num_atoms": 7}, "set value='categorical' too; or leave out num_atoms"),
        ({"value_min": -1.0, "value_max": 1.0, "value": "quantile"}, "set value='categorical' too"),
        ({"num_quantiles": 7}, "set value='quantile' or value='implicit_quantile' too"),
        ({"num_target_quantiles": 7, "value": "quantile"}, "set value='implicit_quantile' too"),
        ({"loss": "huber", "value": "categorical"}, "set value='scalar' too; or leave out loss"),
        ({"count_bits": 7}, "set exploration='ucb' too"),
        ({"prior_scale": 1.0}, "set exploration='ensemble' too"),
        ({"burn_in": 99}, "set recurrent_size=64 too"),
        ({"sequence_length": 99}, "set recurrent_size=64 too"),
        ({"network": Blind(), "hidden_sizes": (8,)}, "leave out network"),
        ({"epsilon_schedule": "ladder", "epsilon_steps": 5}, "set epsilon_schedule='linear'"),
        ({"memory": "window", "munchausen": True}, "there is no log-policy of the steps between"),
        ({"recurrent_size": 8, "exploration": "ucb"}, "'boltzmann', or leave out recurrent_size"),
    ],
)
def test_what_would_have_no_effect_is_refused_with_what_would(keywords, message):
    with pytest.raises(InputValueError, match=re.escape(message)):
        jaxq.dqn(**keywords)


def test_there_must_be_layers_to_normalize(cartpole):
    linear = {"layer_norm": True, "hidden_sizes": ()}
    with pytest.raises(InputValueError, match="or leave out layer_norm"):
        jaxq.Trainer(cartpole, jaxq.dqn(**linear))
    jaxq.Trainer(jaxq.envs.make("Breakout-MinAtar"), jaxq.dqn(**linear))
    jaxq.Trainer(cartpole, jaxq.dqn(**linear, recurrent_size=4, dueling=True))


def test_what_is_given_as_it_would_be_anyway_is_no_mistake():
    assert jaxq.dqn(num_atoms=51, loss="squared") == jaxq.dqn()


def test_a_preset_leaves_out_what_a_recipe_has_no_use_for():
    assert jaxq.preset("Breakout-MinAtar").keywords["loss"] == "huber"
    for name in jaxq.agents.DEEP:
        jaxq.agents.recipe(name)(**jaxq.preset("Breakout-MinAtar", algorithm=name).keywords)
    # And what the user sets comes first, also where it leaves the preset's without a use.
    keywords = {"value": "quantile", "epsilon_schedule": "ladder"}
    config = jaxq.configure("Breakout-MinAtar", keywords=keywords)
    assert not {"loss", "epsilon_steps"} & {*config.keywords}
    with pytest.raises(InputValueError, match="no use of loss"):
        jaxq.configure("Breakout-MinAtar", keywords={**keywords, "loss": "huber"})
