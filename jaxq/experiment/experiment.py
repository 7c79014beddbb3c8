"""An experiment: a configuration and a directory, and the run that fills it."""

import sys
from pathlib import Path

import numpy as np
from rich.console import Console

from jaxq.experiment.config import Config, describe, prepare
from jaxq.experiment.curves import draw_learning_curve
from jaxq.experiment.directory import RunDirectory
from jaxq.experiment.display import Display, evaluation_table
from jaxq.experiment.distributed import is_first
from jaxq.experiment.runner import Progress, evaluate, train
from jaxq.statistics import bootstrap_interval, iqm


class Experiment:
    """Trains what a configuration describes, and writes it to a directory of its own.

    Args:
        config: What to train, from `configure`.
        directory: Where to write; it must not exist yet.

    Raises:
        InputTypeError: If a keyword does not exist or has the wrong type.
        InputValueError: If a value is out of range or the directory exists or cannot be written.
    """

    def __init__(self, config: Config, directory: Path | str) -> None:
        self.config = config
        self._plan = prepare(config)
        self.directory = RunDirectory.create(Path(directory)) if is_first() else None

    def run(self, console: Console | None = None) -> np.ndarray:
        """Train, evaluate and report.

        Args:
            console: Where progress is shown; nowhere if not given.

        Returns:
            Undiscounted returns of the final evaluation, `[N, episodes]`.
        """
        if self.directory is None:
            # Another process of the same run writes and shows.
            return evaluate(self._plan, train(self._plan, lambda progress: None))
        console = console or Console(quiet=True)
        self.directory.write_config(describe(self._plan), sys.argv)
        console.print(f"writing to {self.directory.path}", highlight=False, soft_wrap=True)
        console.print(f"memory: {self._plan.population.memory()}", highlight=False, soft_wrap=True)
        history: list[Progress] = []
        with Display(console, self.config) as display:

            def on_segment(progress: Progress) -> None:
                history.append(progress)
                self.directory.append_metrics(progress.row())
                display.update(progress)

            state = train(self._plan, on_segment)
        returns = evaluate(self._plan, state)
        self._report(history, returns)
        console.print(evaluation_table(self.config, returns))
        console.print(
            f"trained {self.config.agents} agents in {history[-1].seconds:.1f} s after compilation; "
            f"written to {self.directory.path}",
            highlight=False,
            soft_wrap=True,
        )
        return returns

    def _report(self, history: list[Progress], returns: np.ndarray) -> None:
        scores = returns.mean(axis=1)
        self.directory.write_evaluation(
            {
                "iqm": iqm(scores),
                "interval": list(bootstrap_interval(scores)),
                "returns": np.asarray(returns, np.float64).tolist(),
                "training_seconds": history[-1].seconds,
            }
        )
        config = self.config
        title = f"{config.algorithm} on {config.environment}, {config.agents} agents"
        draw_learning_curve(history, title, self.directory.curve_path)
