"""Plain values: what was given in Python, as JSON can say it."""

from typing import Any


def plain_settings(algorithm: Any) -> dict[str, Any]:
    """Return the settings of a recipe by their names; of any other agent there are none."""
    return {name: plain(value) for name, value in getattr(algorithm, "settings", {}).items()}


def plain(value: Any) -> Any:
    """Return a value as JSON can say it; of what it cannot, the name."""
    if isinstance(value, tuple):
        return list(value)
    return value if is_plain(value) else getattr(value, "__name__", repr(value))


def is_plain(value: Any) -> bool:
    """Tell whether JSON can say a value."""
    if isinstance(value, tuple | list):
        return all(map(is_plain, value))
    if isinstance(value, dict):
        return all(isinstance(name, str) for name in value) and all(map(is_plain, value.values()))
    return isinstance(value, bool | int | float | str | None)
