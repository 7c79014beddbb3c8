"""The deep recipes: each is what it sets otherwise than `dqn`.

Keywords of all of them are the fields and leaves of the components in use, and the names that choose
components: `value`, `exploration`, `memory`, `prioritized`, `double`, `munchausen`, `conservative`,
`budgets`; or a
component itself: `network`, `torso`, `value`, `bootstrap`, `target`, `exploration`, `replay`,
`auxiliary`, `optimizer`.
"""

from typing import Any

from jaxq.agents.algorithm import Algorithm
from jaxq.agents.composition import compose
from jaxq.agents.optimizers import radam

# What explores by itself has no need of random actions.
_NO_EPSILON = {"epsilon_start": 0.0, "epsilon_end": 0.0}


def dqn(**keywords: Any) -> Algorithm:
    """DQN: a network learns `q(s, a)` from replayed transitions and a slower copy of itself.

    `loss = (r_t + discount_t * max_a q_target(s_t, a) - q(s_tm1, a_tm1))^2 / 2`

    The defaults are made for populations on tasks of any kind: one gradient step of batch 128 per 5 env
    steps in 10 environments, after each of which the target network moves by 0.05 of the way. They were
    chosen by a sweep over six environments (`benchmarks/defaults.py`); hard copies as in the paper,
    which are `target_interval=500`, learned more slowly there. The paper clips errors, which is
    `loss="huber"`: right for Atari's clipped rewards, but on CartPole the few errors at an episode's
    end are then outvoted, and values grow without bound.

    Args:
        **keywords: Fields of the components in use, starting values of their leaves, and components.

    Returns:
        The recipe.

    Raises:
        InputTypeError: If a keyword does not exist or has the wrong type.
        InputValueError: If a value is out of range, or two do not fit together.

    References:
        Mnih et al., Human-level control through deep reinforcement learning, 2015, algorithm 1.
        `hidden_sizes`, `buffer_size`, `batch_size`, `discount` and `loss` as in CleanRL's DQN for
        classic control; Lillicrap et al., Continuous Control with Deep Reinforcement Learning, 2016,
        section 3 (a target network that moves by a share).

    Example:
        >>> import jaxq
        >>> jaxq.dqn(double=True, learning_rate=1e-3).hparams.learning_rate
        0.001
    """
    return compose("dqn", {}, keywords)


def double_dqn(**keywords: Any) -> Algorithm:
    """Double DQN: the online network chooses the action that the target network values.

    `target = r_t + discount_t * q_target(s_t, argmax_a q(s_t, a))`

    References:
        van Hasselt et al., Deep Reinforcement Learning with Double Q-learning, 2016, equation 4.
    """
    return compose("double_dqn", {"double": True}, keywords)


def dueling_dqn(**keywords: Any) -> Algorithm:
    """Dueling DQN: action values as the state's value plus each action's advantage.

    `q(s, a) = v(s) + adv(s, a) - mean_b adv(s, b)`, each stream with a hidden layer as wide as the
    features, learned with double targets as in the paper.

    References:
        Wang et al., Dueling Network Architectures, 2016, equation 9 and section 4.2.
    """
    return compose("dueling_dqn", {"dueling": True, "double": True}, keywords)


def n_step_dqn(**keywords: Any) -> Algorithm:
    """DQN with n-step returns: rewards of three steps before bootstrapping.

    `target = sum_k discount^k r_{t+k} + discount^n max_a q_target(s_{t+n}, a)`

    References:
        Sutton, Learning to Predict by the Methods of Temporal Differences, 1988; Hessel et al.,
        Rainbow, 2018, section "Multi-step learning", and its table 1 for n = 3.
    """
    return compose("n_step_dqn", {"n_step": 3}, keywords)


def prioritized_dqn(**keywords: Any) -> Algorithm:
    """Prioritized DQN: transitions that were mispredicted are replayed more often.

    `P(i) ~ |td_error_i|^alpha`, corrected by the weights `(N P(i))^-beta`, with double targets.

    References:
        Schaul et al., Prioritized Experience Replay, 2016, equation 1 and algorithm 1; alpha 0.6 and
        beta from 0.4 as in its table 3, proportional variant.
    """
    return compose("prioritized_dqn", {"prioritized": True, "double": True}, keywords)


def c51(**keywords: Any) -> Algorithm:
    """C51: learns the distribution of returns as probabilities of fixed atoms.

    `loss = cross_entropy(projection(r_t + discount_t * z), softmax(logits(s_tm1, a_tm1)))`

    With `value_min` and `value_max`, between which every discounted return must lie, atoms are even as
    in the paper (-10 to 10, for clipped rewards). Without them they are dense near zero and reach to
    +-1,000, for returns of any size: even ones from -100 to 100 lie 4 apart, and could not tell returns
    of 1 from -1.

    References:
        Bellemare et al., A Distributional Perspective on Reinforcement Learning, 2017, algorithm 1.
    """
    return compose("c51", {"value": "categorical"}, keywords)


def qr_dqn(**keywords: Any) -> Algorithm:
    """QR-DQN: learns the distribution of returns as fixed quantiles.

    `loss = sum_i mean_j quantile_huber_{tau_i}(r_t + discount_t * z_j(s_t, a*) - z_i(s_tm1, a_tm1))`

    With 32 quantiles, where the paper has 200 for Atari.

    References:
        Dabney et al., Distributional Reinforcement Learning with Quantile Regression, 2018,
        equation 10 and algorithm 1.
    """
    return compose("qr_dqn", {"value": "quantile"}, keywords)


def iqn(**keywords: Any) -> Algorithm:
    """IQN: learns the quantile function of returns at random fractions.

    `loss = sum_i mean_j quantile_huber_{tau_i}(r_t + discount_t * z_{tau'_j}(s_t, a*) -
    z_{tau_i}(s_tm1, a_tm1))`, with N fractions `tau` and N' fractions `tau'` from U(0, 1), drawn anew
    and embedded by 64 cosines. Actions are chosen by the mean over K fractions of their own, fixed
    midpoints in the place of random ones: `a*` by the target network, and by the online one to act.

    N = N' = 8, which the paper finds nearly as good as its 64. K = 8 in the place of its 32: midpoints
    of eight miss the mean of an exponential distribution by 0.04 of its standard deviation, 32 random
    fractions by 0.18.

    References:
        Dabney et al., Implicit Quantile Networks, 2018, equations 1 to 4, figures 1 and 4.
    """
    return compose("iqn", {"value": "implicit_quantile", "num_quantiles": 8}, keywords)


def munchausen_dqn(**keywords: Any) -> Algorithm:
    """Munchausen DQN: adds the scaled log-policy to the reward, and bootstraps softly.

    `target = r_t + scale * clip(tau log pi(a_tm1 | s_tm1), clip, 0)
    + discount_t * sum_a pi(a | s_t) (q_target(s_t, a) - tau log pi(a | s_t))`, `pi = softmax(q / tau)`

    References:
        Vieillard et al., Munchausen Reinforcement Learning, 2020, equation 1; scale 0.9, tau 0.03 and
        clip -1 as in its section 4.
    """
    return compose("munchausen_dqn", {"munchausen": True}, keywords)


def noisy_dqn(**keywords: Any) -> Algorithm:
    """Noisy DQN: explores by learned noise on the weights, without random actions.

    References:
        Fortunato et al., Noisy Networks for Exploration, 2018, equations 9 to 11, factorised noise.
    """
    return compose("noisy_dqn", {"noisy": True, **_NO_EPSILON}, keywords)


def bootstrapped_dqn(**keywords: Any) -> Algorithm:
    """Bootstrapped DQN: an ensemble, of which each episode follows one member.

    `q_k = f_k + prior_scale * p_k` with a fixed random network `p_k`; a transition is seen by each
    member with probability `mask_probability`. Members share nothing but the data: each has a target
    network of its own, double targets, and its own gradient clipped by its own norm.

    References:
        Osband et al., Deep Exploration via Bootstrapped DQN, 2016, algorithm 1 and section 6.1 (double
        targets); Osband et al., Randomized Prior Functions, 2018, algorithm 1, for the priors.
    """
    defaults = {"exploration": "ensemble", "double": True, **_NO_EPSILON}
    return compose("bootstrapped_dqn", defaults, keywords)


def conservative_dqn(**keywords: Any) -> Algorithm:
    """Conservative DQN: pulls down the values of actions that were not taken.

    `loss = dqn's + conservatism * (log sum_a exp q(s_tm1, a) - q(s_tm1, a_tm1))`

    References:
        Kumar et al., Conservative Q-Learning, 2020, equation 4.
    """
    return compose("conservative_dqn", {"conservative": True, "double": True}, keywords)


def constrained_dqn(**keywords: Any) -> Algorithm:
    """Constrained DQN: the largest return whose mean costs per episode stay within budgets.

    `a = argmax_a q(s, a) - sum_k multiplier_k q_k(s, a)`, where one network has a head for the value and
    one for each cost, all bootstrapped from that policy, and
    `multiplier_k <- max(0, multiplier_k + multiplier_learning_rate * (cost_k - budget_k))` per episode.

    `budgets={"violations": 1.0}` is in units of the undiscounted cost that an episode of the behaviour,
    exploration included, may have on average; each is a leaf, `budget_violations`. Values and costs
    count later steps by `discount`, so that only with 1 they are of the same sums as budgets. What is
    promised is that over training the mean cost per episode comes to at most
    `budget + multiplier / (multiplier_learning_rate * episodes)`; the best policy may have to mix two
    greedy ones, between which training then goes back and forth. Without budgets it is `dqn`.

    References:
        Altman, Constrained Markov Decision Processes, 1999; Tessler et al., Reward Constrained Policy
        Optimization, 2019, algorithm 1 (multipliers learn more slowly than values).
    """
    return compose("constrained_dqn", {}, keywords)


def bcq(**keywords: Any) -> Algorithm:
    """BCQ for discrete actions: double DQN over those actions only that the behaviour took often enough.

    `target = r_t + discount_t * q_target(s_t, argmax_{a: p(a) >= tau max_b p(b)} q(s_t, a))`, where
    `p(a | s_t)` is learned beside the values from the actions taken, and `tau` is the leaf
    `bcq_threshold`: 0 is double DQN, 1 behaviour cloning. It chooses among the same actions; `q_values`
    of the others are about -1e20.

    References:
        Fujimoto et al., Benchmarking Batch Deep Reinforcement Learning Algorithms, 2019, section 4,
        equations 9 and 10.
    """
    return compose("bcq", {"value": "batch_constrained", "double": True}, keywords)


def behaviour_cloning(**keywords: Any) -> Algorithm:
    """Behaviour cloning: learns which action a behaviour takes, whatever it earns; the floor for others.

    `loss = -log softmax(logits(s_tm1))[a_tm1]`; `q_values` are the logits, and the likeliest action is
    the best.

    References:
        Pomerleau, Efficient Training of Artificial Neural Networks for Autonomous Navigation, 1991.
    """
    return compose("behaviour_cloning", {"value": "preference"}, keywords)


def rainbow(**keywords: Any) -> Algorithm:
    """Rainbow: double, dueling, prioritized, n-step, categorical and noisy together.

    References:
        Hessel et al., Rainbow: Combining Improvements in Deep Reinforcement Learning, 2018; n = 3,
        alpha 0.5 and 51 atoms as in its table 1.
    """
    defaults = {
        "double": True,
        "dueling": True,
        "prioritized": True,
        "n_step": 3,
        "value": "categorical",
        "noisy": True,
        "priority_exponent": 0.5,
        **_NO_EPSILON,
    }
    return compose("rainbow", defaults, keywords)


def pqn(**keywords: Any) -> Algorithm:
    """PQN: lambda-returns over parallel environments, without replay and without target network.

    `loss = (G_t^lambda - q(s_tm1, a_tm1))^2 / 2`, in shuffled batches over the newest window, with
    normalized features. The window is `buffer_size` transitions long, and is gone through
    `batch_size / train_interval` times.

    References:
        Gallici et al., Simplifying Deep Temporal Difference Learning, 2024, algorithm 1; window,
        batches and lambda 0.65 as in CleanRL's PQN for classic control.
    """
    defaults = {
        "memory": "window",
        "layer_norm": True,
        "optimizer": radam,
        "num_envs": 4,
        "buffer_size": 512,
        "batch_size": 128,
        "train_interval": 32,
        "learning_starts": 0,
    }
    return compose("pqn", defaults, keywords)


def r2d2(**keywords: Any) -> Algorithm:
    """R2D2: a recurrent network learns from stored sequences, after a burn-in from the stored state.

    `loss = (h(r_t + discount_t * h^-1(q_target(s_t, a*))) - q(s_tm1, a_tm1))^2 / 2`, with `h` close to a
    square root: what a recurrent layer gives is between -1 and 1, and on CartPole, without `h`, it
    was pushed to those ends and stayed there. Double targets with n-step returns, on the steps that
    follow the burn-in; the action before and its reward are input beside the observation.

    With `prioritized=True` a sequence's priority is `0.9 max_t |error_t| + 0.1 mean_t |error_t|`, with
    exponent 0.9 and importance 0.6 as in the paper; uniform draws are the default. What else is smaller
    here than there, for tasks that take minutes: a GRU of 64 (an LSTM of 512), 16 steps behind a burn-in
    of 8 (80 behind 40), returns of 3 steps (5), 32 sequences in a batch (64), discount 0.99 (0.997), and
    one epsilon that falls in the place of a ladder, which is `epsilon_schedule="ladder"`; `dueling=True`
    gives the paper's head.

    References:
        Kapturowski et al., Recurrent Experience Replay in Distributed Reinforcement Learning, 2019,
        section 2.3, section 3, equation 1 and table 2; Hausknecht and Stone, Deep Recurrent Q-Learning,
        2015.
    """
    defaults = {
        "recurrent_size": 64,
        "hidden_sizes": (64,),
        "double": True,
        "n_step": 3,
        "batch_size": 32,
        "train_interval": 20,
        "target_interval": 20,
        "value": "rescaled",
        "priority_exponent": 0.9,
        "importance_start": 0.6,
    }
    return compose("r2d2", defaults, keywords)
