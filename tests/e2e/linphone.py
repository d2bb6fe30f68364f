# SPDX-License-Identifier: GPL-2.0-or-later
"""linphonec, a real SIP user agent, driven by typing and read from its screen."""

import re
import subprocess

import waiting
from program import Program, find

_CONFIG = """[sip]
default_proxy=0
sip_port={port}
sip_tcp_port=0
sip_tls_port=0
guess_hostname=0
auto_net_state_mon=0
register_only_when_network_is_up=0
publish_presence=1
contact="{user}" <sip:{user}@{address}>
[net]
mtu=0
[rtp]
audio_rtp_port={rtp}
[video]
enabled=0
[auth_info_0]
username={user}
passwd={password}
realm={domain}
domain={domain}
[proxy_0]
reg_proxy=<sip:{host}:{proxy_port}>
reg_route=<sip:{host}:{proxy_port};lr>
reg_identity="{user}" <sip:{user}@{domain}>
reg_expires=600
reg_sendregister=1
publish=1
"""

_FRIEND = """[friend_{number}]
url="{name}" <{uri}>
pol=accept
subscribe=1
"""


class Linphone:
    """A running linphonec. It binds its port on every address, so each needs its own."""

    def __init__(self, folder, proxy, aor, port, password="secret", friends=(), address="127.0.0.1"):
        self.aor = aor
        user, domain = aor.removeprefix("sip:").split("@")
        folder.mkdir(parents=True, exist_ok=True)
        # Without this folder linphone's database is missing and some commands end the program.
        (folder / ".local/share/linphone").mkdir(parents=True, exist_ok=True)
        text = _CONFIG.format(user=user, domain=domain, password=password, port=port, rtp=port + 1000, host=proxy[0],
                              proxy_port=proxy[1], address=address)
        for number, uri in enumerate(friends):
            text += _FRIEND.format(number=number, uri=uri, name=uri.split(":")[1].split("@")[0])
        config = folder / "linphonerc"
        config.write_text(text)
        self.sip_log = folder / "sip.log"
        self.sip_log.unlink(missing_ok=True)
        # By lines: linphonec 5.3 would keep what it prints to itself until the end.
        argv = [find("stdbuf"), "-oL", find("linphonec"), "-c", str(config), "-d", "5", "-l", str(self.sip_log)]
        self.program = Program("linphonec", argv, folder / "screen.log", {"HOME": str(folder)}, stdin=subprocess.PIPE)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        """Leaves as a user would, so that it unregisters; ends it if it does not go."""
        if self.program.alive():
            try:
                # `quit` alone leaves the registration.
                before = self._registrations()
                self.type("unregister")
                waiting.until(lambda: self._registrations() > before or not self.program.alive(),
                              f"{self.aor} to unregister", 5)
            except (OSError, waiting.NotInTime):
                pass
            try:
                self.type("quit")
                self.program.process.wait(6)
            except (OSError, subprocess.TimeoutExpired):
                pass
        self.program.stop(limit=3.0)

    def _registrations(self):
        return len(re.findall(r"SIP/2\.0 200 .*\n(?:\S.*\n)*?CSeq: \d+ REGISTER", self.wire()))

    def type(self, command):
        """Types a command."""
        self.program.write(command)

    def screen(self):
        """What it printed."""
        return self.program.output()

    def wait_for_screen(self, text, limit=waiting.LIMIT):
        """Waits until it has printed `text`."""
        self.program.wait_for_output(text, limit)

    def wait_registered(self, limit=waiting.LIMIT):
        """Waits until the proxy has accepted its registration; returns the Contact that the proxy confirmed."""
        accepted = re.compile(r"SIP/2\.0 200 .*\n(?:\S.*\n)*?CSeq: \d+ REGISTER.*\n(?:\S.*\n)*?(Contact: .*)")
        return waiting.until(lambda: accepted.search(self.wire()), f"{self.aor} to register", limit,
                             self.program.tail).group(1).strip()

    def wire(self):
        """Its own log of SIP messages."""
        try:
            return self.sip_log.read_text(errors="replace")
        except OSError:
            return ""

    def wait_for_wire(self, text, limit=waiting.LIMIT):
        """Waits until its log of SIP messages has `text`."""
        waiting.until(lambda: text in self.wire(), f"linphonec to log {text!r}", limit, self.program.tail)
