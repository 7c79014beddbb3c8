import warnings

import jax
import pytest

import jaxq

# One CPU device per core, as the command line has it, so that populations are really spread.
jaxq.use_all_cores()
jax.config.update("jax_numpy_rank_promotion", "raise")

with warnings.catch_warnings():
    # What gymnax's own dependencies warn of while they are imported is not ours to mend.
    warnings.simplefilter("ignore")
    import gymnax  # noqa: F401


@pytest.fixture(scope="session")
def cartpole():
    return jaxq.envs.make("CartPole-v1")


def small(**keywords):
    """Keywords of a recipe that compiles and runs fast."""
    return {
        "hidden_sizes": (16,),
        "num_envs": 4,
        "buffer_size": 200,
        "batch_size": 16,
        "learning_starts": 40,
        "train_interval": 4,
        "target_interval": 20,
        **keywords,
    }


@pytest.fixture(scope="session", name="small")
def small_fixture():
    return small
