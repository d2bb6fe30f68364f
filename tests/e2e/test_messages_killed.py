# SPDX-License-Identifier: GPL-2.0-or-later
"""The gateway process is killed again and again while many pairs write to each other: what arrived plus what was
reported is what was said."""

import collections
import contextlib
import os
import random
import re
import time

import pytest

import accounts
import waiting
from correspondence import Correspondence
from load import TRUSTING

EACH_WAY = 5_000
"""Messages at least; as long as there are kills to come, more are said."""

RATE = 110
"""A second, each way."""

SEED = int(os.environ.get("STOX_SEED", "6"))


def met(kills, begin, end):
    """Whether a kill fell into the time between two moments."""
    return any(begin - 0.1 <= kill <= end + 0.1 for kill in kills)


def wrongly_repeated(said, kills):
    """Messages that arrived more than once other than over a kill, or under another id."""
    return {key: one.arrivals for key, one in said.items() if len(one.arrivals) > 1
            and (len({id for _, id in one.arrivals}) > 1
                 or not all(met(kills, earlier, later)
                            for (earlier, _), (later, _) in zip(one.arrivals, one.arrivals[1:])))}


def out_of_order(said, is_good):
    """Pairs of which a message that went well arrived after a later one."""
    found, last = [], {}
    for pair, n in sorted(said):
        one = said[pair, n]
        if one.arrivals and is_good(one):
            first = one.arrivals[0][0]
            if first < last.get(pair, 0):
                found.append((pair, n))
            last[pair] = max(first, last.get(pair, 0))
    return found


def summary(said):
    """How many messages were told what, and how many arrived."""
    return {told: (len(ones), sum(bool(one.arrivals) for one in ones)) for told, ones in group(said).items()}


def group(said):
    """The messages by what their senders were told."""
    found = collections.defaultdict(list)
    for one in said.values():
        found[one.told].append(one)
    return found


def unwatched(log):
    """The ids of messages that Prosody sent on a stream before it asked for acknowledgements there: of these nobody would
    know that they were lost with the stream (XEP-0198 counts from `<enable/>` on)."""
    found, watched = set(), set()
    with open(log, errors="replace") as lines:
        for line in lines:
            if not line.startswith("s2sout"):
                continue
            stream, _, said = line.split(maxsplit=2)
            if said.startswith("Destroying "):
                # Its name may be used again.
                watched.discard(stream)
            elif said.startswith("Sending[s2sout]: <enable "):
                watched.add(stream)
            elif said.startswith("Sending[s2sout]: <message "):
                ids = re.findall(r"\bid='(x\d+-\d+)'", said)
                # What is sent again where it is watched is watched.
                found = found.difference(ids) if stream in watched else found.union(ids)
    return found


@pytest.mark.parametrize("number", [20, pytest.param(200, marks=pytest.mark.soak)])
def test_nothing_is_lost_silently(stage, request, number):
    scene = stage(link="s2s", server="prosody", acknowledgements=True, defines=TRUSTING, memory=("-m", "256", "-M", "16"),
                  parameters={"restart_backoff": 0, "max_user_messages": 0, "max_domain_messages": 0})
    dice = random.Random(SEED)
    talk = Correspondence(scene, pairs=50, rate=RATE).start()
    request.addfinalizer(talk.close)
    kills = []
    while len(kills) < number:
        time.sleep(dice.uniform(0.0, 3.6))
        old = scene.kamailio.kill_gateway()
        kills.append(time.monotonic())
        waiting.until(lambda: scene.kamailio.gateway_pid() not in (None, old), "a new gateway process", 60,
                      scene.kamailio.tail)
    print(f"seed {SEED}, kills after", *(f"{kill - talk.began:.2f}" for kill in kills))
    waiting.until(lambda: min(talk.said()) >= EACH_WAY, f"{EACH_WAY} messages to be said each way", 600,
                  lambda: str(talk.said()))
    talk.stop()

    def silent(said, is_silent):
        return [key for key, one in said.items() if is_silent(one)]

    def lost():
        return (silent(talk.to_xmpp.said, lambda one: one.told == 200 and not one.arrivals)
                + silent(talk.to_sip, lambda one: one.told is None and not one.arrivals))

    def lost_in_sight():
        blind = unwatched(scene.server.program.log) if lost() else set()
        return (silent(talk.to_xmpp.said, lambda one: one.told == 200 and not one.arrivals)
                + [(pair, n) for pair, n in silent(talk.to_sip, lambda one: one.told is None and not one.arrivals)
                   if f"x{pair}-{n}" not in blind])

    # What nobody watched over is waited for as well, before it is given up.
    with contextlib.suppress(waiting.NotInTime):
        waiting.until(lambda: not lost(), "every message to have arrived or to be reported", 60)
    assert not lost_in_sight(), f"lost: {lost_in_sight()[:20]}\n{summary(talk.to_xmpp.said)}\n{summary(talk.to_sip)}"
    print(f"{len(lost())} lost on streams that the server had not asked to be acknowledged yet")
    assert len(lost()) <= number
    print("to XMPP (said, of them arrived):", summary(talk.to_xmpp.said))
    print("to SIP (said, of them arrived):", summary(talk.to_sip))
    for direction, said in (("to_xmpp", talk.to_xmpp.said), ("to_sip", talk.to_sip)):
        twice = sum(len(one.arrivals) > 1 for one in said.values())
        print(f"{direction}: {twice} arrived more than once")
        assert not wrongly_repeated(said, kills)

        def settled(direction=direction):
            account = accounts.Account.of(scene.kamailio, direction)
            assert account.adds_up(), account
            return account.in_flight == 0

        waiting.until(settled, f"no message {direction} to be under way", 60)
    assert set(group(talk.to_xmpp.said)) <= {200, 480, 500, 503, 504}, summary(talk.to_xmpp.said)
    assert not out_of_order(talk.to_xmpp.said, lambda one: one.told == 200)
    assert not out_of_order(talk.to_sip, lambda one: one.told is None)
    # Told of a failure, and there nevertheless: only what a kill met.
    for said in (talk.to_xmpp.said, talk.to_sip):
        both = [key for key, one in said.items() if one.told not in (None, 200) and one.arrivals
                and not met(kills, one.at, one.ended)]
        assert not both
    assert len(group(talk.to_xmpp.said)[200]) > EACH_WAY / 2
    assert len(group(talk.to_sip)[None]) > EACH_WAY / 2
