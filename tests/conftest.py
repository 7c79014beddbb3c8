import gc
import tempfile
import warnings

import jax
import pytest

import jaxq

# Tracing makes many small objects that stay; looking through them again and again takes a while.
gc.set_threshold(100_000, 50, 100)
# One CPU device per core, as the command line has it, so that populations are really spread.
jaxq.use_all_cores()
jax.config.update("jax_numpy_rank_promotion", "raise")
# Several tests compile the same program; a session compiles it once.
jax.config.update("jax_compilation_cache_dir", tempfile.mkdtemp(prefix="jaxq-tests-"))
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)

with warnings.catch_warnings():
    # What gymnax's own dependencies warn of while they are imported is not ours to mend.
    warnings.simplefilter("ignore")
    import gymnax  # noqa: F401


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    """Compile with few optimizations, which takes half the time, but where a test asks for all."""
    jax.config.update("jax_disable_most_optimizations", not item.get_closest_marker("optimized"))


@pytest.fixture(scope="module", autouse=True)
def forget_programs():
    """Give back the memory of a module's compiled programs."""
    yield
    jax.clear_caches()


@pytest.fixture(scope="session")
def cartpole():
    return jaxq.envs.make("CartPole-v1")


def small(**keywords):
    """Keywords of a recipe that compiles and runs fast, without those that are given as `None`."""
    widths = {} if "network" in keywords else {"hidden_sizes": (16,)}
    found = {
        **widths,
        "num_envs": 4,
        "buffer_size": 200,
        "batch_size": 16,
        "learning_starts": 40,
        "train_interval": 4,
        "target_interval": 20,
        **keywords,
    }
    return {name: value for name, value in found.items() if value is not None}


@pytest.fixture(scope="session", name="small")
def small_fixture():
    return small
