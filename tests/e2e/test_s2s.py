# SPDX-License-Identifier: GPL-2.0-or-later
"""S2S with real servers: how streams are authenticated, who begins, and what is agreed on. What was run is told in the
table of the README, line for line."""

import re

import pytest

import place
import waiting
from scene import bare
from test_presence_server import put_rules

_NAMES = {"prosody": "Prosody {}.{}", "ejabberd": "ejabberd {}.{:02}"}


def _watch_from_sip(scene):
    """Romeo sees Juliet: the gateway has something to say first."""
    return scene.granted_watch(scene.sip("romeo"), scene.xmpp("juliet"))


def _watch_from_xmpp(scene):
    """Juliet sees Romeo: the server has something to say first."""
    juliet, romeo = scene.xmpp("juliet"), scene.sip("romeo")
    put_rules(scene.kamailio, "romeo", juliet.jid, "allow")
    juliet.presence(bare(romeo), "subscribe")
    juliet.expect_presence(bare(romeo), "subscribed")
    juliet.expect_presence(bare(romeo), "unavailable")


_FIRST = {"gateway": _watch_from_sip, "server": _watch_from_xmpp}


def _streams(scene):
    """The streams that are up, as `stox.links` shows them."""
    return [link for link in scene.kamailio.rpc("stox.links") if link["state"] == "up"]


def _in_the_readme(server, *cells):
    """The line of the table that says so is there."""
    name = _NAMES[type(server).__name__.lower()].format(*server.version())
    readme = (place.ROOT / "README.md").read_text()
    # Other versions of the same servers are other lines.
    if not re.search(rf"^\| {re.escape(name)} ", readme, re.MULTILINE):
        pytest.skip(f"the README says nothing of {name}")
    line = "| " + " | ".join((name, *cells)) + " |"
    assert line in readme, f"the README lacks: {line}"


@pytest.mark.parametrize("direct_tls", [False, True], ids=["starttls", "direct"])
@pytest.mark.parametrize("first", ["gateway", "server"])
@pytest.mark.parametrize("authentication", ["external", "dialback"])
@pytest.mark.parametrize("server", ["prosody", "ejabberd"])
def test_federates(stage, server, authentication, first, direct_tls):
    scene = stage(link="s2s", server=server, authentication=authentication, direct_tls=direct_tls)
    _FIRST[first](scene)
    for direction in ("in", "out"):
        scene.server.wait_for_stream(direction=direction, authentication=authentication, direct_tls=direct_tls)
    streams = _streams(scene)
    assert sorted(s["direction"] for s in streams) == ["in", "out"], streams
    assert {s["authentication"] for s in streams} == {authentication}, streams
    assert {s["tls"] for s in streams} == {"TLSv1.3"}, streams
    trusted = authentication == "external"
    assert all((s["certificate"] == "trusted") == trusted for s in streams), streams
    _in_the_readme(scene.server, f"{authentication} both ways", "direct TLS" if direct_tls else "STARTTLS", first)


@pytest.mark.parametrize("first", ["gateway", "server"])
def test_one_stream_for_both_directions(stage, first):
    scene = stage(link="s2s", server="prosody", bidi=True, acknowledgements=True)
    _FIRST[first](scene)
    [stream] = _streams(scene)
    assert stream["direction"] == "both" and stream["acknowledged"] == "yes", stream
    [seen] = scene.server.streams()
    assert seen.bidi and seen.acknowledgements and seen.direction == ("in" if first == "gateway" else "out")
    _in_the_readme(scene.server, "external, bidi, acknowledged", "STARTTLS", first)


def test_a_certificate_for_servers_only_is_enough_with_dialback(stage):
    scene = stage(link="s2s", server="ejabberd", authentication="any", certificate="server-auth")
    _watch_from_sip(scene)
    wanted = "dialback" if scene.server.version() <= (23, 1) else "external"
    scene.server.wait_for_stream(direction="in", authentication=wanted)
    _in_the_readme(scene.server, f"{wanted} to it: certificate for servers only", "STARTTLS", "gateway")


def test_a_port_that_is_published_and_closed_is_passed_over(stage):
    scene = stage(link="s2s", server="prosody")
    scene.dns.srv("_xmpps-server", "xmpp.example", "dead.xmpp.example", 25999, priority=0)
    scene.dns.host("dead.xmpp.example", scene.addresses["server"])
    scene.dns.restart()
    _watch_from_sip(scene)
    scene.server.wait_for_stream(direction="in", authentication="external", direct_tls=False)
    _in_the_readme(scene.server, "external: direct TLS published, port closed", "STARTTLS", "gateway")


@pytest.mark.parametrize("kind", ["wrong-name", "expired", "self-signed", "other-authority"])
def test_a_server_with_a_bad_certificate_is_refused(stage, kind):
    scene = stage(link="s2s", server="prosody", peer_certificate=kind, parameters={"dialback": "off"})
    romeo, juliet = scene.sip("romeo"), scene.xmpp("juliet")
    watch = romeo.subscribe(f"sip:{juliet.jid}")
    assert watch.answer.status == 200

    def refused():
        return [link for link in scene.kamailio.rpc("stox.links") if "certificate" in link["last_error"]]

    waiting.until(refused, "the server's certificate to be refused", evidence=scene.kamailio.tail)
    juliet.expect_silence(bare(romeo))
    assert not _streams(scene)


@pytest.mark.parametrize("kind", ["wrong-name", "expired", "self-signed", "other-authority"])
def test_a_server_that_comes_with_a_bad_certificate_is_refused(stage, kind):
    scene = stage(link="s2s", server="prosody", peer_certificate=kind, parameters={"dialback": "off"})
    romeo, juliet = scene.sip("romeo"), scene.xmpp("juliet")
    juliet.presence(bare(romeo), "subscribe")
    juliet.expect_presence(bare(romeo), "error")
    assert not _streams(scene)
