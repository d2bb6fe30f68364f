# SPDX-License-Identifier: GPL-2.0-or-later
"""What an operator sees: configuration check, RPC, statistics, event routes, log."""

import os
import time

import pytest

import place
import waiting
from notifier import Notifier, answer_subscribes
from scene import bare


def test_rpc_tells_links_dialogs_and_status(scene):
    scene.wait_for_link()
    juliet, romeo = scene.xmpp("juliet"), scene.sip("romeo")
    scene.granted_watch(romeo, juliet)
    for ask in (lambda m: scene.kamailio.kamcmd(m), lambda m: str(scene.kamailio.rpc(m))):
        assert "sip.example" in ask("stox.links")
        dialogs = ask("stox.dialogs")
        assert "romeo@sip.example" in dialogs and "juliet@xmpp.example" in dialogs and "active" in dialogs
        assert ask("stox.status")


def test_authorisations_are_listed(scene):
    juliet, romeo, nurse = scene.xmpp("juliet"), scene.sip("romeo"), scene.sip("nurse")
    scene.granted_watch(romeo, juliet)
    nurse.subscribe(f"sip:{juliet.jid}").expect_notify("pending")

    (shown,) = scene.kamailio.rpc("stox.authorizations", "sip:romeo@sip.example")
    assert 0 <= shown.pop("since") < 60
    assert shown == {"direction": "to_xmpp", "sip": "sip:romeo@sip.example", "xmpp": juliet.jid, "state": "granted",
                     "dialogs": 1}
    for words, users in (((), {"romeo", "nurse"}), (("nurse@sip.example",), {"nurse"}), ((juliet.jid, "10"), {"romeo", "nurse"}),
                         (("juliet@xmpp.example", "0"), set()), (("nobody@sip.example",), set()), (("0",), set())):
        printed = scene.kamailio.kamcmd("stox.authorizations", *words)
        assert {user for user in ("romeo", "nurse") if f"sip:{user}@" in printed} == users, (words, printed)
        records = scene.kamailio.rpc("stox.authorizations", *words)
        assert len(records or []) == len(users), (words, records)
    assert len(scene.kamailio.rpc("stox.authorizations", 1)) == 1
    for ask in (scene.kamailio.kamcmd, scene.kamailio.rpc):
        with pytest.raises(RuntimeError, match="is not the address of a user"):
            ask("stox.authorizations", "nobody")


def test_a_sip_watcher_is_revoked_and_both_sides_learn_it(scene):
    juliet, romeo = scene.xmpp("juliet"), scene.sip("romeo")
    watch = scene.granted_watch(romeo, juliet)
    juliet.forget()

    (ended,) = scene.kamailio.rpc("stox.revoke", "romeo@sip.example", "xmpp:Juliet@xmpp.example")
    assert (ended["direction"], ended["state"]) == ("to_xmpp", "granted")
    last = watch.expect_notify("terminated")
    assert "reason=rejected" in last["subscription-state"] and not last.body
    juliet.expect_presence(bare(romeo), "unsubscribe")

    for words, fault in ((("romeo@sip.example", juliet.jid), "no such authorisation"),
                         (("romeo@sip.example", juliet.jid, "sideways"), "to_xmpp or to_sip"),
                         (("romeo@sip.example",), "expected a SIP user and an XMPP user"), ((), "expected a SIP user"),
                         (("romeo@sip.example", "xmpp.example"), "not the address of an XMPP user")):
        for ask in (scene.kamailio.kamcmd, scene.kamailio.rpc):
            with pytest.raises(RuntimeError, match=fault):
                ask("stox.revoke", *words)

    # Until her server answers, or a minute has passed, who comes again is put off.
    juliet.forget()
    again = romeo.subscribe(f"sip:{juliet.jid}")
    if scene.kamailio.rpc("stox.authorizations")[0]["state"] == "cancelled":
        assert "reason=probation;retry-after=" in again.expect_notify("terminated")["subscription-state"]
        juliet.expect_silence(bare(romeo), type="subscribe")
    else:
        again.expect_notify("pending")
        juliet.expect_presence(bare(romeo), "subscribe")


def test_what_is_revoked_stays_so_if_the_gateway_process_dies(scene):
    juliet, romeo = scene.xmpp("juliet"), scene.sip("romeo")
    watch = scene.granted_watch(romeo, juliet)
    scene.kamailio.rpc("stox.revoke", "romeo@sip.example", juliet.jid)
    scene.kamailio.kill_gateway()
    assert "reason=rejected" in watch.expect_notify("terminated")["subscription-state"]
    juliet.expect_presence(bare(romeo), "unsubscribe")
    left = waiting.until(lambda: [scene.kamailio.rpc("stox.authorizations") or []], "the gateway process to answer")
    assert [record["state"] for record in left[0]] in ([], ["cancelled"])


def test_an_xmpp_watcher_is_revoked_and_both_sides_learn_it(stage):
    scene = stage(config="minimal.cfg")
    juliet, romeo = scene.xmpp("juliet"), scene.sip("romeo")
    answer_subscribes(romeo)
    romeo.register()
    juliet.presence(bare(romeo), "subscribe")
    notifier = Notifier(romeo, romeo.expect_request("SUBSCRIBE"))
    assert notifier.show().status == 200
    juliet.expect_presence(bare(romeo))
    juliet.forget()

    assert "to_sip" in scene.kamailio.kamcmd("stox.revoke", "romeo@sip.example", "juliet@xmpp.example", "to_sip")
    juliet.expect_presence(bare(romeo), "unavailable")
    juliet.expect_presence(bare(romeo), "unsubscribed")
    romeo.expect_request("SUBSCRIBE", match=lambda r: r["expires"] == "0")


def test_statistics_count(scene):
    juliet, romeo = scene.xmpp("juliet"), scene.sip("romeo")
    before = scene.kamailio.statistics()
    assert before, "no statistics"
    scene.granted_watch(romeo, juliet)
    waiting.until(lambda: sum(scene.kamailio.statistics().values()) > sum(before.values()), "statistics to count")


@pytest.mark.component
def test_event_routes_run(scene):
    waiting.until(lambda: "XMPP link sip.example is up" in scene.kamailio.log(), "event_route[stox:link-up]",
                  evidence=scene.kamailio.tail)
    scene.server.stop()
    waiting.until(lambda: "XMPP link sip.example is down" in scene.kamailio.log(), "event_route[stox:link-down]",
                  evidence=scene.kamailio.tail)


@pytest.mark.parametrize("line, says", [
    ('modparam("stox", "sip_domain", "not a domain")', "sip_domain"),
    pytest.param('modparam("stox", "component", "domain=sip.example;host=127.0.0.1;port=5347")', "secret",
                 marks=pytest.mark.component),
    ('modparam("stox", "ports", 0)', "ports"),
    ('modparam("stox", "no_such_parameter", 1)', "no_such_parameter"),
])
def test_a_configuration_check_names_the_fault(stage, line, says):
    scene = stage()
    config = scene.place.path("wrong.cfg")
    config.write_text((scene.kamailio.folder / "kamailio.cfg").read_text() + line + "\n")
    status, output = scene.kamailio.check_with("-f", str(config))
    assert status != 0
    assert says in output, output


def test_an_unknown_word_of_stox_handle_ends_the_start(stage):
    # `kamailio -c` reads no function's parameters.
    with pytest.raises(AssertionError, match="authenticated"):
        stage(extra='route[X] { stox_handle("trusted"); }')


@pytest.mark.parametrize("config", ["stox.cfg", "minimal.cfg"])
def test_the_examples_pass_the_check(stage, config):
    status, output = stage(config=config).kamailio.check()
    assert status == 0, output
    assert "ERROR" not in output, output


def test_values_of_the_example_are_set_from_the_command_line(scene):
    arguments = ["-f", str(place.ROOT / "kamailio-cfg" / "stox.cfg"), "-A", "LISTEN_UDP=udp:127.0.0.9:5999",
                 "-A", f'MODULE_PATH="{scene.kamailio.folder}/modules/:{_system_modules()}"', "-A", 'SIP_DOMAIN="other.example"',
                 "-A", 'COMPONENT="domain=other.example;host=127.0.0.1;port=5347;secret=x"']
    status, output = scene.kamailio.check_with(*arguments)
    assert status == 0, output
    assert "127.0.0.9" in output


def _system_modules():
    from kamailio import module_directory
    return module_directory() + "/"


def test_it_ends_in_order_and_leaves_nothing(scene):
    juliet, romeo = scene.xmpp("juliet"), scene.sip("romeo")
    scene.granted_watch(romeo, juliet)
    processes = scene.kamailio.processes()
    assert len(processes) > 5
    assert scene.kamailio.stop() == 0

    waiting.until(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in processes), "every process to be gone", 5)
