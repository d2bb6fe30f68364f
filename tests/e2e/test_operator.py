# SPDX-License-Identifier: GPL-2.0-or-later
"""What an operator sees: configuration check, RPC, statistics, event routes, log."""

import os
import time

import pytest

import place
import waiting



def test_rpc_tells_links_dialogs_and_status(scene):
    scene.wait_for_link()
    juliet, romeo = scene.xmpp("juliet"), scene.sip("romeo")
    scene.granted_watch(romeo, juliet)
    for ask in (lambda m: scene.kamailio.kamcmd(m), lambda m: str(scene.kamailio.rpc(m))):
        assert "sip.example" in ask("stox.links")
        dialogs = ask("stox.dialogs")
        assert "romeo@sip.example" in dialogs and "juliet@xmpp.example" in dialogs and "active" in dialogs
        assert ask("stox.status")


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
