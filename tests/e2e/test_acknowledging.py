# SPDX-License-Identifier: GPL-2.0-or-later
"""What a server that asks for acknowledgements (XEP-0198) is told of its stanzas, and when: as its log tells it."""

import contextlib
import re
import sqlite3

import pytest

import waiting
from scene import bare

_TOLD = re.compile(r"^(s2s\S+).*#queue = (\d+) \(acked: (-?\d+)\)$", re.MULTILINE)
_ASKED = re.compile(r"^s2s.*Sending <r> \(inside timer, after send\)", re.MULTILINE)


def told(scene):
    """The acknowledgements that came: how many stanzas each left open, and how many it was for."""
    return [(int(left), int(acked)) for _, left, acked in _TOLD.findall(scene.server.program.output())]


def asked(scene):
    """How often acknowledgements were asked for."""
    return len(_ASKED.findall(scene.server.program.output()))


def wait_until_all_is_acknowledged(scene):
    """Waits until nothing that the server asked about is open."""
    waiting.until(lambda: told(scene) and len(told(scene)) == asked(scene) and told(scene)[-1][0] == 0,
                  "all stanzas to be acknowledged", evidence=scene.server.program.tail)


def watched(stage, **more):
    """Romeo sees Juliet, and all that was said of it is acknowledged."""
    scene = stage(link="s2s", server="prosody", acknowledgements=True, **more)
    juliet = scene.xmpp("juliet")
    watch = scene.granted_watch(scene.sip("romeo"), juliet)
    # What is sent before the answer to <enable/> is not asked about.
    waiting.until(lambda: any(s.acknowledgements for s in scene.server.streams() if s.bidi or s.direction == "out"),
                  "acknowledgements to be agreed on", evidence=scene.server.program.tail)
    juliet.show("dnd")
    watch.expect_notify("active", lambda n: "dnd" in n.body, "with dnd")
    wait_until_all_is_acknowledged(scene)
    return scene, juliet, watch


@contextlib.contextmanager
def locked(path):
    """Another program writes to the store for as long as this lasts, which is to be less than five seconds."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as base:
        base.execute("BEGIN IMMEDIATE")
        yield
        base.execute("ROLLBACK")


@pytest.mark.parametrize("bidi", [False, True], ids=["one-way", "bidi"])
def test_every_stanza_is_acknowledged(stage, bidi):
    scene, juliet, watch = watched(stage, bidi=bidi)
    before = sum(acked for _, acked in told(scene))
    for n in range(50):
        juliet.show("away", status=f"number {n}")
    watch.expect_notify("active", lambda n: "number 49" in n.body, "with number 49")
    wait_until_all_is_acknowledged(scene)
    assert sum(acked for _, acked in told(scene)) - before == 50
    assert "The client says it handled" not in scene.server.program.output()


@pytest.mark.parametrize("bidi", [False, True], ids=["one-way", "bidi"])
def test_what_is_not_stored_is_not_acknowledged(stage, bidi):
    scene, juliet, watch = watched(stage, bidi=bidi)
    questions, answers = asked(scene), len(told(scene))
    with locked(scene.kamailio.store):
        juliet.presence(bare(watch.agent), "unsubscribed")
        waiting.until(lambda: asked(scene) > questions, "Prosody to ask", evidence=scene.server.program.tail)
        waiting.never(lambda: len(told(scene)) > answers, "an acknowledgement of what is not stored")
    watch.expect_notify("terminated")
    wait_until_all_is_acknowledged(scene)


def test_what_was_not_stored_when_the_gateway_was_killed_is_reported(stage):
    scene, juliet, watch = watched(stage)
    questions = asked(scene)
    with locked(scene.kamailio.store):
        juliet.presence(bare(watch.agent), "unsubscribed")
        waiting.until(lambda: asked(scene) > questions, "Prosody to ask", evidence=scene.server.program.tail)
        scene.kamailio.kill_gateway()
        waiting.until(lambda: re.search(r"Destroying session with [1-9]\d* unacked", scene.server.program.output()),
                      "Prosody to find a stanza unacknowledged", evidence=scene.server.program.tail)
    juliet.expect_presence(bare(watch.agent), "error")
