// SPDX-License-Identifier: GPL-2.0-or-later
//! A real Prosody, which does what servers do with a stanza: it parses, routes and drops.

use std::error::Error;
use std::fs::{self, File};
use std::io;
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::cpu::Reading;
use crate::net::Net;

/// Its domain.
pub(crate) const DOMAIN: &str = "prosody.example";

/// How long its start may take.
const GENEROUS: Duration = Duration::from_secs(30);

/// A running Prosody; dropped, it ends.
pub(crate) struct Prosody {
    child: Child,
}

impl Prosody {
    /// Whether there is one on this machine.
    pub(crate) fn is_installed() -> bool {
        let found = Command::new("sh")
            .args(["-c", "command -v prosody"])
            .stdout(Stdio::null())
            .status();
        found.is_ok_and(|status| status.success())
    }

    /// Starts it and waits until it listens; whether it acknowledges stanzas is to be said.
    pub(crate) fn start(net: &Net, acknowledges: bool) -> Result<Self, Box<dyn Error>> {
        let port = net.free_port()?;
        net.publish(DOMAIN, port)?;
        let folder = net.folder.join(format!("prosody-{port}"));
        let accounts = folder.join("data/prosody%2eexample/accounts");
        fs::create_dir_all(&accounts)?;
        fs::write(
            accounts.join("juliet.dat"),
            "return { [\"password\"] = \"secret\" };\n",
        )?;
        let (chain, key) = net.certificate(&[DOMAIN])?;
        let config = CONFIG
            .replace("SMACKS", if acknowledges { "\"smacks\";" } else { "" })
            .replace("ADDRESS", &net.ip.to_string())
            .replace("PORT", &port.to_string())
            .replace("DOMAIN", DOMAIN)
            .replace("CHAIN", &chain.display().to_string())
            .replace("KEY", &key.display().to_string())
            .replace("TRUSTED", &net.ca_list().display().to_string())
            .replace("FOLDER", &folder.display().to_string());
        let path = folder.join("prosody.cfg.lua");
        fs::write(&path, config)?;
        let log = File::create(folder.join("output"))?;
        let child = Command::new("prosody")
            .arg("-F")
            .arg("--config")
            .arg(&path)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        let mut prosody = Self { child };
        let begun = Instant::now();
        while TcpStream::connect((net.ip, port)).is_err() {
            if begun.elapsed() > GENEROUS || prosody.child.try_wait()?.is_some() {
                let said = fs::read_to_string(folder.join("output")).unwrap_or_default();
                return Err(io::Error::other(format!("Prosody does not start: {said}")).into());
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(prosody)
    }

    /// CPU time of it until now.
    pub(crate) fn reading(&self) -> Reading {
        Reading::of_tree(self.child.id())
    }
}

impl Drop for Prosody {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Its configuration; words in capitals are replaced.
const CONFIG: &str = r#"
pidfile = "FOLDER/prosody.pid"
data_path = "FOLDER/data"
daemonize = false
run_as_root = true
interfaces = { "ADDRESS" }
local_interfaces = { "ADDRESS" }
c2s_ports = {}
c2s_direct_tls_ports = {}
legacy_ssl_ports = {}
s2s_ports = { PORT }
s2s_direct_tls_ports = {}
component_ports = {}
http_ports = {}
https_ports = {}
use_ipv6 = false
modules_enabled = { SMACKS "roster"; "saslauth"; "tls"; "disco"; "presence"; "message"; "iq"; "ping"; "offline"; "s2s_auth_certs"; "s2s_bidi" }
modules_disabled = {}
authentication = "internal_plain"
storage = "internal"
ssl = { certificate = "CHAIN", key = "KEY", cafile = "TRUSTED", capath = "/nonexistent" }
s2s_require_encryption = true
s2s_secure_auth = true
log = { { levels = { min = "warn" }, to = "console" } }
VirtualHost "DOMAIN"
"#;
