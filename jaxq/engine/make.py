"""Giving an algorithm an environment: the parts of an agent chosen and put together."""

from jax.sharding import Mesh

from jaxq import checks
from jaxq.agents import Algorithm, Settings, TableSettings
from jaxq.agents.settings import OPTIMIZERS
from jaxq.engine.acting import CountingActing, EnsembleActing, NetworkActing, RecurrentActing
from jaxq.engine.agent import Acting, Agent, Learning
from jaxq.engine.learner import Descent, check_optimizer
from jaxq.engine.q_function import QFunction, check_network, make_q_function
from jaxq.engine.replay_learning import ReplayLearning
from jaxq.engine.sequence_learning import SequenceLearning
from jaxq.engine.splitting import batch_splitter
from jaxq.engine.table import TableActing, TableLearning
from jaxq.engine.window_learning import WindowLearning
from jaxq.hparams import validated
from jaxq.types import Environment


def make_agent(env: Environment, algorithm: Algorithm, mesh: Mesh | None = None) -> Agent:
    """Give an algorithm an environment.

    Args:
        env: The environment.
        algorithm: The recipe.
        mesh: Devices that share the agent, if there are several.

    Raises:
        InputValueError: If they do not fit: a table without numbered states, a network that does
            not give an action value per action, or an optimizer that needs more than a gradient.
    """
    if isinstance(algorithm.settings, TableSettings):
        return _table_agent(env, algorithm)
    return _deep_agent(env, algorithm, mesh)


def _table_agent(env: Environment, algorithm: Algorithm) -> Agent:
    settings, states = algorithm.settings, env.states
    if states is None:
        raise checks.InputValueError(
            f"{algorithm.name} keeps a table and needs numbered states, which {env.name} has not; "
            "use a deep recipe such as jaxq.dqn(), or jaxq.envs.from_table(P)"
        )
    acting = TableActing(settings, states)
    learning = TableLearning(settings, states, env.num_actions)
    return Agent(acting, learning, acting.values, lambda batch: ())


def _deep_agent(env: Environment, algorithm: Algorithm, mesh: Mesh | None) -> Agent:
    spec, settings = env.observation_spec, algorithm.settings
    q_function = make_q_function(settings, spec, env.num_actions)
    if settings.network is not None:
        check_network(env, settings, q_function)
    descent = Descent(q_function, settings, spec, batch_splitter(mesh))
    learning: Learning
    if settings.recurrent_size:
        learning = SequenceLearning(descent, env.num_actions)
    else:
        kind = WindowLearning if settings.memory == "window" else ReplayLearning
        learning = kind(descent)
    if settings.optimizer not in OPTIMIZERS:
        check_optimizer(descent, validated(algorithm.hparams, algorithm.hparams), learning.init)
    if settings.recurrent_size:
        recurrent = RecurrentActing(q_function, settings, env.num_actions)
        return Agent(recurrent, learning, recurrent.values, recurrent.start)
    return Agent(
        _acting(env, settings, q_function),
        learning,
        lambda learner, observation, carry: (q_function.q_values(learner.params, observation), carry),
        lambda batch: (),
    )


def _acting(env: Environment, settings: Settings, q_function: QFunction) -> Acting:
    if settings.exploration == "ucb":
        return CountingActing(q_function, settings, env.observation_spec, env.num_actions)
    if settings.exploration == "ensemble":
        return EnsembleActing(q_function, settings)
    return NetworkActing(q_function, settings)
