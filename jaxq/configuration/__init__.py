"""Configuration: what to train, from a user or a file, checked before anything is compiled.

`Config` has the fields; `configure` fills in what is left open, `configure_sweep` makes a configuration
for each program of a sweep, and `read_config` and `read_groups` read them from files.
"""

from jaxq.configuration.config import Config
from jaxq.configuration.config_file import read_config, read_groups
from jaxq.configuration.configuring import configure
from jaxq.configuration.groups import configure_sweep

__all__ = ["Config", "configure", "configure_sweep", "read_config", "read_groups"]
