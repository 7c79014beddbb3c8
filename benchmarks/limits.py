"""What an iteration of DQN asks of a machine: its floating-point operations, and bytes at least.

Networks are given as the widths of their layers, `(observation, hidden ..., actions)`.
"""

from collections.abc import Sequence
from itertools import pairwise

FLOAT = 4  # bytes
# What is read of the weights, their slower copy and Adam's two moments, and written back.
WEIGHT_PASSES = 2 * 4

FLOPS_METHOD = [
    "Floating-point operations of an update are those of its matrix products, 2 for each multiply-add:",
    "the target network forward on s_t, the online network forward on s_tm1, and the way back, whose",
    "gradient by the weights is as many again, and whose gradient by the inputs is left out for the",
    "first layer. With m_l = inputs x outputs of layer l:",
    "`2 * batch * (3 * sum_l m_l + sum_{l > 1} m_l)`.",
]
BYTES_METHOD = [
    "Bytes of an iteration are what passes through memory at least, each array counted once: weights,",
    "target weights and Adam's two moments read and written; the gradient written and read; action",
    "values of the online network written and read, as outputs of hidden layers can stay on the chip;",
    "of the replay the sampled rows (two observations, action, reward, ending) read and the new ones",
    "written; environments and keys not counted.",
]


def products(widths: Sequence[int]) -> list[int]:
    """Count multiply-adds of each layer, for one observation."""
    return [inputs * outputs for inputs, outputs in pairwise(widths)]


def update_flops(widths: Sequence[int], batch_size: int) -> int:
    """Count the operations of one gradient step; see `FLOPS_METHOD`."""
    layers = products(widths)
    return 2 * batch_size * (3 * sum(layers) + sum(layers[1:]))


def iteration_flops(widths: Sequence[int], batch_size: int, num_envs: int) -> int:
    """Count the operations of one gradient step, and of choosing an action in each environment."""
    return update_flops(widths, batch_size) + 2 * num_envs * sum(products(widths))


def iteration_bytes(widths: Sequence[int], batch_size: int, num_envs: int) -> int:
    """Count the bytes that one gradient step and one step of each environment move at least."""
    weights = sum(products(widths)) + sum(widths[1:])
    outputs = batch_size * widths[-1]
    row = 2 * widths[0] * FLOAT + FLOAT + FLOAT + 1
    rows = batch_size * row + num_envs * (row - widths[0] * FLOAT)
    return FLOAT * (weights * (WEIGHT_PASSES + 2) + 2 * outputs) + rows
