"""Memory: what the agents have seen, kept on the device."""

from jaxq.replay.uniform import UniformReplay

__all__ = ["UniformReplay"]
