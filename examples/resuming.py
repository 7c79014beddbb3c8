"""A run that is stopped goes on from its newest checkpoint, and ends as if it had never been stopped.

python examples/resuming.py [--steps 100000]
"""

import argparse
import os
import signal
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

import jaxq


def main() -> None:
    """Stop a run in the middle, resume it, and compare it with one that nobody stopped."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=100_000, help="env steps of each agent")
    options = parser.parse_args()

    config = jaxq.configure("FrozenLake-v1", "q_learning", agents=4, steps=options.steps)
    with tempfile.TemporaryDirectory() as parent:
        stopped, whole = Path(parent) / "stopped", Path(parent) / "whole"

        def ask_to_stop() -> None:
            while not (stopped / "metrics.jsonl").exists():
                time.sleep(0.01)
            os.kill(os.getpid(), signal.SIGTERM)

        threading.Thread(target=ask_to_stop).start()
        try:
            jaxq.Experiment(config, stopped).run()
        except jaxq.StoppedError as error:
            print(error)
        resumed = jaxq.Experiment.resume(stopped).run()
        print("the same returns:", np.array_equal(resumed, jaxq.Experiment(config, whole).run()))


if __name__ == "__main__":
    main()
