// SPDX-License-Identifier: GPL-2.0-or-later
//! A Kamailio of our own, on an address and in a folder of its own.

use std::fs::{self, File};
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::case::Case;
use crate::cpu;
use crate::mark::Mark;
use crate::sink::Sink;

/// How long a start or an end may take.
const GENEROUS: Duration = Duration::from_secs(60);

/// Below the root of the source.
const FOLDER: &str = "target/bench";

/// In the folder.
const STORE: &str = "stox.db";

/// Between two looks at something that is awaited.
const PAUSE: Duration = Duration::from_millis(10);

/// A running Kamailio; dropped, it ends.
#[derive(Debug)]
pub(crate) struct Kamailio {
    child: Child,
    address: SocketAddr,
    log: PathBuf,
}

impl Kamailio {
    /// Where it will listen.
    pub(crate) fn address_on(ip: IpAddr) -> SocketAddr {
        SocketAddr::new(ip, 5060)
    }

    /// Empties its folder; the store that it will use.
    pub(crate) fn clear(root: &Path) -> io::Result<PathBuf> {
        let folder = root.join(FOLDER);
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        fs::create_dir_all(&folder)?;
        Ok(folder.join(STORE))
    }

    /// Starts it with the store that is there, and waits until it and the gateway answer. The requests that
    /// the gateway begins go to `phones`.
    pub(crate) fn start(
        root: &Path,
        ip: IpAddr,
        sink: &Sink,
        phones: SocketAddr,
    ) -> io::Result<Self> {
        let folder = root.join(FOLDER);
        let modules = folder.join("modules");
        fs::create_dir_all(&modules)?;
        let module = root.join("target/stox.so");
        if !module.exists() {
            return Err(fault(format!(
                "{} is not there: run `make build` first",
                module.display()
            )));
        }
        symlink(module, modules.join("stox.so"))?;
        let address = Self::address_on(ip);
        let component = sink.address();
        let log = folder.join("kamailio.log");
        let output = File::create(&log)?;
        // It must not outlive this program, however that ends.
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "TERM", "kamailio"])
            .args(["-DD", "-E", "-x", "tlsf", "-X", "tlsf", "-m", "1024"])
            .arg("-f")
            .arg(root.join("tests/bench/kamailio.cfg"))
            .arg("-Y")
            .arg(&folder)
            .args(["-A", &format!("LISTEN=udp:{address}")])
            .args([
                "-A",
                &format!(
                    "COMPONENT=\"domain=sip.example;host={};port={};secret=bench\"",
                    component.ip(),
                    component.port()
                ),
            ])
            .args([
                "-A",
                &format!("STORE=\"sqlite:{}\"", folder.join(STORE).display()),
            ])
            .args(["-A", &format!("PHONES=\"sip:{phones}\"")])
            .args([
                "-A",
                &format!(
                    "MODULE_PATH=\"{}/:{}/\"",
                    modules.display(),
                    installed_modules()?.display()
                ),
            ])
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
            .map_err(|error| fault(format!("kamailio cannot be started: {error}")))?;
        let mut kamailio = Self {
            child,
            address,
            log,
        };
        kamailio.wait_until_it_serves(sink)?;
        Ok(kamailio)
    }

    /// CPU time of all its processes, now.
    pub(crate) fn reading(&self) -> cpu::Reading {
        cpu::Reading::of_tree(self.child.id())
    }

    /// The gateway process that runs now; none between two.
    pub(crate) fn gateway(&self) -> Option<u32> {
        cpu::gateway_of(self.child.id())
    }

    /// Kills a process of it.
    pub(crate) fn kill(pid: u32) {
        signal("-KILL", pid);
    }

    /// Lines it has logged at level error or worse, and otherwise noteworthy.
    pub(crate) fn complaints(&self) -> Vec<String> {
        fs::read_to_string(&self.log)
            .unwrap_or_default()
            .lines()
            .filter(|line| {
                ["ERROR", "CRITICAL", "ALERT", "WARNING"]
                    .iter()
                    .any(|level| line.contains(level))
            })
            .map(str::to_owned)
            .collect()
    }

    fn wait_until_it_serves(&mut self, sink: &Sink) -> io::Result<()> {
        let socket = UdpSocket::bind((self.address.ip(), 0))?;
        socket.set_read_timeout(Some(PAUSE))?;
        let local = socket.local_addr()?;
        let deadline = Instant::now() + GENEROUS;
        let mut packet = [0; 4096];
        for number in 0.. {
            if let Some(status) = self.child.try_wait()? {
                return Err(fault(format!(
                    "kamailio ended with {status}: {}",
                    self.said()
                )));
            }
            if Instant::now() > deadline {
                return Err(fault(format!("kamailio does not serve: {}", self.said())));
            }
            let mark = Mark { run: 0, number };
            if let Some(request) = Case::Options.request(mark, 0, local) {
                socket.send_to(request.as_bytes(), self.address)?;
            }
            let served = socket
                .recv(&mut packet)
                .is_ok_and(|_| packet.starts_with(b"SIP/2.0 200"));
            if served && sink.is_connected() {
                break;
            }
            thread::sleep(PAUSE);
        }
        Ok(())
    }

    fn said(&self) -> String {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<_> = text.lines().collect();
        lines
            .get(lines.len().saturating_sub(10)..)
            .unwrap_or_default()
            .join("\n")
    }
}

impl Drop for Kamailio {
    fn drop(&mut self) {
        let processes = cpu::tree(self.child.id());
        signal("-TERM", self.child.id());
        let deadline = Instant::now() + GENEROUS;
        while Instant::now() < deadline {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            thread::sleep(PAUSE);
        }
        for pid in processes {
            signal("-KILL", pid);
        }
        // It was killed: there is nothing to learn from how it ended.
        let _ = self.child.wait();
    }
}

/// Sends a signal to one process.
fn signal(name: &str, pid: u32) {
    // A process that has ended meanwhile is what was wanted.
    let _ = Command::new("kill")
        .args([name, &pid.to_string()])
        .stderr(Stdio::null())
        .status();
}

/// Where the installed Kamailio keeps its modules.
fn installed_modules() -> io::Result<PathBuf> {
    for library in [
        "/usr/lib",
        "/usr/lib64",
        "/usr/local/lib",
        "/usr/local/lib64",
    ] {
        let Ok(entries) = fs::read_dir(library) else {
            continue;
        };
        let inside = entries.flatten().map(|entry| entry.path());
        for place in inside.chain([PathBuf::from(library)]) {
            let modules = place.join("kamailio/modules");
            if modules.join("tm.so").exists() {
                return Ok(modules);
            }
        }
    }
    Err(fault(
        "the modules of kamailio are not installed".to_owned(),
    ))
}

fn fault(words: String) -> io::Error {
    io::Error::other(words)
}
