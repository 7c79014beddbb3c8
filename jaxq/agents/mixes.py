"""Which settings go together: what makes no sense beside what, and what has a use only beside what."""

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jaxq.agents.settings import Settings


def senseless(s: "Settings") -> list[tuple[bool, str]]:
    """List the mixes that make no sense, each with the reason."""
    window, recurrent, ensemble = s.memory == "window", s.recurrent_size > 0, s.exploration == "ensemble"
    own, scalar = s.network is not None, s.value in ("scalar", "rescaled")
    return [
        (
            own and s.dueling,
            "dueling=True builds a head, and network=... brings its own; "
            "leave out dueling, and end the network in jaxq.networks.DuelingHead(num_actions)",
        ),
        (
            own and (s.noisy or s.layer_norm or recurrent or not scalar),
            "noisy, layer_norm, recurrent_size and distributions as value build the network, and "
            "network=... brings its own; leave out one of the two",
        ),
        (
            own and s.compute_type != "float32",
            "compute_type is that of the layers which are built here, and network=... brings its own; "
            "give those dtype=jnp.bfloat16 instead",
        ),
        (
            window and s.prioritized,
            "a window is learned from as a whole, so there is nothing to prioritize; "
            "leave out prioritized=True, or use memory='replay'",
        ),
        (
            window and s.n_step > 1,
            "a window has lambda-returns, which mix returns of all lengths; "
            "leave out n_step, and set trace_decay",
        ),
        (
            window and (s.munchausen or recurrent or ensemble or not scalar),
            "lambda-returns over a window are numbers that the behaviour earned; munchausen, "
            "recurrent_size, exploration='ensemble' and distributions as value need memory='replay'",
        ),
        (
            s.munchausen and (s.double or s.n_step > 1),
            "a Munchausen target follows its own soft policy for one step: there is no maximum for "
            "double to split, and no log-policy of the steps between for n_step > 1; leave them out, or "
            "set double=False, n_step=1 where the recipe has others",
        ),
        (
            s.munchausen and recurrent,
            "sequences are learned with greedy targets, which a Munchausen target is not; "
            "leave out munchausen, or recurrent_size",
        ),
        (
            recurrent and s.exploration == "ucb",
            "counts tell observations apart, and a recurrent agent is for where they look alike; "
            "use exploration='epsilon_greedy' or 'boltzmann', or leave out recurrent_size",
        ),
        (
            ensemble and (s.noisy or recurrent or not scalar),
            "an ensemble explores by the disagreement of its plain members; "
            "leave out noisy, recurrent_size and value, or use another exploration",
        ),
        (
            recurrent and (not scalar or s.noisy),
            "sequences are learned as numbers, not distributions, and without noise; "
            "leave out value and noisy, or recurrent_size",
        ),
    ]


def out_of_range(s: "Settings") -> list[tuple[bool, str]]:
    """List the numbers that do not fit, by themselves or to each other, each with the reason."""
    return [
        (
            s.recurrent_size > 0 and s.n_step > s.sequence_length,
            f"n_step must fit into the sequence, got {s.n_step} > {s.sequence_length}; "
            f"for example sequence_length={2 * s.n_step}",
        ),
        (
            (s.value_min is None) != (s.value_max is None),
            "value_min and value_max come together, got value_min="
            f"{s.value_min} and value_max={s.value_max}; for example value_min=-10, value_max=10",
        ),
        (
            None not in (s.value_min, s.value_max) and s.value_min >= s.value_max,
            f"value_min must be less than value_max, got {s.value_min} and {s.value_max}; "
            "for example value_min=-10, value_max=10",
        ),
        (
            s.count_bits > 20,
            f"count_bits must be at most 20, a million counts per action, got {s.count_bits}; "
            "for example count_bits=12",
        ),
        (s.prior_scale < 0, f"prior_scale must be at least 0, got {s.prior_scale:g}"),
    ]


# Settings that have a use only beside certain others: their names, where they have it, and what to set.
_CONDITIONAL: list[tuple[tuple[str, ...], Callable[["Settings"], bool], str]] = [
    (
        ("hidden_sizes",),
        lambda s: s.network is None,
        "the layers that are built here; leave out network, which brings its own",
    ),
    (
        ("num_atoms", "value_min", "value_max"),
        lambda s: s.value == "categorical",
        "distributions over atoms; set value='categorical' too",
    ),
    (
        ("num_quantiles",),
        lambda s: s.value in ("quantile", "implicit_quantile"),
        "quantiles; set value='quantile' or value='implicit_quantile' too",
    ),
    (
        ("num_target_quantiles", "num_policy_quantiles"),
        lambda s: s.value == "implicit_quantile",
        "quantiles at random fractions; set value='implicit_quantile' too",
    ),
    (
        ("loss",),
        lambda s: s.value in ("scalar", "rescaled"),
        "values that are one number, as distributions have losses of their own; set value='scalar' too",
    ),
    (("count_bits",), lambda s: s.exploration == "ucb", "counts; set exploration='ucb' too"),
    (
        ("ensemble_size", "prior_scale"),
        lambda s: s.exploration == "ensemble",
        "ensembles; set exploration='ensemble' too",
    ),
    (
        ("sequence_length", "burn_in"),
        lambda s: s.recurrent_size > 0,
        "recurrent agents; set recurrent_size=64 too",
    ),
]


def without_use(s: "Settings") -> dict[str, str]:
    """Say which settings nothing asks for, and what each of them would be for."""
    return {name: reason for names, used, reason in _CONDITIONAL for name in names if not used(s)}
