"""Checks of what is not jaxq's own in an agent: that it traces, and keeps the shapes of its state.

A component or an agent of the user's own that does not fit would fail inside JAX, in the middle of a
program that it is one part of; here it fails before anything is compiled, in one line.
"""

from collections.abc import Callable
from typing import Any

import jax

from jaxq import checks
from jaxq.engine.state import AgentState


def is_foreign(algorithm: Any) -> bool:
    """Tell whether an agent, or a component of a recipe, was written elsewhere."""
    return any(map(_is_foreign, (algorithm, *getattr(algorithm, "components", ()))))


def _is_foreign(part: Any) -> bool:
    if isinstance(part, tuple):
        return any(map(_is_foreign, part))
    held = [value for value in getattr(part, "__dict__", {}).values() if callable(value)]
    modules = [type(part).__module__, *(getattr(x, "__module__", None) or "jaxq." for x in held)]
    if callable(part):
        modules.append(getattr(part, "__module__", None) or "jaxq.")
    return any(not module.startswith(("jaxq.", "builtins", "flax.")) for module in modules)


def check_traces(
    name: str, init: Callable[[], AgentState], iterate: Callable[[AgentState], AgentState]
) -> None:
    """Check that an agent can be made and trained, by tracing both.

    Args:
        name: What the agent is called.
        init: Makes its state.
        iterate: Trains for one iteration.

    Raises:
        InputValueError: If tracing fails, with the reason, or training changes the shapes of the state.
    """
    try:
        state = jax.eval_shape(init)
        after = jax.eval_shape(iterate, state)
    except checks.InputError:
        raise
    except Exception as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise checks.InputValueError(
            f"{name} cannot be trained: {type(error).__name__}: {reason}; components and agents of your "
            "own are traced by JAX, see jaxq.Agent for what their functions are given and return"
        ) from error
    before, after = (dict(_shapes(tree)) for tree in (state, after))
    wrong = [path for path in before.keys() | after.keys() if before.get(path) != after.get(path)]
    if wrong:
        path = min(wrong)
        raise checks.InputValueError(
            f"{name} must keep the shapes and types of its state while it learns: {path} was "
            f"{before.get(path, 'nothing')} and became {after.get(path, 'nothing')}"
        )


def _shapes(state: AgentState) -> list[tuple[str, str]]:
    leaves = jax.tree.leaves_with_path(state._replace(key=None))
    return [(jax.tree_util.keystr(path), f"{leaf.dtype}{list(leaf.shape)}") for path, leaf in leaves]
