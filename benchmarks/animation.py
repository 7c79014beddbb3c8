"""The moving picture of the README: 256 agents learn to balance a pole, drawn from their training.

Four learning rates times 64 seeds are one population, trained in segments. After each segment every
agent goes on with an episode of its own for a few steps, greedily, with what it has learned by then. An
agent's cart is faint after its pole has fallen, and clear once the pole has stayed up for a while;
angles are drawn three times as large as they are. Curves are returns while training, with random actions
among them: thin lines are agents, thick ones the interquartile mean over the 64 of a learning rate.

    python benchmarks/animation.py [--steps 60000] [--seeds 64] [--write]
"""

from collections.abc import Iterable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from report import RESULTS, option_parser

import jaxq

LEARNING_RATES = (1e-4, 3e-4, 1e-3, 3e-3)
SEGMENTS = 50
# Pictures of each segment, and env steps from one to the next.
PICTURES, STRIDE = 3, 3
FILE = RESULTS.parent.parent / "docs" / "training.svg"

# Between black and white, so that they show on both, and apart from each other for all kinds of color
# vision.
COLORS = ("#cc79a7", "#d98c00", "#009e73", "#2f8fd0")
TEXT = "#7f8793"
SECONDS, HOLD = 12.0, 3.0  # of the picture, and of its end

# Units of the drawing, two to a pixel: the curves' frame and the blocks of agents.
WIDTH, HEIGHT = 2_000, 880
LEFT, TOP, RIGHT, BOTTOM = 110, 110, 940, 770
BLOCK_X, BLOCK_Y, BLOCK_WIDTH, BLOCK_HEIGHT = 1_050, 130, 480, 385
CELL_X, CELL_Y, UNIT, POLE = 57, 39, 10, 26
LEAN = 3  # how much larger than it is an angle is drawn
UPRIGHT = 90  # env steps after which a cart is drawn in its full color
STRENGTHS = (0.2, 0.45, 0.7, 1.0)


class Recording(NamedTuple):
    """What training gave, of N agents in S segments.

    Attributes:
        steps: Env steps of each agent after each segment, `[S]`.
        returns: Mean return of the episodes that ended in each segment, `[S, N]`.
        positions: Where the carts are in each picture, `[P, N]`.
        angles: How far the poles lean, in radians, `[P, N]`.
        ages: Env steps since the episode began, `[P, N]`.
    """

    steps: np.ndarray
    returns: np.ndarray
    positions: np.ndarray
    angles: np.ndarray
    ages: np.ndarray


def record(steps: int, seeds: int) -> Recording:
    """Train the population, and watch every agent after each segment."""
    env = jaxq.envs.make("CartPole-v1")
    keywords = jaxq.preset("CartPole-v1", steps).keywords
    trainer = jaxq.Trainer(env, jaxq.dqn(**keywords))
    hparams = jaxq.grid(trainer.hparams, learning_rate=LEARNING_RATES, seeds=seeds)
    population = jaxq.Population(trainer, len(LEARNING_RATES) * seeds, donate=True)
    q_values = jax.vmap(trainer.q_values, in_axes=(jaxq.AGENT_AXES, 0))
    reset = jax.vmap(env.reset, in_axes=(0, None))
    step = jax.vmap(env.step, in_axes=(0, 0, 0, None))

    @jax.jit
    def act(state, episode, key):
        def one(episode, key):
            env_state, observation, age = episode
            action = jnp.argmax(q_values(state, observation), axis=-1)
            keys = jax.random.split(key, population.size)
            env_state, timestep = step(keys, env_state, action, env.params)
            ended = timestep.terminated | timestep.truncated
            after = env_state, timestep.observation, jnp.where(ended, 0, age + 1)
            return after, (observation, age)

        return jax.lax.scan(one, episode, jax.random.split(key, PICTURES * STRIDE))

    state = population.init(jax.random.key(0), hparams)
    start = reset(jax.random.split(jax.random.key(1), population.size), env.params)
    episode = (*start, jnp.zeros(population.size, jnp.int32))
    done, returns, seen = [], [], []
    for number in range(SEGMENTS):
        state, metrics = population.run(state, steps // SEGMENTS)
        episode, pictures = act(state, episode, jax.random.key(2 + number))
        done.append(int(state.steps))
        returns.append(np.asarray(metrics.episode_return))
        seen.append(jax.tree.map(lambda leaf: np.asarray(leaf[::STRIDE]), pictures))
        print(f"{number + 1} of {SEGMENTS} segments, {done[-1]:,} env steps", flush=True)
    observations, ages = (np.concatenate(part) for part in zip(*seen, strict=True))
    return Recording(np.array(done), np.array(returns), observations[..., 0], observations[..., 2], ages)


def draw(recording: Recording) -> str:
    """Draw an SVG that moves by itself: curves that are uncovered, and one picture after another."""
    number = len(recording.positions)
    share = SECONDS / (SECONDS + HOLD)
    # Percent of the time that a picture is shown, and the last one.
    shown = 100 * share / number
    held = shown + 100 - 100 * share
    style = f"""
text {{ font: 23px system-ui, sans-serif; fill: {TEXT} }}
path {{ fill: none; stroke-linejoin: round }}
.thin {{ stroke-width: 1; opacity: .22 }}
.thick {{ stroke-width: 5.5 }}
.pole {{ stroke-width: 2.6 }}
.cart {{ stroke-width: 6 }}
.grid {{ stroke: {TEXT}; stroke-width: 1; opacity: .4 }}
.picture {{ visibility: hidden; animation: show {SECONDS + HOLD}s step-end infinite }}
.last {{ visibility: visible; animation-name: stay }}
@keyframes show {{ 0% {{ visibility: visible }} {shown:.4f}%, to {{ visibility: hidden }} }}
@keyframes stay {{ 0% {{ visibility: visible }} {held:.4f}%, to {{ visibility: hidden }} }}
@media (prefers-reduced-motion: reduce) {{ .picture {{ animation: none }} }}"""
    pictures = [
        f'<g class="picture{" last" * (at == number - 1)}" style="animation-delay:'
        f'{at * SECONDS / number - SECONDS - HOLD:.2f}s">{_agents(recording, at)}</g>'
        for at in range(number)
    ]
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">',
        f"<title>Training of {recording.returns.shape[1]} agents on CartPole-v1</title>",
        f"<style>{style}</style>",
        *_frame(recording),
        *_curves(recording),
        *pictures,
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _text(x: float, y: float, text: str, more: str = "") -> str:
    return f'<text x="{x:.0f}" y="{y:.0f}" {more}>{text}</text>'


def _frame(recording: Recording) -> Iterable[str]:
    """Draw what does not move: axes and titles."""
    agents = recording.returns.shape[1]
    large = 'style="font-size:28px"'
    yield _text(LEFT, 50, f"Return of {agents} DQN agents, one compiled program", large)
    yield _text(BLOCK_X, 50, "The same agents at work", large)
    yield _text((LEFT + RIGHT) / 2, BOTTOM + 80, "env steps of each agent", 'text-anchor="middle"')
    for value in range(0, 501, 100):
        y = _y(value)
        yield f'<path class="grid" d="M{LEFT} {y:.0f}H{RIGHT}"/>'
        yield _text(LEFT - 14, y + 8, str(value), 'text-anchor="end"')
    last = recording.steps[-1]
    step = 10 ** int(np.log10(last)) * (1 if last < 10 ** int(np.log10(last)) * 4 else 2)
    for value in range(0, last + 1, step):
        x = LEFT + (RIGHT - LEFT) * value / last
        yield f'<path class="grid" d="M{x:.0f} {TOP}V{BOTTOM}"/>'
        yield _text(x, BOTTOM + 36, f"{value:,}", 'text-anchor="middle"')
    for number, (rate, color) in enumerate(zip(LEARNING_RATES, COLORS, strict=True)):
        x, y = _block(number)
        yield _text(x - 28, y - 40, f"learning rate {rate:g}", f'style="fill:{color};font-weight:600"')


def _curves(recording: Recording) -> Iterable[str]:
    """Draw a curve for each agent and one for each learning rate, under a clip that opens."""
    x = LEFT + (RIGHT - LEFT) * np.concatenate([[0], recording.steps]) / recording.steps[-1]
    returns = np.concatenate([recording.returns[:1], recording.returns])
    groups = returns.reshape(len(returns), len(LEARNING_RATES), -1)
    width, share = RIGHT - LEFT, SECONDS / (SECONDS + HOLD)
    yield (
        f'<clipPath id="done"><rect x="{LEFT}" y="{TOP - 6}" width="{width}" '
        f'height="{BOTTOM - TOP + 12}"><animate attributeName="width" '
        f'values="0;{width};{width}" keyTimes="0;{share:.4f};1" '
        f'dur="{SECONDS + HOLD}s" repeatCount="indefinite"/></rect></clipPath><g clip-path="url(#done)">'
    )
    for group, color in zip(np.moveaxis(groups, 1, 0), COLORS, strict=True):
        lines = "".join(_line(x, y) for y in group.T)
        yield f'<path class="thin" stroke="{color}" d="{lines}"/>'
    for group, color in zip(np.moveaxis(groups, 1, 0), COLORS, strict=True):
        middle = np.array([jaxq.iqm(row) for row in group])
        yield f'<path class="thick" stroke="{color}" d="{_line(x, middle)}"/>'
    yield "</g>"


def _line(x: np.ndarray, values: np.ndarray) -> str:
    """Draw a curve, straight over segments in which no episode ended."""
    points = [
        f"{round(at)} {round(_y(value))}"
        for at, value in zip(x, values, strict=True)
        if np.isfinite(value)
    ]
    return f"M{'L'.join(points)}"


def _y(value: float) -> float:
    return BOTTOM - (BOTTOM - TOP) * value / 500


def _block(number: int) -> tuple[int, int]:
    """Return where the first agent of a learning rate stands."""
    row, column = divmod(number, 2)
    return BLOCK_X + 28 + column * BLOCK_WIDTH, BLOCK_Y + 10 + row * BLOCK_HEIGHT


def _agents(recording: Recording, at: int) -> str:
    """Draw all carts and poles of one picture, those of one color and strength as one path each."""
    agents = len(recording.positions[at])
    seeds = agents // len(LEARNING_RATES)
    side = int(np.ceil(np.sqrt(seeds)))
    awake = np.clip(recording.ages[at] / UPRIGHT, 0, 1) * (len(STRENGTHS) - 1)
    paths: dict[tuple[int, int], list[tuple[str, str]]] = {}
    for agent in range(agents):
        number, seed = divmod(agent, seeds)
        row, column = divmod(seed, side)
        left, top = _block(number)
        position = np.clip(recording.positions[at, agent], -2.4, 2.4)
        x, y = round(left + column * CELL_X + UNIT * position), top + row * CELL_Y + POLE
        lean = LEAN * recording.angles[at, agent]
        dx, dy = round(POLE * np.sin(lean)), -round(POLE * np.cos(lean))
        drawn = f"M{x - 8} {y}h16", f"M{x} {y}l{dx} {dy}"
        paths.setdefault((number, round(awake[agent])), []).append(drawn)
    return "".join(
        f'<g stroke="{COLORS[number]}" opacity="{STRENGTHS[strength]}">'
        f'<path class="cart" d="{"".join(carts)}"/><path class="pole" d="{"".join(poles)}"/></g>'
        for (number, strength), drawn in sorted(paths.items())
        for carts, poles in [zip(*drawn, strict=True)]
    )


def main() -> None:
    parser = option_parser(__doc__)
    parser.add_argument("--steps", type=int, default=60_000, help="each agent's, after the warm-up")
    parser.add_argument("--seeds", type=int, default=64, help="agents of each learning rate")
    options = parser.parse_args()
    recording = record(options.steps, options.seeds)
    drawing = draw(recording)
    print(f"{len(drawing) / 1e6:.2f} MB")
    if options.write:
        FILE.write_text(drawing)
        print(f"written to {FILE}")


if __name__ == "__main__":
    main()
