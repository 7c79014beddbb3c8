"""The commands that compute: `jaxq train`, `resume`, `evaluate` and `tune`."""

import json
from argparse import Namespace
from typing import Any

from rich.console import Console

from jaxq.checks import InputValueError
from jaxq.cli.arguments import TRUST_IMPORTS, command
from jaxq.cli.assignments import agent_named, parse_lists, parse_texts, parse_values
from jaxq.cli.messages import fail, in_options, warn, working

_PROCESSES = """
--distributed: Spread the agents over several processes; SLURM, Open MPI, Kubernetes and TPU pods are
    found.
--coordinator HOST:PORT: Where the first process waits for the others, 60 s at most; for other clusters,
    with the next two.
--num-processes N: Processes in all.
--process-id I: Number of this process, from 0.
"""
_FIELDS = (
    "algorithm", "agents", "steps", "seed", "segments", "halvings",
    "checkpoint_segments", "checkpoint_minutes", "on_divergence", "chunk", "offline", "offline_share",
    "start", "start_agent",
)  # fmt: skip


@command(_PROCESSES, report=True)
def train(args: Namespace) -> int:
    """Train a population of agents on an environment, evaluate it, and write a run directory.

    ENV?: A gymnax id such as CartPole-v1, `jaxq envs` lists them; or module:attribute for an environment
        of one's own, or a function that makes one.
    --config FILE: A TOML file with what is not given here, or the config.json of a run, to repeat it.
    --algorithm NAME: A recipe, by default dqn, `jaxq algorithms` lists them; or module:attribute for
        what a recipe returns, or an agent of one's own.
    --agents N: Agents in all, of all combinations in a sweep together; by default 8 for each of them.
    --offline DATA: An NPZ or Parquet file of logged transitions to learn from; without ENV by it alone,
        and then nothing is evaluated.
    --offline-share SHARE: Part of each batch that is drawn from it; by default 1, and then ENV is for
        evaluation alone.
    --start DIR: A run, or a saved agent: all agents begin with what one agent of it has learned, and
        learn on with settings, hyperparameters and data of their own.
    --start-agent best|iqm|I: Which agent of that run; by default best.
    --steps N: Env steps of each agent; by default as many as the environment needs.
    --seed S: Seed, by default 0; the same seed gives the same numbers on the same machine.
    --set NAME=VALUE+: Settings and hyperparameters for all agents, such as learning_rate=0.001
        double=true, which `jaxq algorithms --verbose` lists; objects by import path, such as
        network=module:attribute.
    --sweep NAME=V1,V2,...+: Values of hyperparameters, which share one program, and of settings such as
        batch_size=32,64, hidden_sizes=64x64,128x128 or algorithm=dqn,c51, which get a program and a run
        directory each, one after another; every combination gets as many agents.
    --sample NAME=KIND:LOW:HIGH+: Hyperparameters that each agent draws for itself, such as
        learning_rate=loguniform:1e-4:1e-2.
    --out DIR: A directory to make and write to; by default one below runs/.
    --segments N: Times that metrics are written over the run; by default 50.
    --halvings R: Stop the worse half of the agents so many times, the last time at half of the steps.
    --checkpoint-segments N: Write a checkpoint after every so many segments; by default 10.
    --checkpoint-minutes MINUTES: Write one also where the last one is older than this; by default 10.
    --on-divergence freeze|restart|stop: What to do with agents whose values diverge; by default freeze.
        In halvings they come last, one that was restarted too.
    --chunk N: Agents trained side by side on one core, by default what is fast; with 4 a small
        population's agents are, to the last bit, those of a large one.
    --track wandb|mlflow*: Where to log, beside the TensorBoard files in the run directory; may be given
        several times.
    --track-agents: Log a run for each agent, beside the one of the population.
    --report: Draw the report when all is trained, as `jaxq report` does later.
    --trust-imports: Import what --config names by import path, which runs those modules.
    """
    with working("importing JAX and the engine"):
        prepare(args)
        from jaxq.configuration import read_groups
        from jaxq.experiment import Experiment, Sweep
    from jaxq.configuration.groups import ALL, split
    from jaxq.configuration.objects import WHATS, name_of, with_imports
    from jaxq.experiment.directory import default_path

    given = {
        "environment": args.env,
        "keywords": parse_values("--set", args.set) or None,
        "sweep": parse_lists("--sweep", args.sweep) or None,
        "sample": parse_texts("--sample", args.sample) or None,
        **{name: getattr(args, name) for name in _FIELDS},
    }
    if args.start_agent is not None:
        given["start_agent"] = agent_named(args.start_agent)
    given = with_imports({name: value for name, value in given.items() if value is not None})
    if args.config is not None:
        groups = read_groups(args.config, given, trust_imports=args.trust_imports)
    elif not {"environment", "offline"} & {*given, *given.get("sweep", {})}:
        raise InputValueError("jaxq train takes an environment, for example jaxq train CartPole-v1")
    else:
        groups = split(given)
    what = [{name_of(getattr(group, name)) for group in groups.values()} for name in WHATS]
    names = [name if not others else "several" for name, *others in what]
    directory = args.out or default_path(*names)
    tracking = args.track, args.track_agents
    if [*groups] == [ALL]:
        return _run(Experiment(groups[ALL], directory, *tracking), args.report)
    return _run(Sweep(groups, directory, *tracking), args.report)


@command(TRUST_IMPORTS, _PROCESSES, report=True)
def resume(args: Namespace) -> int:
    """Go on with a run that was interrupted, or to more steps, from its newest checkpoint.

    DIR: A run directory, or that of a sweep with several.
    --steps N: Env steps of each agent in all; by default as many as were planned. All schedules stretch
        with the run: learning rate, epsilon, temperature and importance keep their shares of it.
    --report: Draw the report when all is trained.
    """
    prepare(args)
    from jaxq.experiment import Experiment, Sweep
    from jaxq.experiment.directory import is_sweep

    kind = Sweep if is_sweep(args.dir) else Experiment
    experiment = kind.resume(args.dir, steps=args.steps, trust_imports=args.trust_imports)
    return _run(experiment, args.report)


def _run(experiment: Any, report: bool) -> int:
    from jaxq.experiment import DivergenceError, StoppedError, SweepError

    try:
        experiment.run(Console(), report=report)
    except StoppedError as stopped:
        return fail(str(stopped), 128 + stopped.number)
    except (DivergenceError, SweepError) as failed:
        return fail(in_options(str(failed), _FIELDS), 1)
    return 0


def prepare(args: Namespace | None = None) -> None:
    """Set JAX up for a command that computes, in several processes if its values say so."""
    # Imported here because drawing takes a while to import, which --help has no need of.
    from jaxq.experiment.distributed import join
    from jaxq.storage.machine_cache import enable_compilation_cache

    enable_compilation_cache()
    if args is not None:
        process = args.coordinator, args.num_processes, args.process_id
        if args.distributed or any(value is not None for value in process):
            join(*process)


@command(TRUST_IMPORTS, episodes=32)
def evaluate(args: Namespace) -> int:
    """Play whole episodes greedily with the agents of a run's newest checkpoint.

    DIR: A run directory.
    --episodes N: Episodes of each agent.
    --seed S: Seed of the episodes; by default those that the run itself was evaluated on.
    --json: Print one JSON object: returns [N][episodes], iqm, interval, costs by name (mean [N], iqm,
        interval, episodes, and with budgets share_over_budget [N]) and return_within_budget [N] where
        there are some, checkpoint (the env steps of each agent before it) and skipped (why newer ones
        could not be used).
    --strict: Fail if the newest checkpoint cannot be used, instead of going back to an older one.
    """
    prepare()
    from jaxq.experiment.display import evaluation_tables
    from jaxq.experiment.evaluating import evaluate_directory
    from jaxq.storage.json_values import finite
    from jaxq.storage.stored_arrays import DamagedError

    kinds = {"strict": args.strict, "trust_imports": args.trust_imports}
    try:
        evaluated = evaluate_directory(args.dir, args.episodes, args.seed, **kinds)
    except DamagedError as error:
        return fail(str(error), 1)
    for warning in evaluated.warnings:
        warn(warning)
    if args.json:
        print(json.dumps(finite(evaluated.summary()), allow_nan=False))
    else:
        Console().print(*evaluation_tables(evaluated))
    return 0


@command(algorithm="dqn", agents=256, seconds=1.0)
def tune(args: Namespace) -> None:
    """Measure how many agents to train side by side, and remember it for this machine.

    ENV: A gymnax id such as CartPole-v1.
    --algorithm NAME: A recipe.
    --agents N: Agents in all, as many as are to be trained later.
    --set NAME=VALUE+: Settings as they are to be trained with later, such as hidden_sizes=64,64.
    --seconds SECONDS: How long one measurement takes; there are three of each size.
    """
    prepare()
    from jaxq.configuration import configure
    from jaxq.configuration.objects import with_imports
    from jaxq.experiment import tuning as tuned
    from jaxq.experiment.display import tuning_table
    from jaxq.experiment.plan import prepare as plan

    given = {"environment": args.env, "algorithm": args.algorithm, "agents": args.agents}
    config = configure(**with_imports({**given, "keywords": parse_values("--set", args.set)}))
    population = plan(config).population
    tuning = tuned.tune(population, seconds=args.seconds)
    Console().print(tuning_table(tuning))
    if tuned.remember(population, tuning.best):
        print(f"jaxq train takes a chunk of {tuning.best} for such a population from now on")
    else:
        print("there is no place to remember it; in Python: jaxq.configure(..., chunk=...)")
