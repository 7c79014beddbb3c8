import atexit
import gc
import importlib.util
import os
import shutil
import tempfile
import warnings
from pathlib import Path

import jax
import pytest

import jaxq

CACHE = "JAXQ_TESTS_CACHE"
"""Names the directory of compiled programs for the processes that share the work."""

# Tracing makes many small objects that stay; looking through them again and again takes a while.
gc.set_threshold(100_000, 50, 100)
# One CPU device per core, as the command line has it, so that populations are really spread.
jaxq.use_all_cores()
jax.config.update("jax_numpy_rank_promotion", "raise")
# Several tests compile the same program; a session compiles it once, in whichever of its processes.
if CACHE not in os.environ:
    os.environ[CACHE] = tempfile.mkdtemp(prefix="jaxq-tests-")
    atexit.register(shutil.rmtree, os.environ[CACHE], ignore_errors=True)
jax.config.update("jax_compilation_cache_dir", os.environ[CACHE])
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)

with warnings.catch_warnings():
    # What gymnax's own dependencies warn of while they are imported is not ours to mend.
    warnings.simplefilter("ignore")
    import gymnax  # noqa: F401


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    """Compile with few optimizations, which is faster, but where a test asks for all."""
    few = not item.get_closest_marker("optimized")
    jax.config.update("jax_disable_most_optimizations", few)
    os.environ["JAX_DISABLE_MOST_OPTIMIZATIONS"] = str(few)  # for processes that the test starts


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


@pytest.fixture(scope="module")
def browser():
    """Chromium, whose path JAXQ_CHROMIUM gives, driven by playwright."""
    path = os.environ.get("JAXQ_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    if not path or not importlib.util.find_spec("playwright"):
        pytest.skip("needs playwright and Chromium (JAXQ_CHROMIUM gives its path)")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def opened(browser, tmp_path):
    """Opens a page from disk; it must ask for nothing else, and the console must stay empty."""
    page = browser.new_page(viewport={"width": 1280, "height": 900}, reduced_motion="reduce")
    said, asked = [], []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))

    def show(html):
        (tmp_path / "view.html").write_text(html, encoding="utf-8")
        page.goto((tmp_path / "view.html").as_uri())
        return page

    yield show
    assert not said
    assert not [url for url in asked[1:] if not url.startswith("data:")]
    page.close()


@pytest.fixture
def violations():
    """What axe-core finds wrong with a page in a colour scheme."""
    source = os.environ.get("JAXQ_AXE")
    if not source:
        pytest.skip("needs axe-core (JAXQ_AXE gives the path of axe.min.js)")

    def find(page, scheme):
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        page.evaluate(Path(source).read_text())
        found = page.evaluate("axe.run().then((result) => result.violations)")
        return [(rule["id"], [node["html"] for node in rule["nodes"]][:4]) for rule in found]

    return find
