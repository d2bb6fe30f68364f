# SPDX-License-Identifier: GPL-2.0-or-later
"""Every way to start Kamailio: with and without its own processes, in the background, as another user."""

import getpass
import grp
import os
import pwd
import shutil
import tempfile
import time
from pathlib import Path

import pytest

import waiting
from kamailio import DAEMON

AT_ONCE = 'modparam("stox", "restart_backoff", 0)'


def other_user():
    """User and group to change to: without root only to oneself."""
    if os.getuid() == 0:
        return ("kamailio", "kamailio")
    return (getpass.getuser(), grp.getgrgid(os.getgid()).gr_name)


def identity(pid):
    """The four user ids of a process, real, effective, saved and of files, then its four group ids."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return [line.split()[1:] for line in lines if line.startswith(("Uid:", "Gid:"))]


def gone(pids):
    """Which of these processes still run."""
    return [pid for pid in pids if Path(f"/proc/{pid}").exists()]


def serve_and_survive(scene):
    """A watcher is served, the gateway process is killed, he is served on, and the end leaves nothing behind."""
    juliet, romeo = scene.xmpp("juliet"), scene.sip("romeo")
    watch = scene.granted_watch(romeo, juliet)
    old = scene.kamailio.kill_gateway()
    waiting.until(lambda: scene.kamailio.gateway_pid() not in (None, old), "a new gateway process",
                  evidence=scene.kamailio.tail)
    scene.wait_for_link()
    juliet.show("away")
    watch.expect_notify("active", lambda n: "away" in n.body)
    assert watch.refresh(600).status == 200
    assert romeo.subscribe(f"sip:{juliet.jid}").expect_notify("active").status is None

    processes = scene.kamailio.processes()
    assert scene.kamailio.gateway_pid() in processes
    began = time.monotonic()
    status = scene.kamailio.stop()
    print(f"{len(processes)} processes ended in {time.monotonic() - began:.1f} s")
    waiting.until(lambda: not gone(processes), "all processes to end", 5, lambda: str(gone(processes)))
    return status


@pytest.mark.parametrize("config", ["stox.cfg", "minimal.cfg"])
@pytest.mark.parametrize("mode", ["-DD", "-D", DAEMON])
def test_a_mode_serves(stage, mode, config):
    scene = stage(mode=mode, config=config, extra=AT_ONCE)
    status = serve_and_survive(scene)
    assert status == (None if mode == DAEMON else 0)
    assert not scene.kamailio.pid_file.exists()


@pytest.mark.parametrize("mode", ["-DD", DAEMON])
def test_it_serves_as_another_user(stage, mode):
    user = other_user()
    scene = stage(mode=mode, user=user, extra=AT_ONCE)
    serving = identity(scene.kamailio.gateway_pid())
    assert serving == [[str(pwd.getpwnam(user[0]).pw_uid)] * 4, [str(grp.getgrnam(user[1]).gr_gid)] * 4]
    for path in scene.kamailio.store.parent.glob("stox.db*"):
        assert path.owner() == user[0] and path.group() == user[1], path
        assert path.stat().st_mode & 0o077 == 0, f"{path} can be read by others"
    serve_and_survive(scene)


@pytest.mark.parametrize("mode", ["-DD", "-D", DAEMON])
def test_a_store_that_the_user_cannot_write_is_told_in_words(stage, mode):
    user = other_user()
    folder = Path(tempfile.mkdtemp(prefix="stox-"))
    shutil.chown(folder, *user)
    try:
        scene = stage(mode=mode, user=user, extra=f'{AT_ONCE}\nmodparam("stox", "store", "sqlite:{folder}/stox.db")')
        scene.kamailio.stop()
        for file in folder.iterdir():
            file.unlink()
        folder.chmod(0o500)
        scene.kamailio.start()
        words = f"the store {folder}/stox.db cannot be opened"
        waiting.until(lambda: words in scene.kamailio.log(), "words about the store", evidence=scene.kamailio.tail)
        assert f"the right to write in {folder}" in scene.kamailio.log()
        romeo = scene.sip("romeo")
        assert romeo.subscribe("sip:juliet@xmpp.example").answer.status == 503
        # The operator mends it, and need not start anything again.
        folder.chmod(0o700)
        scene.wait_for_link()
        assert romeo.subscribe("sip:juliet@xmpp.example").answer.status == 200
        scene.kamailio.stop()
    finally:
        shutil.rmtree(folder)
