// SPDX-License-Identifier: GPL-2.0-or-later
//! A gateway's edge to the federation, alone in a process of its own, so that its CPU time and memory are what is
//! measured: this same program in another role, told what to do line by line.
//!
//! In: `set NAME VALUE` for each parameter, `join`, then one command a line. Out: one line for each command.

use std::collections::BTreeSet;
use std::env;
use std::error::Error;
use std::fmt::Write as _;
use std::io::{self, BufRead, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use stox::config::Config;
use stox::stanza::Stanza;
use stox::xmpp::s2s::Federation;
use stox::xmpp::{LinkEvent, Timing};
use tokio::sync::{Notify, mpsc};
use xmpp_parsers::iq::Iq;

use crate::cpu::Reading;
use crate::memory::private_bytes;

/// The word on the command line that asks for this role.
pub(crate) const ROLE: &str = "--node";

/// Events that may wait, as in the gateway.
const EVENTS: usize = 256;

/// Bytes that wait in a link above which a flood waits too.
const ENOUGH: usize = 256 * 1024;

/// Stanzas between two looks at the bytes that wait.
const BETWEEN: u32 = 100;

/// Questions under way at one time.
const QUESTIONS: u64 = 64;

/// Between two looks at what changes by itself.
const GLANCE: Duration = Duration::from_millis(1);

/// Whatever is awaited has come by then.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a flood is made of: about 400 bytes with what a client adds, for somebody who is not there.
const BODY: &str = "<body>But, soft! what light through yonder window breaks? It is the east, and Juliet is the \
    sun. Arise, fair sun, and kill the envious moon.</body>\
    <active xmlns='http://jabber.org/protocol/chatstates'/>\
    <origin-id xmlns='urn:xmpp:sid:0' id='a3f1c2d4'/>";

// --- the role

/// Serves until its input ends.
pub(crate) fn serve() -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    let mut config = Config::default();
    let mut edge = None;
    for line in io::stdin().lines() {
        let line = line?;
        let words: Vec<_> = line.split(' ').collect();
        match (words.as_slice(), edge.clone()) {
            (["set", name, value], None) => config.set(name, value)?,
            (["join"], None) => {
                let joined = runtime.block_on(Edge::join(config.clone()))?;
                edge = Some(Arc::new(joined));
                println!("joined");
            }
            (command, Some(edge)) => {
                let command: Vec<_> = command.iter().map(|word| (*word).to_owned()).collect();
                // On the thread that does everything else too, as the core of a gateway.
                let answer = runtime.block_on(runtime.spawn(async move {
                    let words: Vec<_> = command.iter().map(String::as_str).collect();
                    edge.obey(&words).await
                }))?;
                println!("{}", answer?);
            }
            (_, None) => return Err(format!("not joined: {line}").into()),
        }
    }
    Ok(())
}

struct Edge {
    federation: Arc<Federation>,
    /// The domain that speaks.
    local: String,
    heard: Arc<Heard>,
}

/// What came.
#[derive(Debug, Default)]
struct Heard {
    links_up: AtomicU64,
    links_down: AtomicU64,
    stanzas: AtomicU64,
    answers: AtomicU64,
    errors: AtomicU64,
    /// Is notified of each answer.
    answered: Notify,
}

impl Edge {
    #[expect(clippy::unused_async, reason = "joining needs a runtime around it")]
    async fn join(config: Config) -> Result<Self, Box<dyn Error>> {
        let local = config.sip_domains.first().cloned().unwrap_or_default();
        let (sender, events) = mpsc::channel(EVENTS);
        let federation = Federation::join(Arc::new(config), Timing::default(), sender)?;
        let edge = Self {
            federation: Arc::new(federation),
            local,
            heard: Arc::default(),
        };
        tokio::spawn(listen(
            Arc::clone(&edge.federation),
            Arc::clone(&edge.heard),
            events,
        ));
        Ok(edge)
    }

    async fn obey(&self, command: &[&str]) -> Result<String, String> {
        let number = |text: &str| text.parse::<u32>().map_err(|error| error.to_string());
        match command {
            ["open", first, count] => self.open(number(first)?, number(count)?).await,
            ["flood", millis, remote] => self.flood(span(number(millis)?), remote).await,
            ["pace", rate, millis, remote] => {
                self.pace(number(rate)?, span(number(millis)?), remote)
                    .await
            }
            ["ask", millis, remote] => self.ask(span(number(millis)?), remote).await,
            ["heard"] => Ok(self.heard.stanzas.load(Ordering::Relaxed).to_string()),
            ["kind"] => Ok(self.kind()),
            _ => Err(format!("{command:?} is no command")),
        }
    }

    /// Makes links to so many domains of [`crate::net::many`]; in microseconds.
    async fn open(&self, first: u32, count: u32) -> Result<String, String> {
        let begun = Instant::now();
        let before = self.heard.links_up.load(Ordering::Relaxed);
        for number in first..first + count {
            self.send(&crate::net::many(number), &message)?;
        }
        let up = || self.heard.links_up.load(Ordering::Relaxed) - before >= u64::from(count);
        self.wait(up).await?;
        Ok(begun.elapsed().as_micros().to_string())
    }

    /// Sends as fast as it goes; how many, and in how many microseconds until the other server had taken them.
    async fn flood(&self, lasting: Duration, remote: &str) -> Result<String, String> {
        let (begun, mut sent) = (Instant::now(), 0_u64);
        let stanza = self.stanza(remote, &message)?;
        while begun.elapsed() < lasting {
            for _ in 0..BETWEEN {
                self.push(remote, stanza.clone())?;
            }
            sent += u64::from(BETWEEN);
            // Others get their turn on this thread.
            tokio::task::yield_now().await;
            while self.waiting_bytes() > ENOUGH {
                tokio::time::sleep(GLANCE).await;
            }
        }
        self.settle(remote).await?;
        Ok(format!("{sent} {}", begun.elapsed().as_micros()))
    }

    /// Sends so many a second, one by one.
    async fn pace(&self, rate: u32, lasting: Duration, remote: &str) -> Result<String, String> {
        let (begun, mut sent) = (Instant::now(), 0_u64);
        let stanza = self.stanza(remote, &message)?;
        let mut beat = tokio::time::interval(Duration::from_secs(1) / rate.max(1));
        while begun.elapsed() < lasting {
            beat.tick().await;
            self.push(remote, stanza.clone())?;
            sent += 1;
        }
        self.settle(remote).await?;
        Ok(format!("{sent} {}", begun.elapsed().as_micros()))
    }

    /// Asks as fast as it is answered.
    async fn ask(&self, lasting: Duration, remote: &str) -> Result<String, String> {
        let begun = Instant::now();
        let before = self.heard.answers.load(Ordering::Relaxed);
        let stanza = self.stanza(remote, &ping)?;
        let (mut sent, answered) = (0, || self.heard.answers.load(Ordering::Relaxed) - before);
        while begun.elapsed() < lasting {
            while sent - answered() < QUESTIONS {
                self.push(remote, stanza.clone())?;
                sent += 1;
            }
            self.heard.answered.notified().await;
        }
        self.wait(|| answered() == sent).await?;
        Ok(format!("{sent} {}", begun.elapsed().as_micros()))
    }

    /// Waits for the answer to a question asked last: everything before it has been taken then.
    async fn settle(&self, remote: &str) -> Result<(), String> {
        let before = self.heard.answers.load(Ordering::Relaxed);
        self.send(remote, &ping)?;
        self.wait(|| self.heard.answers.load(Ordering::Relaxed) > before)
            .await
    }

    async fn wait(&self, come: impl Fn() -> bool) -> Result<(), String> {
        let begun = Instant::now();
        while !come() {
            let errors = self.heard.errors.load(Ordering::Relaxed);
            let down = self.heard.links_down.load(Ordering::Relaxed);
            if errors + down > 0 || begun.elapsed() > PATIENCE {
                let views = self.federation.view();
                let said = views.iter().filter(|view| !view.last_error.is_empty());
                return Err(format!(
                    "{errors} errors, {down} links down: {:?}",
                    said.map(|view| &view.last_error).collect::<BTreeSet<_>>()
                ));
            }
            tokio::time::sleep(GLANCE).await;
        }
        Ok(())
    }

    fn send(&self, remote: &str, what: &impl Fn(&str, &str) -> String) -> Result<(), String> {
        self.push(remote, self.stanza(remote, what)?)
    }

    fn push(&self, remote: &str, stanza: Stanza) -> Result<(), String> {
        let sent = self.federation.send(&self.local, remote, stanza);
        sent.map_err(|error| error.to_string())
    }

    fn stanza(&self, remote: &str, what: &impl Fn(&str, &str) -> String) -> Result<Stanza, String> {
        let text = what(&self.local, remote);
        let element = text.parse().map_err(|error| format!("{text}: {error}"))?;
        Stanza::from_element(element).map_err(|unreadable| unreadable.why.to_string())
    }

    fn waiting_bytes(&self) -> usize {
        let views = self.federation.view();
        views.iter().map(|view| view.queue_bytes).sum()
    }

    /// How many streams there are, and of what kinds.
    fn kind(&self) -> String {
        let mut kinds = BTreeSet::new();
        let views = self.federation.view();
        for view in &views {
            let acknowledged = if view.acknowledged {
                "acknowledged"
            } else {
                "-"
            };
            kinds.insert(format!(
                "{} {} {} {acknowledged}",
                view.state, view.authentication, view.tls
            ));
        }
        let mut said = views.len().to_string();
        for kind in kinds {
            let _ = write!(said, " {kind}");
        }
        said
    }
}

fn span(millis: u32) -> Duration {
    Duration::from_millis(millis.into())
}

fn message(local: &str, remote: &str) -> String {
    format!(
        "<message xmlns='jabber:client' from='romeo@{local}/orchard' to='juliet@{remote}' \
         type='headline' id='m1' xml:lang='en'>{BODY}</message>"
    )
}

fn ping(local: &str, remote: &str) -> String {
    format!(
        "<iq xmlns='jabber:client' type='get' from='romeo@{local}/orchard' to='{remote}' id='p1'>\
         <ping xmlns='urn:xmpp:ping'/></iq>"
    )
}

/// Counts what comes, and answers questions.
async fn listen(
    federation: Arc<Federation>,
    heard: Arc<Heard>,
    mut events: mpsc::Receiver<LinkEvent>,
) {
    while let Some(event) = events.recv().await {
        match event {
            LinkEvent::Up { .. } => count(&heard.links_up),
            LinkEvent::Down { .. } => count(&heard.links_down),
            LinkEvent::Stanza { inbound, receipt } => {
                answer(&federation, &heard, inbound.stanza);
                // There is no store to wait for.
                if let Some(receipt) = receipt {
                    receipt.settle();
                }
            }
        }
    }
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

fn answer(federation: &Federation, heard: &Heard, stanza: Stanza) {
    match stanza {
        Stanza::Iq(Iq::Result { .. }) => {
            count(&heard.answers);
            heard.answered.notify_one();
        }
        Stanza::Iq(Iq::Get {
            from: Some(from),
            to: Some(to),
            id,
            ..
        }) => {
            let (local, remote) = (to.domain().to_string(), from.domain().to_string());
            let result = Iq::Result {
                from: Some(to),
                to: Some(from),
                id,
                payload: None,
            };
            // Whoever asked waits in vain, and says so.
            let _ = federation.send(&local, &remote, Stanza::Iq(result));
        }
        Stanza::Message(message) if message.type_ == xmpp_parsers::message::MessageType::Error => {
            count(&heard.errors);
        }
        Stanza::Message(_) => count(&heard.stanzas),
        Stanza::Iq(_) | Stanza::Presence(_) => count(&heard.errors),
    }
}

// --- who tells it what to do

/// A node as the benchmark sees it; dropped, it ends.
pub(crate) struct Node {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Node {
    /// Starts one with these parameters.
    pub(crate) fn start(parameters: &[(&str, String)]) -> io::Result<Self> {
        let mut child = Command::new(env::current_exe()?)
            .arg(ROLE)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(io::Error::other("no pipes"));
        };
        let mut node = Self {
            child,
            input,
            output: BufReader::new(output),
        };
        let mut lines = String::new();
        for (name, value) in parameters {
            lines.push_str(&format!("set {name} {value}\n"));
        }
        node.input.write_all(lines.as_bytes())?;
        node.tell("join")?;
        Ok(node)
    }

    /// Its answer to a command, in words.
    pub(crate) fn tell(&mut self, command: &str) -> io::Result<String> {
        writeln!(self.input, "{command}")?;
        let mut line = String::new();
        if self.output.read_line(&mut line)? == 0 {
            return Err(io::Error::other(format!("the node ended at \"{command}\"")));
        }
        Ok(line.trim_end().to_owned())
    }

    /// Its answer to a command, in numbers.
    pub(crate) fn count(&mut self, command: &str) -> io::Result<Vec<u64>> {
        let said = self.tell(command)?;
        let numbers = said.split(' ').map(str::parse).collect::<Result<_, _>>();
        numbers.map_err(|_| io::Error::other(format!("\"{command}\" is answered {said}")))
    }

    /// CPU time of it until now.
    pub(crate) fn reading(&self) -> Reading {
        Reading::of_tree(self.child.id())
    }

    /// Bytes of memory that are its alone.
    pub(crate) fn memory(&self) -> io::Result<u64> {
        private_bytes(self.child.id())
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
