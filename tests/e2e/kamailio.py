# SPDX-License-Identifier: GPL-2.0-or-later
"""A Kamailio of our own, running a configuration of `kamailio-cfg/` with values set from outside."""

import glob
import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import tempfile
from pathlib import Path

import place
import waiting
from authority import self_signed
from program import Daemon, Missing, Program, find
from sip_agent import family, host

DAEMON = "daemon"
"""The mode in which Kamailio goes to the background; the others are named by their options."""

_SCHEMAS = ("standard", "auth_db", "usrloc", "presence")


def module_directory():
    """Where the installed Kamailio keeps its modules."""
    named = os.environ.get("KAMAILIO_MODULES")
    found = [named] if named else glob.glob("/usr/lib/*/kamailio/modules") + glob.glob("/usr/lib*/kamailio/modules")
    if not found:
        raise Missing("kamailio's modules are not installed")
    return found[0]


def version():
    """The first two numbers of the installed Kamailio's version."""
    said = subprocess.run([find("kamailio"), "-v"], capture_output=True, text=True, timeout=60, check=True).stdout
    return tuple(int(number) for number in re.search(r"version: kamailio (\d+)\.(\d+)", said).groups())


class Kamailio:
    """A SIP server. `start()` and `stop()` may be repeated; accounts, registrations and the store stay.

    `link` holds what the example has to be told about its way to XMPP: `COMPONENT`, or `LISTEN_S2S` and so on.
    `parameters` are the module's; a list gives one several values.
    """

    def __init__(self, folder, address, link, config="stox.cfg", port=25060, self_port=25064,
                 sip_domain="sip.example", xmpp_allow="xmpp.example", stox=True, force_active=False, extra="",
                 memory=("-m", "64", "-M", "8"), defines=None, parameters=None, mode="-DD", user=None, tls=None,
                 edit=None):
        self.folder = Path(folder)
        self.address = address
        self.port = port
        self.sip_domain = sip_domain
        self.stox = stox
        self.program = None
        self.memory = list(memory)
        self.mode = mode
        self.user = user
        self.folder.mkdir(parents=True, exist_ok=True)
        self.pid_file = self.folder / "kamailio.pid"
        # What Kamailio writes as another user must lie where that user may go.
        self._state = tempfile.TemporaryDirectory(prefix="stox-") if user else None
        state = Path(self._state.name) if user else self.folder
        self.database = state / "kamailio.sqlite"
        self.store = state / "stox.db"
        self.reports = self.folder / "reports"
        # A socket's path may have 107 bytes at most.
        sockets = self.folder if len(str(self.folder)) < 85 else Path(tempfile.mkdtemp(prefix="stox-"))
        self.ctl = sockets / "ctl.sock"
        self._rpc = sockets / "rpc.sock"
        self._config = self.folder / "kamailio.cfg"
        self._make_database()
        if user:
            for path in (state, *state.iterdir()):
                shutil.chown(path, *user)
            if "PRIVATE_KEY" in link:
                shutil.chown(link["PRIVATE_KEY"], *user)
        modules = [module_directory() + "/"]
        if stox:
            if not place.module().exists():
                raise Missing(f"the module is not built: {place.module()}")
            # Kamailio takes the first directory that has the name, so only ours may be there.
            here = self.folder / "modules"
            here.mkdir(exist_ok=True)
            module = here / "stox.so"
            module.unlink(missing_ok=True)
            module.symlink_to(place.module())
            modules.insert(0, f"{here}/")
        settings = {
            "SIP_DOMAIN": f'"{sip_domain}"',
            "XMPP_ALLOW": f'"{xmpp_allow}"',
            **{name: f'"{value}"' for name, value in link.items()},
            "LISTEN_UDP": f"udp:{host(address)}:{port}",
            "LISTEN_TCP": f"tcp:{host(address)}:{port}",
            "LISTEN_SELF": f"udp:{host(address)}:{self_port}",
            "SELF_URI": f'"sip:{host(address)}:{self_port}"',
            "PRESENCE_URI": f'"sip:{host(address)}:{port}"',
            "DB_URL": f'"sqlite:///{self.database}"',
            "STORE": f'"sqlite:{self.store}"',
            "FORCE_ACTIVE": "1" if force_active else "0",
            "CTL_SOCKET": f'"unix:{self.ctl}"',
            "RPC_FIFO": f'"{self.folder}/rpc.fifo"',
            "RPC_SOCKET": f'"{self._rpc}"',
            "MODULE_PATH": '"' + ":".join(modules) + '"',
            "WORKERS": "2",
            **(defines or {}),
        }
        lines = [f"#!define {name} {value}" for name, value in settings.items()]
        if not stox:
            lines.append("#!define WITHOUT_STOX")
        if tls == "first":
            lines += self._tls_lines()
        example = place.ROOT / "kamailio-cfg" / config
        if edit:
            example = self._edited(example, edit)
        lines.append(f'include_file "{example}"')
        if tls == "last":
            lines += self._tls_lines()
        # No look-ups outside this machine: names stand in configurations only.
        lines += ["dns=no", "rev_dns=no", "dns_try_naptr=off", "log_stderror=yes"]
        if stox:
            lines += [f'modparam("stox", "{name}", {_literal(value)})' for name, said in (parameters or {}).items()
                      for value in (said if isinstance(said, list) else [said])]
        lines += [extra, ""]
        self._config.write_text("\n".join(lines))

    def _edited(self, example, changes):
        """A copy of an example in which texts are replaced, each found exactly once."""
        text = example.read_text()
        for old, new in changes.items():
            assert text.count(old) == 1, f"{example} says {old} {text.count(old)} times"
            text = text.replace(old, new)
        copy = self.folder / example.name
        copy.write_text(text)
        return copy

    def _tls_lines(self):
        """What loads tls.so and makes it listen."""
        module = Path(module_directory()) / "tls.so"
        if not module.exists():
            raise Missing(f"{module} is not installed")
        certificate = self_signed(self.folder, self.sip_domain)
        if self.user:
            shutil.chown(certificate.key, *self.user)
        return ["enable_tls=yes", f"listen=tls:{host(self.address)}:{self.port + 1}", f'loadmodule "{module}"',
                'modparam("tls", "tls_method", "TLSv1.2+")', f'modparam("tls", "certificate", "{certificate.chain}")',
                f'modparam("tls", "private_key", "{certificate.key}")']

    def _make_database(self):
        if self.database.exists():
            return
        base = sqlite3.connect(self.database)
        base.execute("PRAGMA journal_mode=WAL")
        for schema in _SCHEMAS:
            base.executescript(Path(f"/usr/share/kamailio/db_sqlite/{schema}-create.sql").read_text())
        base.commit()
        base.close()

    # ------------------------------------------------------------ life

    @property
    def proxy(self):
        """Host and port for a socket."""
        return (self.address, self.port)

    @property
    def tls_proxy(self):
        """The same for TLS."""
        return (self.address, self.port + 1)

    def account(self, user, password="secret"):
        """Makes an account; returns its address of record."""
        base = sqlite3.connect(self.database, timeout=10)
        base.execute("INSERT OR REPLACE INTO subscriber (username, domain, password) VALUES (?, ?, ?)",
                     (user, self.sip_domain, password))
        base.commit()
        base.close()
        return f"sip:{user}@{self.sip_domain}"

    def check(self):
        """What `kamailio -c` says: exit status and output."""
        return self.check_with("-f", str(self._config), "-Y", str(self.folder))

    def check_with(self, *arguments):
        """What `kamailio -c` says with these arguments."""
        done = subprocess.run(self._command("-c", *arguments), capture_output=True, text=True, timeout=60, check=False)
        return done.returncode, done.stdout + done.stderr

    def _command(self, *arguments):
        under = [place.UNDER, str(self.reports)] if place.UNDER else []
        return [*under, find("kamailio"), *arguments]

    def start(self):
        """Starts it and waits until it answers."""
        self._launch()

        def answers():
            if not self.program.alive():
                raise AssertionError(f"kamailio ended with {self.program.process.returncode}\n{self.program.tail(60)}")
            return self.options() == 200

        waiting.until(answers, "kamailio to answer", evidence=self.program.tail)
        return self

    def _launch(self):
        argv = self._command("-f", str(self._config), "-E", *self.memory, "-Y", str(self.folder))
        if self.user:
            argv += ["-u", self.user[0], "-g", self.user[1]]
        log = self.folder / "kamailio.log"
        if self.mode == DAEMON:
            self.program = Daemon("kamailio", argv + ["-P", str(self.pid_file)], log, self.pid_file)
        else:
            self.program = Program("kamailio", argv + [self.mode], log)

    def stop(self):
        """Ends it in order; returns its exit status.

        Kamailio reads its settings in the handler of SIGTERM too, under a lock: a process that the signal meets while it
        holds that lock never ends, nor do those that want it after, until Kamailio kills them. That is no fault of the
        end as long as none of them is one of stox.
        """
        if self.program is None:
            return None
        ours = self._own_processes()
        program, self.program = self.program, None
        # A memory checker looks for leaks in each process as it ends.
        status = program.stop(60.0 if place.UNDER else 15.0)
        if program.killed and ours and ours.isdisjoint(program.killed):
            print(f"Kamailio kept itself from ending: {program.killed} were killed, none of them of stox")
            return 0
        return status

    def _own_processes(self):
        """The process that supervises the gateway process, and that one."""
        return {pid for child in _children(self.program.pid) for pid in [child, *_children(child)] if _children(child)}

    def log(self):
        """What it wrote since the last start."""
        return self.program.output()

    def tail(self):
        return self.program.tail() if self.program else "kamailio does not run"

    def options(self, limit=0.5):
        """The status this Kamailio gives to an OPTIONS for itself; `None` when none comes in time."""
        here = host(self.address)
        with socket.socket(family(self.address), socket.SOCK_DGRAM) as s:
            s.bind((self.address, 0))
            s.settimeout(limit)
            port = s.getsockname()[1]
            s.sendto((f"OPTIONS sip:{here}:{self.port} SIP/2.0\r\nVia: SIP/2.0/UDP {here}:{port};"
                      f"branch=z9hG4bKo{port};rport\r\nFrom: <sip:t@{here}>;tag=o\r\nTo: <sip:{here}>\r\n"
                      f"Call-ID: o{port}@{self.address}\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 5\r\n"
                      "Content-Length: 0\r\n\r\n").encode(), self.proxy)
            try:
                return int(s.recv(4096).split()[1])
            except (TimeoutError, ConnectionError):
                return None

    # ------------------------------------------------------------ operator

    def kamcmd(self, *arguments):
        """What `kamcmd` prints; raises with its error text."""
        done = subprocess.run([find("kamcmd"), "-s", f"unix:{self.ctl}", *arguments], capture_output=True,
                              text=True, timeout=60, check=False)
        text = (done.stdout + done.stderr).strip()
        if done.returncode != 0 or text.startswith("error:"):
            raise RuntimeError(text)
        return text

    def rpc(self, method, *parameters, limit=10):
        """The result of a JSON-RPC question over the datagram socket."""
        reply = self._rpc.with_name("client.sock")
        reply.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
            s.bind(str(reply))
            s.settimeout(limit)
            request = {"jsonrpc": "2.0", "method": method, "params": list(parameters), "id": 1}
            s.sendto(json.dumps(request).encode(), str(self._rpc))
            answer = json.loads(s.recv(1 << 20))
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']}")
        return answer["result"]

    def statistics(self):
        """The module's statistics, names without group."""
        text = self.kamcmd("stats.fetch", "stox:")
        return {name: int(value) for name, value in re.findall(r"stox[.:](\S+):\s*(-?\d+)", text)}

    def status(self, field):
        """A field of `stox.status`, as text."""
        found = re.search(rf"^\s*{field}: (.*)$", self.kamcmd("stox.status"), re.MULTILINE)
        return found.group(1) if found else None

    def gateway_pid(self):
        """The process id of the gateway process: the only grandchild of this Kamailio, or `None`."""
        main = self.program.pid
        for child in _children(main):
            for grandchild in _children(child):
                return grandchild
        return None

    def kill_gateway(self, number=signal.SIGKILL):
        """Sends a signal to the gateway process alone; returns its process id."""
        pid = waiting.until(self.gateway_pid, "a gateway process", evidence=self.tail)
        os.kill(pid, number)
        return pid

    def freeze_gateway(self):
        """Stops the gateway process from running; returns its process id."""
        pid = self.kill_gateway(signal.SIGSTOP)
        # The signal reaches one thread, which stops the others when it runs.
        waiting.until(lambda: all(stat.read_text().rpartition(")")[2].split()[0] == "T"
                                  for stat in Path(f"/proc/{pid}/task").glob("*/stat")), "all its threads to stop")
        return pid

    def processes(self):
        """Every process id of this Kamailio, its gateway included."""
        found, queue = [], [self.program.pid]
        while queue:
            pid = queue.pop()
            found.append(pid)
            queue += _children(pid)
        return found


def _literal(value):
    """A value as Kamailio's configuration writes it."""
    return f'"{value}"' if isinstance(value, str) else value


def _children(pid):
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except OSError:
        return []
    return [int(child) for child in text.split()]
