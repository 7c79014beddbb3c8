"""What each environment is, what random actions get there, and what is the most that there is to get."""

from typing import NamedTuple


class Known(NamedTuple):
    """What is known of an environment.

    Attributes:
        about: What there is to do.
        random: Mean return of random legal actions over 1,024 episodes, measured by
            `benchmarks/random_returns.py`; `None` where it was not.
        best: The largest mean return that any policy can have, where that is known exactly.
        most: What no policy can expect to exceed from any state, with any discount in [0, 1] and without
            a time limit that truncates; `None` where it is not known. Tables are solved instead.
        hopeless: Why no policy can learn to do better than a random one; empty where one can.
    """

    about: str
    random: float | None = None
    best: float | None = None
    most: float | None = None
    hopeless: str = ""


_MEMORY = "needs memory: recurrent_size=64"
KNOWN = {
    "CartPole-v1": Known(
        "keep a pole upright on a cart; 1 a step, 500 steps at most", random=22.34, best=500.0
    ),
    "Acrobot-v1": Known("swing two links up; -1 a step, 500 steps at most", random=-498.9, most=0.0),
    "MountainCar-v0": Known(
        "rock a car out of a valley; -1 a step, 200 steps at most", random=-200.0, most=0.0
    ),
    "Asterix-MinAtar": Known("collect treasure, avoid enemies", random=0.5059),
    "Breakout-MinAtar": Known("break bricks with a ball; 1 a brick", random=0.4111),
    "Freeway-MinAtar": Known("cross a road of cars again and again; 1 a crossing", random=0.4004),
    "Seaquest-MinAtar": Known(
        "rescue divers in a submarine, shoot, and come up for air", random=0.09473
    ),
    "SpaceInvaders-MinAtar": Known("shoot aliens that come down; 1 each", random=4.3),
    "Catch-bsuite": Known(
        "catch a ball that falls down 9 rows; 1 or -1", random=-0.6152, best=1.0, most=1.0
    ),
    "DeepSea-bsuite": Known(
        "go right 8 times, at a small cost, to a treasure", random=-0.00401, best=0.99, most=1.0
    ),
    "MemoryChain-bsuite": Known(
        f"say at the end what was shown at the start; {_MEMORY}", random=0.01758, best=1.0, most=1.0
    ),
    "UmbrellaChain-bsuite": Known(
        "take an umbrella or not, then 10 steps of noise", random=-0.1016, best=1.0, most=1.0
    ),
    "DiscountingChain-bsuite": Known(
        "choose which of five delays to be paid after", random=1.019, best=1.1, most=1.1
    ),
    "MNISTBandit-bsuite": Known("name a handwritten digit; 1 or -1", most=1.0),
    "SimpleBandit-bsuite": Known(
        "choose one of 11 arms, once",
        random=0.5088,
        most=1.0,
        hopeless="cannot be learned: its arms are redrawn at each reset, so random is as good",
    ),
    "FourRooms-misc": Known(
        "walk to a goal through four rooms, where a third of steps slip", random=0.4775, most=1.0
    ),
    "MetaMaze-misc": Known(f"find a goal in a maze, again and again; 10 each; {_MEMORY}", random=7.959),
    "BernoulliBandit-misc": Known(
        f"find in 100 pulls which of two arms pays more; {_MEMORY}", random=49.83
    ),
    "GaussianBandit-misc": Known(
        f"find in 100 pulls whether an arm pays more than 0; {_MEMORY}", random=-49.33
    ),
    "Pong-misc": Known("keep the ball in play; 1 a step", random=86.1),
    "FrozenLake-misc": Known(
        "cross slippery ice to a goal without falling in; gymnax's own", random=0.007812, most=1.0
    ),
    "FrozenLake-v1": Known(
        "cross slippery ice to a goal without falling in", random=0.01465, best=0.7442
    ),
    "FrozenLake8x8-v1": Known("the same on a lake of 8x8", random=0.00293, best=0.9132),
    "CliffWalking-v1": Known(
        "walk along a cliff; -1 a step, -100 for a fall", random=-2058.0, best=-13.0
    ),
    "CliffWalkingSlippery-v1": Known("the same on slippery ground", random=-2077.0, best=-64.7),
    "Taxi-v4": Known("pick up a passenger and bring him where he wants to go", random=-772.9, best=7.93),
    "Cliff-grid": Known("walk along a cliff; -1 a step, -100 for a fall", random=-2058.0, best=-13.0),
    "FourRooms-grid": Known("walk to a goal through four rooms", random=0.4033, best=1.0),
    "WindyGrid-grid": Known(
        "walk to a goal where wind blows upwards; -1 a step", random=-484.5, best=-15.0
    ),
    "Incident-table": Known(
        "correct incidents in a small service, as a table", random=-7.4, best=-1.333
    ),
    "Incident-v0": Known("correct incidents in a system of services, with costs", random=-16.03),
}
"""What is known, by the environments' names."""
