"""What a run took from a preset, in one line."""

from jaxq.agents import TABULAR
from jaxq.configuration.config import Config
from jaxq.configuration.groups import label
from jaxq.configuration.logged_data import LOG
from jaxq.configuration.objects import is_algorithm, is_environment, name_of
from jaxq.presets import preset, preset_origin


def preset_notice(config: Config) -> str | None:
    """Say which preset was taken, for which environment it was tuned, and what it sets.

    Args:
        config: What is trained.

    Returns:
        A line; `None` where nothing was taken, as for an algorithm that is given as an object.
    """
    if is_algorithm(config.algorithm) or config.environment == LOG:
        return None
    own = is_environment(config.environment)
    environment = name_of(config.environment) if own else config.environment
    found = preset(environment, config.steps, config.algorithm, {}).keywords
    taken = {name: value for name, value in found.items() if config.keywords.get(name) == value}
    if not taken:
        return None
    origin = preset_origin(environment)
    if config.algorithm in TABULAR:
        origin = "a share of the run, for tables on any environment"
    settings = " ".join(f"{name}={label(value)}" for name, value in taken.items())
    return f"preset ({origin}): {settings}"
