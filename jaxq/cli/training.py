"""The commands that compute: `jaxq train`, `resume`, `evaluate` and `tune`."""

import json
from typing import Any

from rich.console import Console

from jaxq.checks import InputValueError
from jaxq.cli.commands import Evaluate, Processes, Resume, Train, Tune
from jaxq.cli.messages import fail, warn


def train(command: Train) -> int:
    """Train, as the options, a file and the environment's preset say."""
    prepare(command.processes)
    from jaxq.experiment import Experiment, Sweep, read_groups
    from jaxq.experiment.directory import default_path
    from jaxq.experiment.groups import ALL, split
    from jaxq.experiment.imports import with_imports
    from jaxq.experiment.objects import name_of
    from jaxq.experiment.parsing import parse_sample, parse_settings, parse_sweep

    given = {
        "environment": command.env,
        "keywords": parse_settings(_flat(command.set)) or None,
        "sweep": parse_sweep(_flat(command.sweep)) or None,
        "sample": parse_sample(_flat(command.sample)) or None,
        **{name: getattr(command, name) for name in _FIELDS},
    }
    given = with_imports({name: value for name, value in given.items() if value is not None})
    if command.config is not None:
        groups = read_groups(command.config, given, trust_imports=command.trust_imports)
    elif not {"environment", "offline"} & {*given, *given.get("sweep", {})}:
        raise InputValueError("jaxq train takes an environment, for example jaxq train CartPole-v1")
    else:
        groups = split(given)
    what = [{name_of(getattr(group, name)) for group in groups.values()} for name in _WHAT]
    names = [name if not others else "several" for name, *others in what]
    directory = command.out or default_path(*names)
    tracking = command.track, command.track_agents
    if [*groups] == [ALL]:
        return _run(Experiment(groups[ALL], directory, *tracking))
    return _run(Sweep(groups, directory, *tracking))


_WHAT = ("environment", "algorithm")
_FIELDS = (
    "algorithm", "agents", "steps", "seed", "segments", "halvings",
    "checkpoint_segments", "checkpoint_minutes", "on_divergence", "chunk", "offline", "offline_share",
)  # fmt: skip


def resume(command: Resume) -> int:
    """Go on with a run, or with a sweep of several."""
    prepare(command.processes)
    from jaxq.experiment import Experiment, Sweep
    from jaxq.experiment.sweep_directory import is_sweep

    kind = Sweep if is_sweep(command.directory) else Experiment
    trusts = command.trust_imports
    return _run(kind.resume(command.directory, steps=command.steps, trust_imports=trusts))


def _run(experiment: Any) -> int:
    from jaxq.experiment import DivergenceError, StoppedError, SweepError

    try:
        experiment.run(Console())
    except StoppedError as stopped:
        return fail(str(stopped), 128 + stopped.number)
    except (DivergenceError, SweepError) as failed:
        return fail(str(failed), 1)
    return 0


def prepare(processes: Processes) -> None:
    """Set JAX up for a command that computes."""
    # Imported here because drawing takes a while to import, which --help has no need of.
    from jaxq.experiment.distributed import join
    from jaxq.experiment.programs import enable_compilation_cache

    enable_compilation_cache()
    process = processes.coordinator, processes.num_processes, processes.process_id
    if processes.distributed or any(value is not None for value in process):
        join(*process)


def evaluate(command: Evaluate) -> int:
    """Play with what a run trained."""
    prepare(Processes())
    from jaxq.experiment.directory import finite
    from jaxq.experiment.display import evaluation_tables
    from jaxq.experiment.evaluating import evaluate_directory
    from jaxq.experiment.stored_arrays import DamagedError

    what = command.directory, command.episodes, command.seed
    try:
        kinds = {"strict": command.strict, "trust_imports": command.trust_imports}
        evaluated = evaluate_directory(*what, **kinds)
    except DamagedError as error:
        return fail(str(error), 1)
    for warning in evaluated.warnings:
        warn(warning)
    if command.json:
        print(json.dumps(finite(evaluated.summary()), allow_nan=False))
    else:
        Console().print(*evaluation_tables(evaluated))
    return 0


def tune(command: Tune) -> None:
    """Measure the speed of every chunk."""
    prepare(Processes())
    from jaxq.experiment import configure
    from jaxq.experiment import tuning as tuned
    from jaxq.experiment.display import tuning_table
    from jaxq.experiment.imports import with_imports
    from jaxq.experiment.parsing import parse_settings
    from jaxq.experiment.plan import prepare as plan

    given = {"environment": command.env, "algorithm": command.algorithm, "agents": command.agents}
    config = configure(**with_imports({**given, "keywords": parse_settings(_flat(command.set))}))
    population = plan(config).population
    tuning = tuned.tune(population, seconds=command.seconds)
    Console().print(tuning_table(tuning))
    if tuned.remember(population, tuning.best):
        print(f"jaxq train takes a chunk of {tuning.best} for such a population from now on")
    else:
        print("there is no place to remember it; in Python: jaxq.configure(..., chunk=...)")


def _flat(groups: tuple[tuple[str, ...], ...]) -> list[str]:
    return [text for group in groups for text in group]
