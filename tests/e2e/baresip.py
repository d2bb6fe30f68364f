# SPDX-License-Identifier: GPL-2.0-or-later
"""baresip, a real SIP user agent, driven over its control port and read from its screen."""

import glob
import json
import re
import socket

import waiting
from program import Program, find

_CONFIG = """sip_listen {address}:{port}
audio_player aufile,/dev/null
audio_source ausine,440
audio_alert aufile,/dev/null
module_path {modules}
module g711.so
module ausine.so
module aufile.so
module account.so
module contact.so
module presence.so
module menu.so
module ctrl_tcp.so
ctrl_tcp_listen {address}:{control}
"""


class Baresip:
    """A running baresip. The order of modules matters: account and contact before presence, or nothing is published."""

    def __init__(self, folder, proxy, address, aor, password="secret", contacts=(), transport="udp", port=25060, control=4444,
                 answers=False):
        self.aor = aor
        self._control = (address, control)
        folder.mkdir(parents=True, exist_ok=True)
        modules = (glob.glob("/usr/lib/baresip/modules") + glob.glob("/usr/lib/*/baresip/modules") + [""])[0]
        (folder / "config").write_text(_CONFIG.format(address=address, port=port, control=control, modules=modules))
        (folder / "accounts").write_text(
            f'<{aor};transport={transport}>;auth_pass={password};outbound="sip:{proxy[0]}:{proxy[1]};transport={transport}";regint=300;pubint=60{";answermode=auto" if answers else ""}\n')
        (folder / "contacts").write_text(
            "".join(f'"{uri.split(":")[1].split("@")[0]}" <{uri}>;presence=p2p\n' for uri in contacts))
        self.program = Program("baresip", [find("baresip"), "-f", str(folder), "-v", "-s"], folder / "screen.log")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        """Leaves as a user would, so that it unregisters; ends it if it does not go."""
        if self.program.alive():
            try:
                self.command("quit")
                self.program.process.wait(4)
            except Exception:  # noqa: BLE001 - whatever went wrong, it is ended below
                pass
        self.program.stop(limit=3.0)

    def command(self, command, params=None):
        """Gives a command and returns the text it answers."""
        question = {"command": command}
        if params:
            question["params"] = params
        data = json.dumps(question).encode()

        def connect():
            try:
                return socket.create_connection(self._control, timeout=5)
            except OSError:
                return None

        with waiting.until(connect, "baresip's control port", evidence=self.program.tail) as s:
            s.sendall(b"%d:%s," % (len(data), data))
            s.settimeout(5)
            received = b""
            while True:
                received += s.recv(65536)
                answer = _netstring_answer(received)
                if answer is not None:
                    return answer.get("data", "")

    def screen(self):
        """What it printed, SIP messages included."""
        return self.program.output()

    def wait_registered(self, limit=waiting.LIMIT):
        """Waits until the proxy has accepted its registration; returns the Contact that the proxy confirmed."""
        accepted = re.compile(r"SIP/2\.0 200 .*\n(?:\S.*\n)*?CSeq: \d+ REGISTER.*\n(?:\S.*\n)*?(Contact: .*)")
        return waiting.until(lambda: accepted.search(self.screen()), f"{self.aor} to register", limit,
                             self.program.tail).group(1).strip()

    def wait_for_wire(self, text, limit=waiting.LIMIT):
        """Waits until a SIP message has come or gone that has `text`."""
        waiting.until(lambda: text in self.screen(), f"baresip to see {text!r}", limit, self.program.tail)

    def contacts(self):
        """Its contact list with presence, as it prints it."""
        return self.command("contacts")

    def wait_contact(self, name, status, limit=waiting.LIMIT):
        """Waits until its contact list shows a contact with a status (`Online`, `Offline`, `Busy`)."""
        waiting.until(lambda: any(name in line and status in line for line in self.contacts().splitlines()),
                      f"baresip to show {name} {status}", limit, lambda: self.contacts() + self.program.tail())


def _netstring_answer(data):
    while data:
        length, _, rest = data.partition(b":")
        if not length.isdigit() or len(rest) <= int(length):
            return None
        message = json.loads(rest[:int(length)])
        if message.get("response"):
            return message
        data = rest[int(length) + 1:]
    return None
