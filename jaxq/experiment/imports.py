"""Objects by import path, `module:attribute`: named on the command line, and in a run that is trusted.

To import a module is to run it. So nothing is imported but what the user names, or what is named in a
directory that the user says to trust; a run directory that was received from somebody may name anything.
"""

import importlib
import os
import re
import sys
from typing import Any

from jaxq import checks
from jaxq.experiment.objects import is_algorithm, is_environment

_PATH = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")
_KINDS = {
    "environment": (is_environment, "jaxq.envs.from_gymnax(MyEnv())"),
    "algorithm": (is_algorithm, "jaxq.dqn(double=True)"),
}


def is_import_path(value: Any) -> bool:
    """Tell whether a value is text of the form `module:attribute`."""
    return isinstance(value, str) and _PATH.fullmatch(value) is not None


def imported(name: str, path: str) -> Any:
    """Import an object; this runs the module.

    Args:
        name: What it is for: "environment", "algorithm", or a keyword of a recipe. The first two may
            also be functions without arguments that make one.
        path: Its import path. Modules in the current directory are found too.

    Raises:
        InputTypeError: If it is something else than what it is for.
        InputValueError: If it cannot be imported.
    """
    module, _, attribute = path.partition(":")
    if os.getcwd() not in sys.path:
        # Behind all others, so that a file here takes no other module's place.
        sys.path.append(os.getcwd())
    try:
        found = importlib.import_module(module)
        for part in attribute.split("."):
            found = getattr(found, part)
        fits, example = _KINDS.get(name, (None, ""))
        if fits is not None and not fits(found) and callable(found):
            found = found()
    except checks.InputError:
        raise
    except Exception as error:
        reason = " ".join(str(error).split()) or "no reason given"
        raise checks.InputValueError(
            f"{name} {path} cannot be imported: {type(error).__name__}: {reason}; "
            "the form is module:attribute"
        ) from error
    if fits is not None and not fits(found):
        raise checks.InputTypeError(
            f"{name} {path} must be an {name}, or a function without arguments that makes one, "
            f"got {type(found).__name__}; for example {attribute} = {example}"
        )
    return found


def with_imports(fields: dict[str, Any]) -> dict[str, Any]:
    """Put objects in the place of the import paths that the user names.

    Args:
        fields: Fields of a configuration, of which some may not be given.

    Returns:
        The fields, with the paths of what was imported as `imports`.
    """
    keywords = fields.get("keywords", {})
    whats = {name: fields.get(name) for name in _KINDS} | keywords
    paths = {name: value for name, value in whats.items() if is_import_path(value)}
    if not paths:
        return fields
    objects = {name: imported(name, path) for name, path in paths.items()}
    own = {name: value for name, value in objects.items() if name in _KINDS}
    replaced = {name: objects.get(name, value) for name, value in keywords.items()}
    fields = {**fields, **own, "imports": paths}
    return {**fields, "keywords": replaced} if keywords else fields


def checked_imports(where: str, paths: Any) -> dict[str, str]:
    """Return import paths by what they are for, as they were read from a file.

    Raises:
        InputValueError: If they are something else.
    """
    if not isinstance(paths, dict) or not all(map(is_import_path, paths.values())):
        raise checks.InputValueError(
            f"{where}: imports must hold paths of the form module:attribute by their names"
        )
    return paths
