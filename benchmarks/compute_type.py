"""DQN whose layers compute in bfloat16, against float32: scores and speed.

python benchmarks/compute_type.py [--agents 16] [--write]
"""

from report import option_parser, report, versions
from scores import EPISODES, train

from jaxq.agents.network import COMPUTE_TYPES

ENVIRONMENTS = ("CartPole-v1", "Acrobot-v1")


def main() -> None:
    parser = option_parser(__doc__, tiny=True)
    parser.add_argument("--agents", type=int, default=16)
    options = parser.parse_args()
    steps = 2_000 if options.tiny else None
    table = [
        "| environment | type | env steps each | score | env steps/s |",
        "| --- | --- | ---: | ---: | ---: |",
    ]
    for environment in ENVIRONMENTS:
        for compute_type in COMPUTE_TYPES:
            result = train(environment, "dqn", options.agents, steps, compute_type=compute_type)
            speed = options.agents * result.steps / result.seconds
            table.append(
                f"| {environment} | {compute_type} | {result.steps:,} | {result.cell()} | {speed:,.0f} |"
            )
            print(table[-1], flush=True)
    method = [
        f"DQN with `jaxq.preset`, {options.agents} agents with the same seeds, layers in either",
        f"type. A score is the mean return over {EPISODES} whole greedy episodes; interquartile",
        "mean over agents with its 95% bootstrap interval. One run each. CPUs without bfloat16",
        "arithmetic convert on the way, so the speed says what it costs there, not what it gains on an",
        "accelerator.",
    ]
    report(
        __file__,
        "Layers in bfloat16",
        method,
        [versions("jaxq", "jax", "flax", "optax")],
        table,
        options.write,
    )


if __name__ == "__main__":
    main()
