# SPDX-License-Identifier: GPL-2.0-or-later
"""What an operator sees of links between servers, and does with them: RPC, statistics, event routes, log."""

import ssl

import pytest
from cryptography import x509

import waiting
from federation import DIRECT_TLS_PORT

LINK = "sip.example/xmpp.example"


@pytest.fixture
def federated(stage):
    """A scene with a link between servers, which romeo's watch of juliet has made."""
    def make(**arguments):
        scene = stage(link="s2s", **arguments)
        scene.granted_watch(scene.sip("romeo"), scene.xmpp("juliet"))
        return scene
    return make


def links(scene):
    return scene.kamailio.rpc("stox.links")


def streams(scene):
    """The streams that are up, by direction."""
    return {link["direction"]: link for link in links(scene) if link["state"] == "up"}


def check(scene, domain="xmpp.example"):
    return scene.kamailio.rpc("stox.check", domain, limit=60)


def one(steps, name, outcome, says):
    """The one step of that name; it has this outcome, and its detail says this."""
    found = [step for step in steps if step["step"] == name]
    assert len(found) == 1 and found[0]["outcome"] == outcome and says in found[0]["detail"], steps
    return found[0]


def wrong(steps):
    """The names of the steps that are not as they should be, each of which says what to do."""
    found = [step for step in steps if step["outcome"] != "ok"]
    assert all(step["mend"] or step["step"] == "result" for step in found), found
    return [step["step"] for step in found]


def refusal(scene, *command):
    with pytest.raises(RuntimeError) as error:
        scene.kamailio.kamcmd(*command)
    return str(error.value)


def test_a_stream_is_shown_with_all_that_is_known_of_it(federated):
    scene = federated()
    out = streams(scene)["out"]
    assert out["link"] == LINK and out["kind"] == "s2s", out
    assert out["authentication"] == "external" and out["tls"] == "TLSv1.3", out
    assert out["certificate"] == "trusted" and out["peer"].endswith(":25269"), out
    assert out["stanzas_out"] > 0 and out["queued_bytes"] == 0, out
    text = scene.kamailio.kamcmd("stox.links")
    assert LINK in text and "direction: out" in text
    statistics = scene.kamailio.statistics()
    assert statistics["certificate_days_left"] in (29, 30), statistics
    waiting.until(lambda: scene.kamailio.statistics()["s2s_streams_out"] >= 1, "the streams to be counted")
    assert scene.kamailio.statistics()["s2s_connections"] >= 1


def test_the_last_error_is_told_in_words(stage):
    scene = stage(link="s2s")
    romeo = scene.sip("romeo")
    scene.server.stop()
    watch = romeo.subscribe("sip:juliet@xmpp.example", 600)
    assert watch.answer.status == 200

    def down():
        return next((link for link in links(scene) if "refused" in link["last_error"]), None)

    link = waiting.until(down, "the link to be down", evidence=scene.kamailio.tail)
    assert link["link"] == LINK and link["state"] == "waiting to reconnect", link
    waiting.until(lambda: f"XMPP link {LINK} is down" in scene.kamailio.log(), "event_route[stox:link-down]",
                  evidence=scene.kamailio.tail)
    waiting.until(lambda: scene.kamailio.statistics()["s2s_returned"] >= 1, "what came back to be counted")


def test_event_routes_run_once_for_a_link(federated):
    scene = federated()
    up = f"XMPP link {LINK} is up"
    waiting.until(lambda: up in scene.kamailio.log(), "event_route[stox:link-up]", evidence=scene.kamailio.tail)
    waiting.never(lambda: scene.kamailio.log().count(up) > 1, "a second event")


def test_a_link_is_closed_and_made_again_when_it_is_needed(federated):
    scene = federated()
    assert scene.kamailio.rpc("stox.link_close", LINK) in ([], {}, None, "")
    waiting.until(lambda: not streams(scene), "all streams to be gone", evidence=scene.kamailio.tail)
    nurse, tybalt = scene.sip("nurse"), scene.xmpp("tybalt")
    scene.granted_watch(nurse, tybalt)
    assert streams(scene)["out"]["link"] == LINK


def test_a_link_that_is_not_there_is_not_closed(stage):
    scene = stage(link="s2s")
    assert "404" in refusal(scene, "stox.link_close", "sip.example/nobody.example")
    assert "404" in refusal(scene, "stox.link_close", "sip.example")
    assert "400" in refusal(scene, "stox.link_close", "a/b/c")
    assert "400" in refusal(scene, "stox.link_close")


@pytest.mark.component
def test_a_component_link_is_closed_and_comes_again(scene):
    scene.wait_for_link()
    connections = scene.server.connections()
    scene.kamailio.kamcmd("stox.link_close", "sip.example")
    waiting.until(lambda: scene.server.connections() > connections, "the component to connect again",
                  evidence=scene.kamailio.tail)
    scene.wait_for_link()
    [link] = links(scene)
    assert link["last_error"] == "closed by the operator", link
    assert scene.kamailio.rpc("stox.reload") in ([], {}, None, "")
    assert "listen" in refusal(scene, "stox.check", "xmpp.example")


def renew(scene, kind, days):
    """Signs another certificate in place of the gateway's, which is of that kind."""
    return scene.authority.sign(f"sip.example-{kind}", "sip.example", [x509.DNSName("sip.example")], days=days)


def presented(scene):
    """The certificate that the gateway shows to who connects."""
    return ssl.get_server_certificate((scene.addresses["gateway"], DIRECT_TLS_PORT), timeout=10)


def test_a_new_certificate_is_taken_while_streams_stay(federated):
    scene = federated(direct_tls=True)
    before, ours = presented(scene), streams(scene)["out"]
    new = renew(scene, "good", days=90)
    assert presented(scene) == before, "not before it is told"
    [record] = scene.kamailio.rpc("stox.reload")
    assert record["certificate"] == str(new.chain) and record["domains"] == "sip.example", record
    assert record["days_left"] in (89, 90), record
    assert presented(scene) != before
    waiting.until(lambda: scene.kamailio.statistics()["certificate_days_left"] >= 89, "the statistic to follow")
    assert streams(scene)["out"]["peer"] == ours["peer"]
    juliet = scene.xmpp("nurse")
    scene.granted_watch(scene.sip("nurse"), juliet)
    assert streams(scene)["out"]["stanzas_out"] > ours["stanzas_out"]


def test_a_bad_file_is_named_and_the_old_one_stays(federated):
    scene = federated(direct_tls=True)
    before = presented(scene)
    new = renew(scene, "good", days=90)
    for file in (new.chain, new.key):
        good = file.read_text()
        file.write_text("nothing")
        said = refusal(scene, "stox.reload")
        assert str(file) in said and "stays as it was" in said, said
        assert presented(scene) == before
        file.write_text(good)
    assert streams(scene)["out"]["link"] == LINK
    assert "domains: sip.example" in scene.kamailio.kamcmd("stox.reload")
    assert presented(scene) != before


def test_a_certificate_that_ends_or_is_missing_is_warned_of(stage):
    scene = stage(link="s2s", certificate="wrong-name")
    waiting.until(lambda: "no certificate names this domain" in scene.kamailio.log(), "a warning",
                  evidence=scene.kamailio.tail)
    assert "expires soon" not in scene.kamailio.log()
    renew(scene, "wrong-name", days=5)
    scene.kamailio.rpc("stox.reload")
    waiting.until(lambda: "expires soon" in scene.kamailio.log(), "a warning", evidence=scene.kamailio.tail)
    scene.kamailio.rpc("stox.reload")
    assert scene.kamailio.log().count("expires soon") == 1
    assert scene.kamailio.log().count("no certificate names this domain") == 1


# ---------------------------------------------------------------- stox.check

@pytest.mark.parametrize("server", ["prosody", "ejabberd"])
def test_a_check_of_a_good_peer_finds_nothing_wrong(stage, server):
    scene = stage(link="s2s", server=server, direct_tls=True)
    for domain in ("xmpp.example", LINK):
        steps = check(scene, domain)
        assert wrong(steps) == [], steps
        assert [step["target"] for step in steps if step["step"] == "result"] == [LINK]
    places = [step["target"] for step in steps if step["step"] == "tcp"]
    assert len(places) == 2 and "direct TLS" in places[0] and "STARTTLS" in places[1], places
    assert len([step for step in steps if step["step"] == "authentication"]) == 2
    one(steps, "own certificate", "ok", "names sip.example")
    assert "outcome: ok" in scene.kamailio.kamcmd("stox.check", "xmpp.example")
    assert links(scene) in ([], {}, None, "")


def test_a_check_tells_what_dns_lacks(stage):
    scene = stage(link="s2s")
    steps = check(scene, "nobody.example")
    assert wrong(steps) == ["policy", "dns", "result"], steps
    scene.dns.forget("sip.example").restart()
    steps = check(scene)
    assert wrong(steps) == ["own dns"] and "_xmpp-server._tcp.sip.example. IN SRV" in str(steps), steps
    scene.dns.xmpp_server("sip.example", scene.addresses["gateway"], 25999, direct_tls=25269).restart()
    steps = check(scene, "sip.example")
    assert wrong(steps) == ["own dns", "own dns"] and "does not listen there" in steps[-1]["detail"], steps
    scene.dns.forget("sip.example").xmpp_server("sip.example", "192.0.2.9", 25269).restart()
    steps = check(scene, "sip.example")
    assert wrong(steps) == ["own dns"] and steps[-1]["outcome"] == "doubtful", steps
    assert "no address of this machine" in steps[-1]["detail"], steps
    scene.dns.stop()
    steps = check(scene)
    assert "own dns" in wrong(steps) and "dns" in wrong(steps), steps
    assert any("resolver" in step["mend"] for step in steps), steps


def test_a_check_tells_of_a_closed_port(stage):
    scene = stage(link="s2s", direct_tls=True)
    scene.server.stop()
    steps = check(scene)
    assert wrong(steps) == ["tcp", "tcp", "result"], steps
    assert "firewall" in steps[-2]["mend"], steps


@pytest.mark.parametrize("kind, says", [("wrong-name", "not xmpp.example"), ("expired", "expired on"),
                                        ("self-signed", "self-signed"), ("other-authority", "no trusted CA")])
@pytest.mark.parametrize("dialback", ["off", "tls"])
def test_a_check_tells_of_a_wrong_certificate(stage, kind, says, dialback):
    scene = stage(link="s2s", authentication="any", peer_certificate=kind, parameters={"dialback": dialback})
    steps = check(scene)
    if dialback == "off":
        one(steps, "certificate", "failed", says)
        one(steps, "result", "failed", says)
    else:
        one(steps, "certificate", "doubtful", says)
        one(steps, "result", "ok", "stanzas can go")


@pytest.mark.parametrize("server", ["prosody", "ejabberd"])
def test_a_check_finds_that_only_dialback_is_left(stage, server):
    scene = stage(link="s2s", server=server, authentication="dialback")
    steps = check(scene)
    one(steps, "result", "ok", "dialback")
    one(steps, "certificate", "doubtful", "no trusted CA")
    assert any(step["step"] == "authentication" and step["outcome"] == "ok" and "dialback" in step["target"]
               for step in steps), steps
    scene.dns.forget("sip.example").restart()
    scene.server.stop()
    scene.server.start()
    steps = check(scene)
    assert "own dns" in wrong(steps) and wrong(steps)[-1] == "result", steps


def test_a_check_is_refused_for_what_is_no_domain(stage):
    scene = stage(link="s2s")
    assert "400" in refusal(scene, "stox.check", "juliet@xmpp.example")
    assert "404" in refusal(scene, "stox.check", "other.example/xmpp.example")
    assert "400" in refusal(scene, "stox.check")
    assert wrong(check(scene, "sip.example")) == [], "our own side alone"
