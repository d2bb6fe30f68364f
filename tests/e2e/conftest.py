# SPDX-License-Identifier: GPL-2.0-or-later
"""What the scenarios have in common: a stage of their own each, and skips that say why."""

import os
import re
import subprocess
import sys
import zlib

import pytest

import place
from program import Missing
from scene import LINKS, SERVERS, Scene

# Lines of Kamailio's own at the end of a run, when its TCP children go before its main process.
_HARMLESS = re.compile(r"receive_fd\(\): EOF on|receive_fd\(\): (EOF|error)")


def pytest_addoption(parser):
    parser.addoption("--link", choices=LINKS, help="how the gateway reaches XMPP in scenes that do not say it")
    parser.addoption("--server", choices=SERVERS, help="the XMPP server in scenes with S2S that do not say it")


def pytest_configure(config):
    for name in ("link", "server"):
        if config.getoption(name):
            os.environ[f"STOX_{name.upper()}"] = config.getoption(name)


def pytest_collection_modifyitems(config, items):
    if os.environ.get("STOX_LINK", LINKS[0]) == LINKS[0]:
        return
    apart = [item for item in items if item.get_closest_marker("component")]
    items[:] = [item for item in items if item not in apart]
    config.hook.pytest_deselected(items=apart)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item):
    return (yield from _skipping())


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    return (yield from _skipping())


def _skipping():
    try:
        return (yield)
    except Missing as missing:
        why = str(missing)
    if os.environ.get("STOX_REQUIRE_PEERS") == "1":
        pytest.fail(f"{why}, and STOX_REQUIRE_PEERS=1 forbids to skip", pytrace=False)
    pytest.skip(why)


@pytest.fixture
def stage(request):
    """Makes scenes for one test; each call of it takes what `Scene` takes. The logs must be free of alarms."""
    scenes = []

    def make(**arguments):
        module = request.module.__name__.removeprefix("test_")
        name = re.sub(r"[^a-zA-Z0-9]+", "-", f"{module}-{request.node.name.removeprefix('test_')}").strip("-")
        # Short, as sockets lie in there; the number keeps apart what the cut made equal.
        number = zlib.crc32(f"{name} {len(scenes)}".encode()) % 1000
        scene = Scene(f"{name[:40]}-{number}", **arguments)
        scenes.append(scene)
        return scene

    yield make
    logs = []
    for scene in reversed(scenes):
        scene.close()
        logs.append(scene.kamailio.folder / "kamailio.log")
    for log in logs:
        alarms = [line for line in log.read_text(errors="replace").splitlines()
                  if re.search(r"CRITICAL|ALERT|BUG|panicked", line) and not _HARMLESS.search(line)]
        assert not alarms, f"{log}:\n" + "\n".join(alarms[:10])
        if place.UNDER:
            judged = subprocess.run([sys.executable, place.ROOT / "tests/sanitize/reports.py", log.parent / "reports"],
                                    capture_output=True, text=True, check=False)
            print(judged.stdout + judged.stderr)
            assert judged.returncode == 0, judged.stdout + judged.stderr


@pytest.fixture
def scene(stage):
    """The usual scene: `kamailio-cfg/stox.cfg`, romeo@sip.example, juliet@xmpp.example."""
    return stage()
