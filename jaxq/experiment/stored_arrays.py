"""Arrays as orbax stores them: a whole population, or only that part of it which is asked for."""

import contextlib
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxq.experiment.manifest import DamagedError
from jaxq.types import PyTree


def checkpointer() -> Any:
    """Return what reads and writes arrays."""
    # Imported here because it takes a while, which --help has no need of.
    import orbax.checkpoint as ocp

    # What goes wrong is told once, by whoever asked, instead of by each of its threads.
    logging.getLogger("absl").setLevel(logging.CRITICAL)
    _ignore_leftovers()
    return ocp.PyTreeCheckpointer()


def _ignore_leftovers() -> None:
    """Keep Python from printing a page on each array that orbax leaves behind when another one fails.

    Their reading or writing ends when nobody waits for it any more.
    """
    before = sys.unraisablehook
    if getattr(before, "ignores_leftovers", False):
        return

    def hook(unraisable: Any) -> None:
        if str(unraisable.exc_value) != "Event loop is closed":
            before(unraisable)

    hook.ignores_leftovers = True
    sys.unraisablehook = hook


def read_arrays(path: Path, like: PyTree) -> PyTree:
    """Read all arrays, if they are of the same names, shapes and types.

    Args:
        path: Where they are.
        like: Shapes, types and shardings.

    Raises:
        DamagedError: If they are others, or cannot be read.
    """
    with _as_damage():
        numbers = jax.eval_shape(plain, like)
        check_same(_stored(path), by_name(numbers))
        import orbax.checkpoint as ocp

        arguments = ocp.checkpoint_utils.construct_restore_args(_with_shardings(numbers, like))
        restored = checkpointer().restore(path, item=numbers, restore_args=arguments)
    return with_keys(restored, like)


def read_part(path: Path, like: dict[str, PyTree]) -> dict[str, PyTree]:
    """Read some of the arrays, to numpy, and leave the others where they are.

    Args:
        path: Where they are.
        like: Shapes and types of the parts that are asked for, by their names.

    Returns:
        Those parts, with PRNG keys as the numbers that they are made of.

    Raises:
        DamagedError: If they are of other names, shapes or types, or cannot be read.
    """
    with _as_damage():
        numbers = jax.eval_shape(plain, like)
        stored = {name: leaf for name, leaf in _stored(path).items() if name.split("/")[0] in like}
        check_same(stored, by_name(numbers))
        import orbax.checkpoint as ocp

        arguments = jax.tree.map(lambda _: ocp.RestoreArgs(restore_type=np.ndarray), numbers)
        return checkpointer().restore(path, item=numbers, restore_args=arguments, partial_restore=True)


@contextlib.contextmanager
def _as_damage() -> Iterator[None]:
    try:
        yield
    except DamagedError:
        raise
    except Exception as error:
        raise DamagedError(str(error).strip().splitlines()[0]) from error


def _stored(path: Path) -> dict[str, Any]:
    """Return the shapes and types of what is stored, by name."""
    return by_name(checkpointer().metadata(path).item_metadata.tree)


def check_same(kept: dict[str, Any], wanted: dict[str, Any]) -> None:
    """Check that arrays have the names, shapes and types that are wanted.

    Raises:
        DamagedError: If they have not.
    """
    # By name, because what orbax reads back are dictionaries and lists instead of named tuples.
    for name in sorted({*kept, *wanted}):
        sides = [_shape(tree.get(name)) for tree in (kept, wanted)]
        if sides[0] != sides[1]:
            raise DamagedError(f"{name} is {sides[0]} where {sides[1]} is expected")


def by_name(tree: PyTree) -> dict[str, Any]:
    """Return the leaves of a tree by their names."""
    return {
        jax.tree_util.keystr(path, simple=True, separator="/"): leaf
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
    }


def _shape(leaf: Any) -> str:
    return "nothing" if leaf is None else f"{np.dtype(leaf.dtype).name}{list(leaf.shape)}"


def _with_shardings(plain: PyTree, like: PyTree) -> PyTree:
    def leaf(shape: jax.ShapeDtypeStruct, like: Any) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct(shape.shape, shape.dtype, sharding=like.sharding)

    return jax.tree.map(leaf, plain, like)


def plain(tree: PyTree) -> PyTree:
    """Replace PRNG keys by the numbers they are made of."""
    return jax.tree.map(lambda leaf: jax.random.key_data(leaf) if _is_key(leaf) else leaf, tree)


def with_keys(numbers: PyTree, like: PyTree) -> PyTree:
    """Make PRNG keys again of the numbers that `plain` has put in their place."""

    def leaf(numbers: jax.Array, like: Any) -> jax.Array:
        if not _is_key(like):
            return numbers
        return jax.random.wrap_key_data(numbers, impl=jax.random.key_impl(jnp.zeros((), like.dtype)))

    return jax.tree.map(leaf, numbers, like)


def _is_key(leaf: Any) -> bool:
    return jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
