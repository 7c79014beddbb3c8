"""Memory: what the agents have seen, kept on the device.

Every replay has the four functions of `Replay`; `shuffled_minibatches` is all that learning from the
last iteration alone needs.
"""

from jaxq.replay.dataset import DatasetReplay
from jaxq.replay.prioritized import PrioritizedReplay
from jaxq.replay.protocol import Replay, ReplayState
from jaxq.replay.ring import Ring
from jaxq.replay.sequences import PrioritizedSequenceReplay, SequenceReplay
from jaxq.replay.starts import Priorities
from jaxq.replay.uniform import UniformReplay
from jaxq.replay.window import shuffled_minibatches

__all__ = [
    "DatasetReplay",
    "Priorities",
    "PrioritizedReplay",
    "PrioritizedSequenceReplay",
    "Replay",
    "ReplayState",
    "Ring",
    "SequenceReplay",
    "UniformReplay",
    "shuffled_minibatches",
]
