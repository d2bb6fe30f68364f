# SPDX-License-Identifier: GPL-2.0-or-later
"""Every server and all phones, killed while twelve pairs are each in another phase of another flow.

Afterwards both users' clients show the truth, every dialog is there once, nobody is told of an end that nobody meant,
and nothing is asked again and again.
"""

import contextlib
import os
import re
import signal
import sqlite3
import threading
import time

import pytest

import waiting
from ejabberd import Ejabberd
from notifier import Notifier, answer_subscribes
from scene import bare

# SIP users who watch juliet, and SIP users whom she watches, by what happens to them.
WATCHERS = ("pending", "active", "refreshing", "revoked", "leaving", "fetching")
CONTACTS = ("undecided", "seen", "rejecting", "left")

SECRET = '$sht(password=>nurse) = "secret";'
ACCOUNTS = {SECRET: "\n".join([SECRET, *(SECRET.replace("nurse", user) for user in WATCHERS + CONTACTS)])}

AT_ONCE = 'modparam("stox", "restart_backoff", 0)'


class Site:
    """All pairs, settled in their phases."""

    def __init__(self, stage, granted=600):
        self.granted = granted
        self.scene = stage(config="minimal.cfg", edit=ACCOUNTS, extra=AT_ONCE)
        self.juliet = self.scene.xmpp("juliet")
        self.agents, self.watches, self.notifiers = {}, {}, {}
        self.waiting = []
        # The contacts first: Prosody may put presence before what waits for a stream between servers to be made.
        for user in CONTACTS:
            self.be_watched(user)
        for user in WATCHERS:
            self.watch(user)
        self.begun = {user: len(self.agents[user].received) for user in self.agents}
        self.heard = len(self.juliet.received)

    def watch(self, user):
        agent = self.agents[user] = self.scene.sip(user)
        watch = self.watches[user] = agent.subscribe(f"sip:{self.juliet.jid}")
        watch.expect_notify("pending")
        self.juliet.expect_presence(bare(agent), "subscribe")
        if user == "pending":
            return
        self.juliet.presence(bare(agent), "subscribed")
        watch.expect_notify("active", lambda n: "open" in n.body)
        if user == "fetching":
            assert watch.refresh(0).status == 200
            watch.expect_notify("terminated")

    def be_watched(self, user):
        agent = self.agents[user] = self.scene.sip(user)
        answer_subscribes(agent, expires=self.granted)
        agent.register()
        self.juliet.presence(bare(agent), "subscribe")
        notifier = self.notifiers[user] = Notifier(agent, agent.expect_request("SUBSCRIBE"), expires=self.granted)
        if user == "undecided":
            assert notifier.notify("pending").status == 200
            return
        assert notifier.show().status == 200
        self.juliet.expect_presence(bare(agent), "subscribed")
        self.juliet.expect_presence(bare(agent))

    # ------------------------------------------------------------ the blow

    def strike(self, kill):
        """Everything is on its way when somebody dies; what juliet ended has come as far as the store.

        A component's stream knows no acknowledgements: what is on it when the gateway dies is lost, and Prosody does not
        say again, to a probe either, that somebody may no longer see its user.
        """
        answer_subscribes(self.agents["rejecting"], 603)
        for deed in (lambda: self.watches["refreshing"].refresh(600),
                     lambda: self.watches["leaving"].refresh(0),
                     lambda: self.agents["fetching"].subscribe(f"sip:{self.juliet.jid}", 0),
                     lambda: self.notifiers["rejecting"].notify("terminated", reason="rejected")):
            self.waiting.append(threading.Thread(target=quietly, args=(deed,), daemon=True))
        self.juliet.presence("revoked@sip.example", "unsubscribed")
        self.juliet.presence("left@sip.example", "unsubscribe")
        waiting.until(lambda: self.stored("revoked") == "refused" and self.stored("left") is None,
                      "what juliet ended to be stored", evidence=self.juliet.history)
        for thread in self.waiting:
            thread.start()
        kill()

    def stored(self, user):
        """The state of a pair's authorisation in the store."""
        with contextlib.closing(sqlite3.connect(f"file:{self.scene.kamailio.store}?mode=ro", uri=True)) as base:
            found = base.execute("SELECT state FROM authorization WHERE sip = ?", (f"sip:{user}@sip.example",)).fetchone()
        return found and found[0]

    def settle(self):
        """What was not answered was sent again, and is over."""
        for thread in self.waiting:
            thread.join(40)
        self.scene.wait_for_link(60)

    def close_all(self):
        """Every phone is switched off."""
        for agent in self.agents.values():
            agent.close()

    def begin_anew(self):
        """Every phone is switched on, and remembers no dialog. Who watched subscribes; who was asked for is asked again."""
        for user, old in list(self.agents.items()):
            agent = self.agents[user] = self.scene.sip(user, address=old.address)
            agent.received.extend(old.received)
            agent.forget()
            forgotten = {message.call_id for message in old.received}
            agent.on["NOTIFY"] = lambda m, forgotten=forgotten: (481 if m.call_id in forgotten else 200, [], "")
            agent.on["SUBSCRIBE"] = lambda m, agent=agent: (
                (481, [], "") if m.to_tag else (603, [], "") if agent.user == "rejecting" else
                (200, [("Expires", str(self.granted)), ("Contact", f"<{agent.contact}>")], ""))
        self.register_again()
        for user in ("pending", "active", "refreshing"):
            self.watches[user] = self.agents[user].subscribe(f"sip:{self.juliet.jid}")
        self.watches["leaving"].agent = self.agents["leaving"]
        for user in ("undecided", "seen"):
            asked = self.agents[user].expect_request("SUBSCRIBE", 60, lambda m: not m.to_tag)
            answer_subscribes(self.agents[user], expires=self.granted)
            self.notifiers[user] = Notifier(self.agents[user], asked, expires=self.granted)

    def register_again(self):
        """As phones do when they find their proxy again."""
        for user in CONTACTS:
            self.agents[user].register()

    # ------------------------------------------------------------ the truth

    def check(self):
        """What everybody sees, after a change on each side."""
        juliet, watches, notifiers = self.juliet, self.watches, self.notifiers
        juliet.presence("pending@sip.example", "subscribed")
        watches["pending"].expect_notify("active", lambda n: "open" in n.body, "with open")
        juliet.show("dnd")
        for user in ("pending", "active", "refreshing"):
            watches[user].expect_notify("active", lambda n: "dnd" in n.body, "with dnd")
        assert watches["refreshing"].refresh(600).status == 200
        fetch = self.agents["fetching"].subscribe(f"sip:{juliet.jid}", 0)
        fetch.expect_notify("terminated", lambda n: "dnd" in n.body, "with dnd")
        again = self.agents["revoked"].subscribe(f"sip:{juliet.jid}")
        assert again.expect_notify("terminated").reason == "rejected"
        assert watches["leaving"].refresh(0).status in (200, 481)

        assert notifiers["undecided"].show().status == 200
        juliet.expect_presence("undecided@sip.example", "subscribed", limit=60)
        juliet.expect_presence("undecided@sip.example")
        assert notifiers["seen"].show(show="xa").status == 200
        juliet.expect_presence("seen@sip.example", show="xa")
        waiting.until(lambda: any(m["expires"] == "0" for m in self.since("left", "SUBSCRIBE")),
                      "the gateway to leave", 60, self.agents["left"].history)
        self.check_roster()
        self.check_what_was_said()
        self.check_dialogs()

    def check_roster(self):
        """Who sees whom, as juliet's client shows it."""
        expected = dict.fromkeys(("pending", "active", "refreshing", "leaving", "fetching"), "from")
        expected |= dict.fromkeys(("undecided", "seen"), "to")
        expected |= dict.fromkeys(("revoked", "rejecting", "left"), "none")

        def roster():
            return {user: self.juliet.subscription(f"{user}@sip.example") for user in expected}

        waiting.until(lambda: roster() == expected, f"juliet's roster to say {expected}", 60, lambda: str(roster()))

    def said(self, type, user):
        """Presence of that type that juliet got from a user since the blow."""
        return [s for s in self.juliet.received[self.heard:] if (s.type, s.bare) == (type, f"{user}@sip.example")]

    def since(self, user, method):
        """Requests that came to a user since the blow, each once."""
        found = {}
        for message in self.agents[user].received[self.begun[user]:]:
            if message.status is None and message.method == method:
                found[message.call_id, message.cseq] = message
        return list(found.values())

    def check_what_was_said(self):
        for user in ("undecided", "seen"):
            assert not self.said("unsubscribed", user)
            subscribes = self.since(user, "SUBSCRIBE")
            opened = [m for m in subscribes if not m.to_tag]
            assert len(opened) <= 1 and len(subscribes) <= 4, self.agents[user].history()
        for user in WATCHERS:
            assert not self.said("unsubscribe", user)
            # She is asked again only while she has not decided.
            assert len(self.said("subscribe", user)) <= (2 if user == "pending" else 0), self.juliet.history()
        for user in ("pending", "active", "refreshing"):
            reasons = [n.reason for n in self.watches[user].notifies() if n.subscription_state == "terminated"]
            assert not reasons, f"{user}: {reasons}"

    def check_dialogs(self):
        """Each pair that watches has one dialog."""
        watching = {"pending", "active", "refreshing", "undecided", "seen"}

        def once():
            said = self.scene.kamailio.kamcmd("stox.dialogs")
            alive = [user for user, state in re.findall(r"sip: sip:(\S+?)@.*?state: (\w+)", said, re.DOTALL)
                     if state != "ending"]
            return sorted(alive) == sorted(watching)

        waiting.until(once, f"one dialog for each of {sorted(watching)}", 60,
                      lambda: self.scene.kamailio.kamcmd("stox.dialogs"))


def quietly(deed):
    """Whoever waits for an answer of somebody dead may not get one."""
    try:
        deed()
    except (AssertionError, OSError):
        pass


def kill_all(kamailio):
    """Every process of Kamailio at once."""
    program, kamailio.program = kamailio.program, None
    os.killpg(program.pid, signal.SIGKILL)
    program.stop()


@pytest.mark.parametrize("late", [0.0, 0.02, *(pytest.param(n / 100, marks=pytest.mark.soak) for n in range(5, 50, 5))])
def test_the_gateway_process(stage, late):
    site = Site(stage)
    old = site.scene.kamailio.gateway_pid()
    site.strike(lambda: (time.sleep(late), site.scene.kamailio.kill_gateway()))
    waiting.until(lambda: site.scene.kamailio.gateway_pid() not in (None, old), "a new gateway process")
    site.settle()
    site.check()


@pytest.mark.parametrize("late", [0.0, *(pytest.param(n / 100, marks=pytest.mark.soak) for n in range(2, 50, 5))])
def test_kamailio(stage, late):
    site = Site(stage)
    site.strike(lambda: (time.sleep(late), kill_all(site.scene.kamailio)))
    site.scene.kamailio.start()
    site.settle()
    site.register_again()
    site.check()


@pytest.mark.parametrize("late", [0.0, *(pytest.param(n / 100, marks=pytest.mark.soak) for n in range(2, 50, 5))])
def test_the_xmpp_server(stage, late):
    site = Site(stage)
    server = site.scene.server
    # ejabberd would forget what it wrote last, rosters among it.
    number = signal.SIGTERM if isinstance(server, Ejabberd) else signal.SIGKILL
    site.strike(lambda: (time.sleep(late), server.program.signal(number)))
    server.stop()
    site.juliet.drop()
    server.start()
    site.settle()
    site.juliet.login()
    site.check()


@pytest.mark.parametrize("late", [0.0, *(pytest.param(n / 100, marks=pytest.mark.soak) for n in range(2, 50, 5))])
def test_all_phones(stage, late):
    # Only a refresh finds out that a peer has forgotten.
    site = Site(stage, granted=6)
    site.strike(lambda: (time.sleep(late), site.close_all()))
    site.begin_anew()
    site.settle()
    site.check()
