"""Plans against numbers that can be worked out on paper, and what they are asked with."""

import copy
import json
import pickle
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from rich.console import Console
from worlds import Delayed, World

import jaxq
from jaxq.agents.protocol import first_input, next_input
from jaxq.envs.words import ends_well, words_of
from jaxq.learning.distributions import Quantiles
from jaxq.planning.programs import programs_of

KEY = jax.random.key(0)
WAIT, REPAIR, GAMBLE = range(3)
PRICES = np.array([-1.0, -2.0, -1.5])
HEAL = np.array([0.2, 0.9, 0.5])
STEPS = 3


def clinic(legal: Any = None) -> jaxq.envs.TableEnvironment:
    """State 0 is broken, state 1 healthy and the end; an action has its price and heals at its rate."""
    P = {  # noqa: N806
        0: {a: [(HEAL[a], 1, PRICES[a], True), (1 - HEAL[a], 0, PRICES[a], False)] for a in range(3)},
        1: {a: [(1.0, 1, 0.0, True)] for a in range(3)},
    }
    env = jaxq.envs.from_table(P, initial=0, legal_actions=legal, max_steps=1_000, name="clinic")
    env.action_names, env.no_op, env.recovered = ("wait", "repair", "gamble"), WAIT, ends_well
    return env


def exact(env: Any, discount: float = 0.9) -> tuple[jaxq.Trainer, jaxq.AgentState, np.ndarray]:
    """Return an agent whose table is that of value iteration."""
    trainer = jaxq.Trainer(env, jaxq.q_learning(discount=discount))
    state, q = trainer.init(KEY), jaxq.value_iteration(env, discount)
    visits = jnp.arange(state.learner.visits.size, dtype=jnp.float32).reshape(state.learner.visits.shape)
    learner = state.learner._replace(q=jnp.asarray(q, jnp.float32)[None], visits=visits)
    return trainer, state._replace(learner=learner), q


@pytest.fixture(scope="module")
def healed():
    env = clinic()
    trainer, state, q = exact(env)
    env_state, observation = env.reset(KEY, env.params)
    found = jaxq.plan(
        trainer, state, observation, env_state=env_state, horizon=STEPS, samples=2_000, rollouts="all"
    )
    return found, q


def test_values_and_advantages_are_those_of_the_table(healed):
    plan, q = healed
    # By hand: q* (repair) = -2 + 0.9 * 0.1 * v with v = -2 / (1 - 0.09).
    assert q[0, REPAIR] == pytest.approx(-2 / 0.91)
    assert [action.name for action in plan.actions] == ["repair", "gamble", "wait"]
    for action in plan.actions:
        assert action.q_value == pytest.approx(q[0, action.action])
        assert action.advantage == pytest.approx(q[0, action.action] - q[0, WAIT], abs=1e-5)
        assert action.confidence == action.action
        assert action.legal is True
        assert action.reason is None
    assert plan.advantage_over == "wait"
    assert plan.confidence_kind == "visits"


@pytest.mark.parametrize("first", [WAIT, REPAIR, GAMBLE])
def test_probabilities_and_rewards_lie_in_their_intervals(healed, first):
    outlook = next(action for action in healed[0].actions if action.action == first).outlook
    # Behind the first action the policy repairs.
    ill = (1 - HEAL[first]) * 0.1 ** np.arange(STEPS)
    recovery = 1 - ill[-1]
    assert outlook.recovery.low <= recovery <= outlook.recovery.high
    assert outlook.recovery.high - outlook.recovery.low < 0.05
    total = PRICES[first] - 2 * ill[:-1].sum()
    assert outlook.total_reward.low <= total <= outlook.total_reward.high
    assert [step.name for step in outlook.path][:2] == [("wait", "repair", "gamble")[first], "repair"]
    assert all(step.share == 1.0 for step in outlook.path)
    assert outlook.path[1].going_on == pytest.approx(1 - HEAL[first], abs=0.05)
    assert [step.reward for step in outlook.path[:2]] == [PRICES[first], -2.0]
    assert outlook.path[-1].total_reward == pytest.approx(outlook.total_reward.value)
    assert outlook.costs is None
    assert outlook.over_budget is None


def test_a_plan_is_strict_json_and_reads_as_a_table(healed):
    plan, _ = healed
    values = json.loads(plan.to_json(), parse_constant=pytest.fail)
    assert values == plan.to_dict()
    assert values["actions"][0]["name"] == "repair"
    assert values["actions"][0]["outlook"]["recovery"]["value"] == plan.best.outlook.recovery.value
    console = Console(width=120)
    with console.capture() as capture:
        console.print(plan)
    for text in (str(plan), capture.get()):
        lines = text.splitlines()
        assert "advantage" in lines[0]
        assert "repair" in lines[1]
        assert "probability of recovery: " in text


def test_an_illegal_action_comes_last_whatever_it_pays():
    env = clinic(np.array([[True, False, True], [True, True, True]]))
    trainer, state, q = exact(env)
    assert q[0].argmax() == REPAIR
    env.illegal_reason = lambda observation, action: f"no tools in {int(observation)}"
    plan = jaxq.plan(trainer, state, 0)
    assert [action.legal for action in plan.actions] == [True, True, False]
    assert plan.actions[-1].reason == "no tools in 0"
    assert plan.legal_actions.tolist() == [True, False, True]
    assert "not legal: no tools in 0" in str(plan)
    env.illegal_reason = None
    assert jaxq.plan(trainer, state, 0).actions[-1].reason == "not legal in this state"
    assert jaxq.plan(trainer, state, 0, np.array([False, False, True])).best.name == "gamble"
    rolled = jaxq.plan(
        trainer, state, 0, env_state=env.reset(KEY, env.params)[0], horizon=5, rollouts="all"
    )
    assert [action.outlook is None for action in rolled.actions] == [False, False, True]
    assert REPAIR not in {step.action for step in rolled.best.outlook.path}


def test_without_a_no_op_the_best_other_action_counts():
    env = clinic()
    env.no_op = None
    trainer, state, q = exact(env)
    plan = jaxq.plan(trainer, state, 0)
    value = np.sort(q[0])[::-1]
    gaps = [value[0] - value[1], value[1] - value[0], value[2] - value[0]]
    assert [action.advantage for action in plan.actions] == pytest.approx(gaps, abs=1e-5)
    only = jaxq.plan(trainer, state, 0, np.array([True, False, False]))
    assert only.best.advantage is None


def test_recovery_is_nothing_where_nobody_says_what_it_is(cartpole):
    trainer = jaxq.Trainer(cartpole, jaxq.dqn(hidden_sizes=(8,)))
    state = trainer.init(KEY)
    env_state, observation = cartpole.reset(KEY, cartpole.params)
    plan = jaxq.plan(trainer, state, observation, env_state=env_state, horizon=20, samples=8)
    assert plan.best.outlook.recovery is None
    assert plan.best.confidence is None
    assert plan.confidence_kind is None
    assert plan.best.name.startswith("action ")
    assert plan.best.outlook.total_reward.value == sum(s.going_on for s in plan.best.outlook.path)


def test_ensembles_say_how_their_members_differ(small):
    trainer = jaxq.Trainer(coin(), jaxq.bootstrapped_dqn(**small(ensemble_size=3)))
    state = trainer.init(KEY)
    plan = jaxq.plan(trainer, state, jnp.ones(1))
    inputs = first_input(jnp.ones((1, 1)), trainer.agent.initial_carry(1))
    previous = inputs.previous_action, inputs.previous_reward
    members, _ = trainer.agent.q_function.step(state.learner.params, (), inputs.observation, previous)
    assert plan.confidence_kind == "ensemble spread"
    for action in plan.actions:
        assert action.confidence == pytest.approx(float(members[:, 0, action.action].std()), rel=1e-4)
        assert action.confidence > 0


def test_the_spread_of_a_distribution_is_the_deviation_of_the_return():
    atoms = jaxq.learning.CategoricalValue(3, -1, 1)
    logits = jnp.log(jnp.array([[0.25, 0.5, 0.25], [1e-9, 1.0, 1e-9]]))
    np.testing.assert_allclose(atoms.spread(logits), [0.5**0.5, 0], atol=1e-4)
    quantiles = Quantiles(jnp.array([[1.0, 3.0], [2.0, 2.0]]), jnp.array([0.25, 0.75]))
    np.testing.assert_allclose(jaxq.learning.QuantileValue().spread(quantiles), [1, 0])


@pytest.mark.parametrize("recipe", ["c51", "qr_dqn", "iqn"])
def test_distributions_say_how_widely_returns_are_spread(recipe, small):
    """One step that pays 1 or -1, whatever is done: the return's standard deviation is 1."""
    ends = {"num_atoms": 2, "value_min": -1, "value_max": 1} if recipe == "c51" else {}
    trainer = jaxq.Trainer(coin(), getattr(jaxq, recipe)(**small(learning_rate=1e-2, **ends)))
    state, _ = trainer.run(trainer.init(KEY), 2_000)
    plan = jaxq.plan(trainer, state, jnp.ones(1))
    assert plan.confidence_kind == "return spread"
    # The Huber loss of quantiles draws them toward the middle.
    low = 0.85 if recipe == "c51" else 0.3
    assert all(low < action.confidence < 1.15 for action in plan.actions)


def coin() -> Any:
    """Return a world of one step that pays 1 or -1 by a coin that is not seen."""

    class Coin(World):
        def reward(self, state, action, params):
            return 2.0 * state.cue - 1

    return jaxq.envs.from_gymnax(Coin(), name="coin")


def test_a_recurrent_agent_plans_by_what_it_carries():
    env = jaxq.envs.from_gymnax(Delayed(), name="delayed")
    sizes = {"hidden_sizes": (8,), "recurrent_size": 8, "sequence_length": 8, "burn_in": 2}
    trainer = jaxq.Trainer(env, jaxq.r2d2(**sizes, num_envs=4, buffer_size=400))
    state = trainer.init(KEY)
    env_state, observation = env.reset(KEY, env.params)
    inputs = first_input(observation[None], trainer.agent.initial_carry(1))
    output = trainer.agent.policy(state.learner, inputs)
    env_state, timestep = env.step(KEY, env_state, output.action[0], env.params)
    after = next_input(inputs, output, jax.tree.map(lambda leaf: leaf[None], timestep))
    told = {
        "carry": after.carry,
        "previous_action": int(after.previous_action[0]),
        "previous_reward": float(after.previous_reward[0]),
    }
    plan = jaxq.plan(trainer, state, timestep.observation, **told)
    q, _ = trainer.agent.q_values(state.learner, after)
    values = {action.action: action.q_value for action in plan.actions}
    np.testing.assert_allclose([values[a] for a in range(env.num_actions)], q[0], rtol=1e-5)
    fresh = jaxq.plan(trainer, state, timestep.observation)
    assert fresh.best.q_value != plan.best.q_value
    rolled = jaxq.plan(
        trainer, state, timestep.observation, env_state=env_state, horizon=4, samples=4, **told
    )
    assert rolled.best.outlook.path[0].action == plan.best.action


class CostlyStep(NamedTuple):
    """What a step gives in an environment with costs."""

    observation: Any
    reward: Any
    terminated: Any
    truncated: Any
    final_observation: Any
    legal_actions: Any
    final_legal_actions: Any
    cost: Any


def test_costs_and_budgets():
    env = clinic()
    trainer, state, _ = exact(env)
    costly, step = copy.copy(env), env.step

    def with_cost(*arguments: Any) -> tuple:
        env_state, timestep = step(*arguments)
        fields = timestep._asdict()
        fields["cost"] = jnp.array([1.0, 2.0])
        return env_state, CostlyStep(**{name: fields[name] for name in CostlyStep._fields})

    costly.step, costly.costs = with_cost, {"downtime": None, "money": None}
    trainer = jaxq.Trainer(env, trainer.algorithm)
    trainer.env = costly
    agent = copy.copy(trainer.agent)
    object.__setattr__(
        agent,
        "cost_values",
        lambda learner, inputs: jnp.broadcast_to(jnp.arange(6.0).reshape(2, 3), (1, 2, 3)),
    )
    trainer.agent = agent
    # Costs of the running episodes are part of a state.
    state = state._replace(actors=trainer.init(KEY).actors)
    plan = jaxq.plan(
        trainer,
        state,
        0,
        env_state=env.reset(KEY, env.params)[0],
        horizon=5,
        samples=1_000,
        budgets={"downtime": 1.0, "money": 100.0},
    )
    assert plan.best.expected_costs == {"downtime": 1.0, "money": 4.0}
    outlook = plan.best.outlook
    assert outlook.over_budget["downtime"].low <= 0.1 <= outlook.over_budget["downtime"].high
    assert outlook.over_budget["money"].value == 0
    expected = sum(0.1**t for t in range(5))
    assert outlook.costs["downtime"].low <= expected <= outlook.costs["downtime"].high
    assert "break the budget on downtime" in str(plan)


@pytest.mark.parametrize("number", range(4))
def test_incidents_tell_what_is_legal_and_why_not(number):
    env = jaxq.envs.make("Incident-v0", services=2)
    stacked = jaxq.envs.stack_frames(env, 2)
    key = jax.random.key(number)
    state, seen = stacked.reset(key, env.params)
    step = jax.jit(stacked.step)
    reasons = set()
    for action in (3, 6, 2, 12, 9, 1):
        state, timestep = step(key, state, jnp.int32(action), env.params)
        for world, observation in (
            (env, timestep.observation[..., -seen.size // 2 :]),
            (stacked, timestep.observation),
        ):
            words = words_of(world)
            mask = words.observed_legal_actions(observation)
            np.testing.assert_array_equal(mask, timestep.legal_actions)
            found = [words.illegal_reason(observation, a) for a in range(env.num_actions)]
            np.testing.assert_array_equal([reason is None for reason in found], mask)
        reasons |= {*found}
    assert "scale out is under way" in reasons


def test_the_table_of_an_incident_says_the_same():
    env = pickle.loads(pickle.dumps(jaxq.envs.make("Incident-table", services=1)))
    words = words_of(env)
    assert words.action_names[:2] == ("wait", "restart service 0")
    reasons = [[words.illegal_reason(s, a) for a in range(7)] for s in range(env.num_states)]
    np.testing.assert_array_equal([[reason is None for reason in row] for row in reasons], env.legal)
    assert {"no older version", "roll back is under way", "isolated already"} <= {
        reason for row in reasons for reason in row
    }


@pytest.fixture(scope="module")
def asked():
    env = clinic()
    trainer, state, _ = exact(env)
    return trainer, state, env.reset(KEY, env.params)[0]


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"observation": 2}, "state number in"),
        ({"observation": [0, 1]}, "one observation"),
        ({"observation": "x"}, "must be numbers"),
        ({"legal_actions": [1, 0, 1]}, "legal_actions must be bool"),
        ({"legal_actions": np.zeros(3, bool)}, "no action is legal"),
        ({"horizon": 3}, "env_state"),
        ({"horizon": 0, "env_state": True}, "horizon must be at least 1"),
        ({"horizon": 3, "samples": 1, "env_state": True}, "samples must be at least 2"),
        ({"horizon": 3, "samples": 10**9, "env_state": True}, "episodes"),
        ({"horizon": 3, "env_state": jnp.zeros(3)}, "env_state must be one state of clinic"),
        ({"horizon": 3, "env_state": True, "rollouts": "bset"}, "did you mean best"),
        ({"horizon": 3, "env_state": True, "budgets": {"money": 1}}, "has none"),
        ({"budgets": {"money": 1}}, "horizon"),
        ({"carry": jnp.zeros(3)}, "carry must be"),
        ({"carry": (), "previous_action": 3}, "previous_action"),
        ({"key": 0, "horizon": 3, "env_state": True}, "key must be"),
    ],
)
def test_what_cannot_be_used_is_told(asked, keywords, message):
    trainer, state, env_state = asked
    if keywords.get("env_state") is True:
        keywords = {**keywords, "env_state": env_state}
    observation = keywords.get("observation", 0)
    rest = {name: value for name, value in keywords.items() if name != "observation"}
    with pytest.raises(jaxq.InputError, match=message):
        jaxq.plan(trainer, state, observation, **rest)


def test_values_that_are_not_finite_are_refused(asked):
    trainer, state, _ = asked
    broken = state._replace(learner=state.learner._replace(q=state.learner.q * jnp.nan))
    with pytest.raises(jaxq.InputError, match="diverged"):
        jaxq.plan(trainer, broken, 0)


def test_inside_another_program_it_is_told(asked):
    trainer, state, _ = asked
    with pytest.raises(jaxq.InputError, match=r"outside"):
        jax.jit(lambda observation: jaxq.plan(trainer, state, observation).best.q_value)(jnp.int32(0))


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("action_names", "wait", "tuple of names"),
        ("action_names", ("wait",), "3, one for each"),
        ("no_op", 3, "one of its 3 actions"),
        ("recovered", 1, "must be a function"),
    ],
)
def test_words_that_do_not_fit_are_told(name, value, message):
    env = clinic()
    setattr(env, name, value)
    with pytest.raises(jaxq.InputError, match=message):
        words_of(env)


def test_one_program_serves_every_state(asked):
    trainer, state, env_state = asked
    ask = {"env_state": env_state, "horizon": 4, "samples": 4}
    jaxq.plan(trainer, state, 0, **ask)
    programs = [program._compiled for program in programs_of(trainer)]
    before = [program._cache_size() for program in programs]
    jaxq.plan(trainer, trainer.init(jax.random.key(1)), 0, key=jax.random.key(2), **ask)
    assert [program._cache_size() for program in programs] == before


def worn():
    """One step of two actions, of which one pays 1 and wears by 3; noise costs nothing here."""
    table = {0: {0: [(1.0, 1, 1.0, True)], 1: [(1.0, 1, 0.0, True)]}}
    table[1] = {a: [(1.0, 1, 0.0, True)] for a in range(2)}
    costs = {"noise": np.zeros((2, 2)), "wear": np.array([[3.0, 0.0], [0.0, 0.0]])}
    return jaxq.envs.from_table(table, initial=0, costs=costs)


@pytest.mark.parametrize(
    "recipe",
    [
        jaxq.constrained_q_learning(budgets={"wear": 10.0}, num_envs=4),
        jaxq.constrained_dqn(
            budgets={"wear": 10.0},
            **{"num_envs": 4, "hidden_sizes": (16,), "batch_size": 16, "learning_starts": 40},
            **{"buffer_size": 400, "train_interval": 4, "learning_rate": 1e-2, "epsilon_end": 0.5},
        ),
    ],
    ids=["table", "network"],
)
def test_agents_with_budgets_say_what_an_action_costs(recipe):
    trainer = jaxq.Trainer(worn(), recipe)
    state, _ = trainer.run(trainer.init(KEY), 4_000)
    plan = jaxq.plan(trainer, state, 0)
    assert plan.best.action == 0
    found = [action.expected_costs for action in plan.actions]
    assert [set(costs) for costs in found] == [{"wear"}, {"wear"}]
    np.testing.assert_allclose([costs["wear"] for costs in found], [3.0, 0.0], atol=0.1)
    assert "wear" in str(plan)
