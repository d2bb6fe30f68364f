// SPDX-License-Identifier: GPL-2.0-or-later
//! An XMPP server that knows only XEP-0114 and says yes to everything.
//!
//! In: the gateway's component stream. Out: `subscribed` and presence for `subscribe`, presence for `probe`,
//! an answer for every question; and the presence that a measurement pushes.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rxml::error::EndOrError;
use rxml::{AttrMap, Event, Namespace, Parse, Parser};

use crate::cpu;
use crate::mark::Mark;

/// The server, until the program ends.
#[derive(Debug, Clone)]
pub(crate) struct Sink {
    address: SocketAddr,
    shared: Arc<Mutex<Shared>>,
}

#[derive(Debug, Default)]
struct Shared {
    /// The component whose handshake was accepted.
    component: Option<TcpStream>,
    spent: Duration,
    /// Marks that were shown by presence, and when.
    arrivals: Vec<(Mark, Instant)>,
    /// Marks that messages have for an id.
    messages: Vec<(Mark, Instant)>,
    /// Marks that errors for messages have for an id.
    errors: Vec<(Mark, Instant)>,
}

impl Sink {
    /// Listens on a free port of that address.
    pub(crate) fn listen(ip: std::net::IpAddr) -> io::Result<Self> {
        let listener = TcpListener::bind((ip, 0))?;
        let sink = Self {
            address: listener.local_addr()?,
            shared: Arc::default(),
        };
        let served = sink.clone();
        thread::Builder::new()
            .name("sink".to_owned())
            .spawn(move || {
                for stream in listener.incoming().flatten() {
                    // A component that leaves is expected back after the next start.
                    let _ = served.serve(stream);
                    served.lock().component = None;
                }
            })?;
        Ok(sink)
    }

    /// Where the component must connect to.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether a component is there.
    pub(crate) fn is_connected(&self) -> bool {
        self.lock().component.is_some()
    }

    /// Says something to the component.
    pub(crate) fn push(&self, stanza: &str) -> io::Result<()> {
        match &mut self.lock().component {
            Some(stream) => stream.write_all(stanza.as_bytes()),
            None => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    /// Presence with a mark that has arrived since they were forgotten.
    pub(crate) fn arrivals(&self) -> Vec<(Mark, Instant)> {
        std::mem::take(&mut self.lock().arrivals)
    }

    /// Messages that have arrived since they were forgotten.
    pub(crate) fn messages(&self) -> Vec<(Mark, Instant)> {
        std::mem::take(&mut self.lock().messages)
    }

    /// Errors for messages that have arrived since they were forgotten.
    pub(crate) fn errors(&self) -> Vec<(Mark, Instant)> {
        std::mem::take(&mut self.lock().errors)
    }

    /// Forgets what has arrived.
    pub(crate) fn forget_arrivals(&self) {
        let mut shared = self.lock();
        shared.arrivals.clear();
        shared.messages.clear();
        shared.errors.clear();
    }

    /// CPU time this server has spent on what it read.
    pub(crate) fn spent(&self) -> Duration {
        self.lock().spent
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self, mut stream: TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let mut parser = Parser::new();
        let mut depth = 0_usize;
        let mut stanza = None;
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let count = stream.read(&mut buffer)?;
            let mut input = buffer.get(..count).unwrap_or_default();
            if input.is_empty() {
                return Ok(());
            }
            let mut answer = String::new();
            let (mut arrived, mut messages, mut errors) = (Vec::new(), Vec::new(), Vec::new());
            loop {
                match parser.parse(&mut input, false) {
                    Ok(Some(Event::StartElement(_, (_, name), attributes))) => {
                        match depth {
                            0 => answer.push_str(&header(&attributes)),
                            1 => stanza = Some(Stanza::new(&name, &attributes)),
                            2 => {
                                if let Some(stanza) = &mut stanza {
                                    stanza.asks_ping |= &*name == "ping";
                                }
                            }
                            _ => {}
                        }
                        depth += 1;
                    }
                    Ok(Some(Event::EndElement(_))) => {
                        depth = depth.saturating_sub(1);
                        if let (1, Some(stanza)) = (depth, stanza.take_if(|_| depth == 1)) {
                            if stanza.name == "handshake" {
                                stream.write_all(b"<handshake/>")?;
                                self.lock().component = Some(stream.try_clone()?);
                            }
                            if stanza.name == "message" {
                                let mark =
                                    Mark::find(&stanza.id).map(|mark| (mark, Instant::now()));
                                if stanza.kind == "error" {
                                    errors.extend(mark);
                                } else {
                                    messages.extend(mark);
                                }
                            }
                            stanza.answer(&mut answer);
                        }
                    }
                    Ok(Some(Event::Text(_, text))) => {
                        arrived.extend(Mark::find(&text).map(|mark| (mark, Instant::now())));
                    }
                    Ok(Some(Event::XmlDeclaration(..))) => {}
                    Ok(None) => return Ok(()),
                    Err(EndOrError::NeedMoreData) => break,
                    Err(EndOrError::Error(error)) => {
                        return Err(io::Error::new(io::ErrorKind::InvalidData, error));
                    }
                }
            }
            let mut shared = self.lock();
            shared.spent = cpu::of_this_thread();
            shared.arrivals.append(&mut arrived);
            shared.messages.append(&mut messages);
            shared.errors.append(&mut errors);
            if !answer.is_empty() {
                stream.write_all(answer.as_bytes())?;
            }
        }
    }
}

/// Our stream header, for theirs.
fn header(theirs: &AttrMap) -> String {
    format!(
        "<?xml version='1.0'?><stream:stream xmlns='jabber:component:accept' \
         xmlns:stream='http://etherx.jabber.org/streams' id='bench' from='{}'>",
        attribute(theirs, "to")
    )
}

fn attribute(attributes: &AttrMap, name: &str) -> String {
    attributes
        .get(&Namespace::NONE, name)
        .cloned()
        .unwrap_or_default()
}

/// The part of a stanza that decides its answer. The names in it are the benchmark's own: nothing needs escaping.
#[derive(Debug)]
struct Stanza {
    name: String,
    kind: String,
    id: String,
    from: String,
    to: String,
    asks_ping: bool,
}

impl Stanza {
    fn new(name: &str, attributes: &AttrMap) -> Self {
        Self {
            name: name.to_owned(),
            kind: attribute(attributes, "type"),
            id: attribute(attributes, "id"),
            from: attribute(attributes, "from"),
            to: attribute(attributes, "to"),
            asks_ping: false,
        }
    }

    fn answer(&self, out: &mut String) {
        let Self { id, from, to, .. } = self;
        match (self.name.as_str(), self.kind.as_str()) {
            ("presence", "subscribe") => {
                out.push_str(&format!(
                    "<presence from='{to}' to='{from}' type='subscribed'/>\
                     <presence from='{to}/bench' to='{from}'/>"
                ));
            }
            ("presence", "probe") => {
                out.push_str(&format!("<presence from='{to}/bench' to='{from}'/>"));
            }
            ("iq", "get" | "set") if self.asks_ping => {
                out.push_str(&format!(
                    "<iq type='result' from='{to}' to='{from}' id='{id}'/>"
                ));
            }
            ("iq", "get" | "set") => out.push_str(&format!(
                "<iq type='error' from='{to}' to='{from}' id='{id}'><error type='cancel'>\
                 <service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"
            )),
            _ => {}
        }
    }
}
