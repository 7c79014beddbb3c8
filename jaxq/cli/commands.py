"""The commands: what may be typed behind `jaxq`, and what each word means."""

import dataclasses
from pathlib import Path
from typing import Annotated

import tyro

NameValues = Annotated[
    tuple[tuple[str, ...], ...],
    tyro.conf.arg(metavar="NAME=VALUE [NAME=VALUE ...]"),
    tyro.conf.UseAppendAction,
]


@dataclasses.dataclass(frozen=True)
class Processes:
    """How a run is spread over several processes."""

    distributed: bool = False
    """Spread the agents over several processes; SLURM, Open MPI, Kubernetes and TPU pods are found."""
    coordinator: Annotated[str | None, tyro.conf.arg(metavar="HOST:PORT")] = None
    """Where the first process waits for the others, 60 s at most; for other clusters, with the next
    two."""
    num_processes: Annotated[int | None, tyro.conf.arg(metavar="N")] = None
    """Processes in all."""
    process_id: Annotated[int | None, tyro.conf.arg(metavar="I")] = None
    """Number of this process, from 0."""


@dataclasses.dataclass(frozen=True)
class Train:
    """Train a population of agents on an environment, evaluate it, and write a run directory."""

    env: Annotated[tyro.conf.Positional[str | None], tyro.conf.arg(metavar="ENV")] = None
    """A gymnax id such as CartPole-v1, `jaxq envs` lists them; or module:attribute for an environment
    of one's own, or a function that makes one."""
    config: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """A TOML file with what is not given here, or the config.json of a run, to repeat it."""
    algorithm: Annotated[str | None, tyro.conf.arg(metavar="NAME")] = None
    """A recipe, by default dqn, `jaxq algorithms` lists them; or module:attribute for what a recipe
    returns, or an agent of one's own."""
    agents: Annotated[int | None, tyro.conf.arg(metavar="N")] = None
    """Agents in all, of all combinations in a sweep together; by default 8 for each of them."""
    offline: Annotated[Path | None, tyro.conf.arg(metavar="DATA")] = None
    """An NPZ or Parquet file of logged transitions to learn from; without ENV by it alone, and then
    nothing is evaluated."""
    offline_share: Annotated[float | None, tyro.conf.arg(metavar="SHARE")] = None
    """Part of each batch that is drawn from it; by default 1, and then ENV is for evaluation alone."""
    steps: Annotated[int | None, tyro.conf.arg(metavar="N")] = None
    """Env steps of each agent; by default as many as the environment needs."""
    seed: Annotated[int | None, tyro.conf.arg(metavar="S")] = None
    """Seed, by default 0; the same seed gives the same numbers on the same machine."""
    set: NameValues = ()
    """Settings and hyperparameters for all agents, such as learning_rate=0.001 double=true; objects by
    import path, such as network=module:attribute."""
    sweep: Annotated[
        tuple[tuple[str, ...], ...],
        tyro.conf.arg(metavar="NAME=V1,V2,... [NAME=V1,V2,... ...]"),
        tyro.conf.UseAppendAction,
    ] = ()
    """Values of hyperparameters, which share one program, and of settings such as batch_size=32,64,
    hidden_sizes=64x64,128x128 or algorithm=dqn,c51, which get a program and a run directory each, one
    after another; every combination gets as many agents."""
    sample: Annotated[
        tuple[tuple[str, ...], ...],
        tyro.conf.arg(metavar="NAME=KIND:LOW:HIGH [NAME=KIND:LOW:HIGH ...]"),
        tyro.conf.UseAppendAction,
    ] = ()
    """Hyperparameters that each agent draws for itself, such as learning_rate=loguniform:1e-4:1e-2."""
    out: Annotated[Path | None, tyro.conf.arg(metavar="DIR")] = None
    """A directory to make and write to; by default one below runs/."""
    segments: Annotated[int | None, tyro.conf.arg(metavar="N")] = None
    """Times that metrics are written over the run; by default 50."""
    halvings: Annotated[int | None, tyro.conf.arg(metavar="R")] = None
    """Stop the worse half of the agents so many times, the last time at half of the steps."""
    checkpoint_segments: Annotated[int | None, tyro.conf.arg(metavar="N")] = None
    """Write a checkpoint after every so many segments; by default 10."""
    checkpoint_minutes: Annotated[float | None, tyro.conf.arg(metavar="M")] = None
    """Write one also where the last one is older than this; by default 10."""
    on_divergence: Annotated[str | None, tyro.conf.arg(metavar="freeze|restart|stop")] = None
    """What to do with agents whose values diverge; by default freeze. In halvings they come last, one
    that was restarted too."""
    chunk: Annotated[int | None, tyro.conf.arg(metavar="N")] = None
    """Agents trained side by side on one core, by default what is fast; with 4 a small population's
    agents are, to the last bit, those of a large one."""
    track: Annotated[
        tuple[str, ...], tyro.conf.arg(metavar="wandb|mlflow"), tyro.conf.UseAppendAction
    ] = ()
    """Where to log, beside the TensorBoard files in the run directory; may be given several times."""
    track_agents: bool = False
    """Log a run for each agent, beside the one of the population."""
    trust_imports: bool = False
    """Import what --config names by import path, which runs those modules."""
    processes: tyro.conf.OmitArgPrefixes[Processes] = Processes()


@dataclasses.dataclass(frozen=True)
class Resume:
    """Go on with a run that was interrupted, or to more steps, from its newest checkpoint."""

    directory: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="DIR")]
    """A run directory, or that of a sweep with several."""
    steps: Annotated[int | None, tyro.conf.arg(metavar="N")] = None
    """Env steps of each agent in all; by default as many as were planned. All schedules stretch with the
    run: learning rate, epsilon, temperature and importance keep their shares of it."""
    trust_imports: bool = False
    """Import what the directory names by import path, which runs those modules."""
    processes: tyro.conf.OmitArgPrefixes[Processes] = Processes()


@dataclasses.dataclass(frozen=True)
class Evaluate:
    """Play whole episodes greedily with the agents of a run's newest checkpoint."""

    directory: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="DIR")]
    """A run directory."""
    episodes: Annotated[int, tyro.conf.arg(metavar="N")] = 32
    """Episodes of each agent."""
    seed: Annotated[int | None, tyro.conf.arg(metavar="S")] = None
    """Seed of the episodes; by default those that the run itself was evaluated on."""
    json: bool = False
    """Print one JSON object: returns [N][episodes], iqm, interval, costs by name (mean [N], iqm,
    interval, episodes, and with budgets share_over_budget [N]) and return_within_budget [N] where there
    are some, checkpoint (the env steps of each agent before it) and skipped (why newer ones could not
    be used)."""
    strict: bool = False
    """Fail if the newest checkpoint cannot be used, instead of going back to an older one."""
    trust_imports: bool = False
    """Import what the directory names by import path, which runs those modules."""


RunDirectories = Annotated[
    tyro.conf.Positional[tuple[Path, ...]],
    tyro.conf.arg(metavar="DIR [DIR ...]", help_behavior_hint=""),
]


@dataclasses.dataclass(frozen=True)
class Report:
    """Write a page with the curves and scores of one run, or of several side by side."""

    runs: RunDirectories
    """Directories that `jaxq train` has written, also that of a sweep; a run may still go on."""
    out: Annotated[Path | None, tyro.conf.arg(metavar="DIR")] = None
    """Where to write: a new or empty directory; by default the report/ of the run, if it is one."""
    watch: bool = True
    """Play and draw an episode of each run's best agent, where its environment can be drawn."""


@dataclasses.dataclass(frozen=True)
class Compare:
    """Compare the scores of runs, each with the first, and say which differences are significant."""

    runs: RunDirectories
    """Directories that `jaxq train` has written, also that of a sweep; two runs at least."""
    all_pairs: bool = False
    """Compare each run with each, not only with the first."""
    json: bool = False
    """Print one JSON object instead of tables."""


@dataclasses.dataclass(frozen=True)
class Tune:
    """Measure how many agents to train side by side, and remember it for this machine."""

    env: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="ENV")]
    """A gymnax id such as CartPole-v1."""
    algorithm: Annotated[str, tyro.conf.arg(metavar="NAME")] = "dqn"
    """A recipe."""
    agents: Annotated[int, tyro.conf.arg(metavar="N")] = 256
    """Agents in all, as many as are to be trained later."""
    set: NameValues = ()
    """Settings as they are to be trained with later, such as hidden_sizes=64,64."""
    seconds: Annotated[float, tyro.conf.arg(metavar="S")] = 1.0
    """How long one measurement takes; there are three of each size."""


@dataclasses.dataclass(frozen=True)
class View:
    """Write an interactive page of a run or of a lesson: one HTML file that opens without a network."""

    directory: Annotated[tyro.conf.Positional[Path | None], tyro.conf.arg(metavar="DIR")] = None
    """A run directory, of a run that may still go on."""
    lesson: bool = False
    """Train a table and a DQN on a small grid world, in seconds, and show how they learn."""
    out: Annotated[Path, tyro.conf.arg(metavar="FILE")] = Path("view.html")
    """The file to write; one that is there is replaced."""
    seed: Annotated[int, tyro.conf.arg(metavar="S")] = 0
    """Seed of the lesson's training."""
    open: bool = True
    """Open the page where there is a browser."""
    trust_imports: bool = False
    """Import what the run directory holds by import path, which runs that module."""


@dataclasses.dataclass(frozen=True)
class Envs:
    """List the environments."""


@dataclasses.dataclass(frozen=True)
class Algorithms:
    """List the algorithms."""
