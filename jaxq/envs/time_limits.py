"""Time limits: whether reaching one ends the task, or only the episode.

A limit that belongs to the task, such as the last step of a bandit, makes what follows worthless: it is
a termination. A limit that only cuts episodes short says nothing of the state it was reached in: it is a
truncation, and the value of that state is bootstrapped. An agent can only account for a limit that
its observations show.

References:
    Pardo et al., Time Limits in Reinforcement Learning, 2018, sections 2 and 3.
"""

from typing import NamedTuple

TRUNCATES, TERMINATES = "truncates", "terminates"
KINDS = (TRUNCATES, TERMINATES)


class TimeLimit(NamedTuple):
    """What the time limit of an environment means.

    Attributes:
        kind: "truncates" or "terminates".
        reason: Why.
    """

    kind: str
    reason: str


_NEVER = "episodes end by themselves before it"
_HIDDEN = "observations do not show the time, and the task goes on"
# gymnax reports every limit as a truncation, those included by which bsuite ends its episodes.
TIME_LIMITS = {
    "CartPole-v1": TimeLimit(TRUNCATES, _HIDDEN),
    "Acrobot-v1": TimeLimit(TRUNCATES, _HIDDEN),
    "MountainCar-v0": TimeLimit(TRUNCATES, _HIDDEN),
    "Asterix-MinAtar": TimeLimit(TRUNCATES, _HIDDEN),
    "Breakout-MinAtar": TimeLimit(TRUNCATES, _HIDDEN),
    "Freeway-MinAtar": TimeLimit(
        TRUNCATES, "the game ends by its clock, but the board does not show it"
    ),
    "Seaquest-MinAtar": TimeLimit(TRUNCATES, _HIDDEN),
    "SpaceInvaders-MinAtar": TimeLimit(TRUNCATES, _HIDDEN),
    "Catch-bsuite": TimeLimit(TRUNCATES, _NEVER),
    "DeepSea-bsuite": TimeLimit(TRUNCATES, _NEVER),
    "MemoryChain-bsuite": TimeLimit(TRUNCATES, _NEVER),
    "UmbrellaChain-bsuite": TimeLimit(TRUNCATES, _NEVER),
    "DiscountingChain-bsuite": TimeLimit(
        TERMINATES, "the chain's last step, and observations show the time"
    ),
    "MNISTBandit-bsuite": TimeLimit(TRUNCATES, _NEVER),
    "SimpleBandit-bsuite": TimeLimit(TRUNCATES, _NEVER),
    "FourRooms-misc": TimeLimit(TRUNCATES, _HIDDEN),
    "MetaMaze-misc": TimeLimit(TERMINATES, "the trial's last step, and observations show the time"),
    "BernoulliBandit-misc": TimeLimit(
        TERMINATES, "the bandit's last pull, and observations show the time"
    ),
    "GaussianBandit-misc": TimeLimit(
        TERMINATES, "the bandit's last pull, and observations show the time"
    ),
    "Pong-misc": TimeLimit(TRUNCATES, _HIDDEN),
    "FrozenLake-misc": TimeLimit(TRUNCATES, _HIDDEN),
    "Incident-v0": TimeLimit(TRUNCATES, _HIDDEN),
}
"""What `jaxq.envs.make` takes the limit of each environment with discrete actions for, tables aside."""

OTHERWISE = TimeLimit(TRUNCATES, "unknown to jaxq; `time_limit=` says otherwise")
