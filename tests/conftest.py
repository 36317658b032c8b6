"""What the tests share: where the real data lies, and the network with real weights."""

import gc
import sys
from pathlib import Path

import called
import numpy as np
import pytest
import tiers

SHARED = Path(__file__).resolve().parents[2] / "shared"


def pytest_addoption(parser):
    parser.addoption("--shuffle", type=int, metavar="SEED", help="run files and their tests in another order")
    parser.addoption(
        "--deviations", metavar="JSON", help="write how far attributions are from their references"
    )


def pytest_configure(config):
    if config.option.deviations:
        from deviations import Deviations

        config.pluginmanager.register(Deviations(config.option.deviations))
    if called.whole_run(config):
        config.pluginmanager.register(called.Called(config))


@pytest.hookimpl(wrapper=True)
def pytest_collection():
    """Collect without garbage collection, and never look again at what this makes, torch among it: half the time."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config, items):
    tiers.leave_to_test_all(items)
    if config.option.shuffle is not None:
        tiers.shuffle(items, config.option.shuffle)


def settings():
    from npgrad import config

    return {name: getattr(config, name) for name in ("threads", "exact", "keep_memory")}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item):
    item.settings = settings()
    yield


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item):
    """A test that leaves a setting of the process changed fails itself, not another one later."""
    yield
    if (left := settings()) != item.settings:
        for name, before in item.settings.items():
            setattr(sys.modules["npgrad.config"], name, before)
        pytest.fail(f"the test left npgrad.config with {left}", pytrace=False)


@pytest.fixture(scope="session")
def shared():
    """The folder of real weights and photos beside the project, or a skip where it is absent."""
    if not SHARED.is_dir():
        pytest.skip(f"no folder {SHARED.name!r} beside the project: real weights and photos are not here")
    return SHARED


@pytest.fixture(scope="session")
def deep_compression(shared):
    """The real weights' file as it was published."""
    return shared / "weights" / "squeezenet1_0_deep_compression.net"


@pytest.fixture(scope="session")
def real_weights(deep_compression, tmp_path_factory):
    """The real weights, converted: the path of an .h5 file."""
    from npgrad.io.converting import convert

    path = tmp_path_factory.mktemp("weights") / "squeezenet1_0.h5"
    convert(deep_compression).save(path)
    return path


@pytest.fixture(scope="session")
def real_model(real_weights):
    """SqueezeNet 1.0 with the real weights."""
    import npgrad

    return npgrad.load(real_weights)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def written(monkeypatch):
    """What is drawn: (text, its box)."""
    from PIL import ImageDraw

    found, text = [], ImageDraw.ImageDraw.text

    def recording(draw, place, line, *arguments, **keywords):
        found.append((line, draw.textbbox(place, line, keywords["font"], keywords.get("anchor"))))
        return text(draw, place, line, *arguments, **keywords)

    monkeypatch.setattr(ImageDraw.ImageDraw, "text", recording)
    return found
