"""The command that plans: `jaxq plan`, what may be typed behind it, and the files it reads."""

import json
import sys
import warnings
import zipfile
import zlib
from argparse import Namespace
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from jaxq import checks
from jaxq.cli.arguments import TRUST_IMPORTS, command
from jaxq.cli.assignments import agent_named, parse_values
from jaxq.cli.messages import warn
from jaxq.cli.training import prepare
from jaxq.planning.ranking import ROLLOUTS

# More than any one observation has.
_MOST_BYTES = 64 * 2**20
# RuntimeError is what zipfile says of encrypted archives, and JSON of lists nested too deep.
_UNREADABLE = (
    OSError, ValueError, EOFError, RuntimeError, MemoryError, zlib.error, zipfile.BadZipFile,
)  # fmt: skip
_FORMS = "a JSON list, a JSON object with observation and legal_actions, or an .npz file with these"


@command(TRUST_IMPORTS, agent="best", samples=256, rollouts="best", seed=0)
def plan(args: Namespace) -> None:
    """Say what an agent would do next, best first, how sure it is, and what is illegal and why.

    DIR: A run directory, or that of a saved agent.
    --observation FILE.json|FILE.npz|-: What the system looks like: a JSON list; an object
        {"observation": [...], "legal_actions": [...]}; or an .npz file with arrays of these names; -
        reads JSON from standard input. Without it, what the environment begins with.
    --agent best|iqm|I: Which agent of the run.
    --horizon K: Roll the policy out in the simulator over K steps; not with --observation, which does
        not tell all of the simulator's state.
    --samples N: Rollouts of each action.
    --rollouts best|all: Roll out the best action, or every legal one.
    --budget NAME=NUMBER*: Most that a cost may come to within the horizon; may be given several times.
    --seed S: Seed of the environment's beginning and of the rollouts.
    --json: Print one JSON object: what stood in the table, and more digits.
    """
    checks.one_of("rollouts", args.rollouts, ROLLOUTS)
    budgets = parse_values("--budget", args.budget) or None
    given = {} if args.observation is None else read_observation(args.observation)
    if given and args.horizon is not None:
        raise checks.InputTypeError(
            "a rollout begins in a state of the simulator, which an observation does not tell; leave "
            "out --horizon, or --observation to plan for an episode that begins"
        )
    prepare()
    import jax

    from jaxq.trained import load

    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always", UserWarning)
        agent = load(args.dir, agent_named(args.agent), trust_imports=args.trust_imports)
    for warning in found:
        warn(str(warning.message))
    reset_key, key = jax.random.split(jax.random.key(checks.whole_number("seed", args.seed, 0)))
    if not given:
        reset = jax.jit(agent.env.reset)
        given["env_state"], given["observation"] = reset(reset_key, agent.env_params)
    asked = {"horizon": args.horizon, "samples": args.samples, "rollouts": args.rollouts}
    planned = agent.plan(**given, **asked, key=key, budgets=budgets)
    if args.json:
        print(planned.to_json())
    else:
        Console().print(planned)


def read_observation(name: str) -> dict[str, Any]:
    """Read an observation from a file, and which actions are legal if it says so.

    Args:
        name: A file of JSON or of NumPy's arrays (.npz); "-" is JSON on standard input.

    Returns:
        `observation`, an array, and maybe `legal_actions`, bool.

    Raises:
        InputValueError: If there is no such file, or it is too large or holds something else.
    """
    try:
        parts = _npz(Path(name)) if name.endswith(".npz") else _json(_text(name))
        unknown = sorted(set(parts) - {"observation", "legal_actions"})
        if unknown or "observation" not in parts:
            raise ValueError(f"it holds {', '.join(sorted(parts)) or 'nothing'}")
        arrays = {part: np.asarray(value) for part, value in parts.items()}
    except _UNREADABLE as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        where = "standard input" if name == "-" else name
        raise checks.InputValueError(
            f"{where} cannot be read as an observation ({reason.splitlines()[0]}); give {_FORMS}"
        ) from None
    if "legal_actions" in arrays:
        arrays["legal_actions"] = _mask(arrays["legal_actions"])
    if arrays["observation"].dtype.kind not in "biuf":
        raise checks.InputValueError(f"{name} holds an observation that is no numbers; give {_FORMS}")
    return arrays


def _text(name: str) -> str:
    if name == "-":
        if sys.stdin is None:
            raise ValueError("it is closed")
        data = sys.stdin.buffer.read(_MOST_BYTES + 1)
    else:
        with Path(name).open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
    _check_size(len(data))
    return data.decode()


def _json(text: str) -> dict[str, Any]:
    parts = json.loads(text, parse_constant=_no_number)
    return parts if isinstance(parts, dict) else {"observation": parts}


def _npz(path: Path) -> dict[str, Any]:
    with zipfile.ZipFile(path) as archive:
        # What it says of its size, before it is taken at its word.
        _check_size(sum(member.file_size for member in archive.infolist()))
    with np.load(path, allow_pickle=False) as arrays:
        parts = {part: arrays[part] for part in arrays.files}
    return {"observation": next(iter(parts.values()))} if len(parts) == 1 else parts


def _check_size(size: int) -> None:
    if size > _MOST_BYTES:
        raise ValueError(f"it is larger than {_MOST_BYTES // 2**20} MiB")


def _no_number(name: str) -> None:
    raise ValueError(f"it holds {name}, which is no finite number")


def _mask(values: np.ndarray) -> np.ndarray:
    """Return legal actions as bool; files write them as zeros and ones too."""
    is_mask = values.dtype.kind in "biuf" and np.isin(values, (0, 1)).all()
    return values.astype(bool) if is_mask else values
