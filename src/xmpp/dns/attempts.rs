// SPDX-License-Identifier: GPL-2.0-or-later
//! TCP connections to the servers of a domain, one after the other, in the style of RFC 8305.
//!
//! In: endpoints in order. Out: the first connection that is made, and at each further call the next one. An
//! attempt starts when the one before has failed, or is 250 ms old; the addresses of a host are tried with the
//! families in turn, IPv6 first. Dropping [`Attempts`] ends everything that is under way.

use std::collections::{HashSet, VecDeque};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hickory_resolver::proto::rr::Name;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

use super::endpoint::{Endpoint, Security};
use super::locator::Locator;
use super::question::{Answer, Family, Question};
use super::steps::{Deed, Fault, Steps};

/// After this long an attempt is no longer waited for alone (RFC 8305 §5).
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// How long IPv4 waits for IPv6 when its addresses came first (RFC 8305 §3).
const RESOLUTION_DELAY: Duration = Duration::from_millis(50);

/// How long one attempt may take.
const ATTEMPT_TIME: Duration = Duration::from_secs(10);

/// The most attempts for one domain, whatever it publishes.
const MOST_ATTEMPTS: usize = 32;

/// A connection, and what it is to be used for.
#[derive(Debug)]
pub(crate) struct Connected {
    pub(crate) stream: TcpStream,
    pub(crate) peer: SocketAddr,
    pub(crate) endpoint: Endpoint,
}

/// The attempts to reach one domain.
#[derive(Debug)]
pub(crate) struct Attempts {
    locator: Arc<Locator>,
    /// Not looked up yet.
    endpoints: VecDeque<Endpoint>,
    /// Looked up, or being looked up.
    places: Vec<Place>,
    lookups: JoinSet<Looked>,
    race: JoinSet<Ended>,
    /// What races now.
    racing: Vec<Candidate>,
    /// What is waiting, races or is done with.
    seen: HashSet<(SocketAddr, Security)>,
    left: usize,
    next_attempt: Instant,
    next_lookup: Instant,
    steps: Steps,
}

/// An endpoint and those of its addresses that wait for their turn.
#[derive(Debug)]
struct Place {
    endpoint: Endpoint,
    v6: VecDeque<IpAddr>,
    v4: VecDeque<IpAddr>,
    turn: Family,
    unanswered: usize,
    found: bool,
    /// Until when IPv4 waits.
    held: Option<Instant>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Candidate {
    place: usize,
    peer: SocketAddr,
}

#[derive(Debug)]
struct Looked {
    place: usize,
    question: Question,
    answer: Answer<IpAddr>,
}

#[derive(Debug)]
struct Ended {
    candidate: Candidate,
    result: io::Result<TcpStream>,
}

impl Attempts {
    /// Attempts to reach the endpoints, the first one first. `steps` are those of finding them.
    pub(crate) fn new(locator: Arc<Locator>, endpoints: Vec<Endpoint>, steps: Steps) -> Self {
        let now = Instant::now();
        Self {
            locator,
            endpoints: endpoints.into(),
            places: Vec::new(),
            lookups: JoinSet::new(),
            race: JoinSet::new(),
            racing: Vec::new(),
            seen: HashSet::new(),
            left: MOST_ATTEMPTS,
            next_attempt: now,
            next_lookup: now,
            steps,
        }
    }

    /// What was done so far.
    pub(crate) fn steps(&self) -> &Steps {
        &self.steps
    }

    /// The next connection; none when everything was tried. No address is given twice for one kind of TLS.
    /// Losers of the race are tried again when the winner turns out to be of no use. Nothing is lost when the
    /// call is given up.
    pub(crate) async fn next(&mut self) -> Option<Connected> {
        loop {
            let wait = self.advance(Instant::now());
            tokio::select! {
                Some(ended) = self.race.join_next() => {
                    if let Some(connected) = ended.ok().and_then(|ended| self.finish(ended)) {
                        return Some(connected);
                    }
                }
                Some(looked) = self.lookups.join_next() => {
                    if let Ok(looked) = looked {
                        self.enlist(looked, Instant::now());
                    }
                }
                () = sleep_until(wait.unwrap_or_else(Instant::now)), if wait.is_some() => {}
                else => return None,
            }
        }
    }

    /// Starts everything that is due; says when something will be.
    fn advance(&mut self, now: Instant) -> Option<Instant> {
        while let Some(due) = self.due(now) {
            if due > now {
                return Some(due);
            }
            if let Some(candidate) = self.take() {
                self.start(candidate, now);
            } else if let Some(endpoint) = self.endpoints.pop_front() {
                self.look_up(endpoint, now);
            }
        }
        None
    }

    /// When the next attempt is to start, or the next endpoint to be looked up if no address is waiting.
    fn due(&self, now: Instant) -> Option<Instant> {
        if self.left == 0 {
            return None;
        }
        match self.places.iter().find(|place| place.is_waiting()) {
            Some(place) => place.held.max(Some(self.next_attempt)),
            None if self.endpoints.is_empty() => None,
            None if self.lookups.is_empty() => Some(now),
            None => Some(self.next_lookup),
        }
    }

    fn take(&mut self) -> Option<Candidate> {
        let waiting = self.places.iter_mut().enumerate();
        let (place, waiting) = { waiting }.find(|(_, place)| place.is_waiting())?;
        let address = waiting.take()?;
        Some(Candidate {
            place,
            peer: SocketAddr::new(address, waiting.endpoint.port),
        })
    }

    fn start(&mut self, candidate: Candidate, now: Instant) {
        self.left -= 1;
        self.next_attempt = now + ATTEMPT_DELAY;
        self.racing.push(candidate);
        self.race.spawn(async move {
            let result = connect(candidate.peer).await;
            Ended { candidate, result }
        });
    }

    fn look_up(&mut self, endpoint: Endpoint, now: Instant) {
        self.next_lookup = now + ATTEMPT_DELAY;
        let place = self.places.len();
        let Ok(host) = Name::from_ascii(format!("{}.", endpoint.host)) else {
            let fault = Err(Fault::NotAHost);
            self.steps.push(Deed::LookUp, &endpoint, fault);
            return;
        };
        for family in [Family::V6, Family::V4] {
            let question = Question::addresses(&host, family);
            let locator = Arc::clone(&self.locator);
            self.lookups.spawn(async move {
                let answer = locator.addresses(&question).await;
                Looked {
                    place,
                    question,
                    answer,
                }
            });
        }
        self.places.push(Place::new(endpoint));
    }

    /// Lets the addresses that were found wait for their turn.
    fn enlist(&mut self, looked: Looked, now: Instant) {
        let answer = looked.answer;
        self.steps.answered(&looked.question, &answer);
        let Some(place) = self.places.get_mut(looked.place) else {
            return;
        };
        let Endpoint { port, security, .. } = place.endpoint;
        let addresses = answer.records().iter().copied();
        let unseen: Vec<_> = addresses
            .filter(|address| {
                self.seen
                    .insert((SocketAddr::new(*address, port), security))
            })
            .collect();
        place.answered(!answer.records().is_empty(), unseen, now);
        if place.unanswered == 0 && !place.found {
            let fault = Err(Fault::NoAddress);
            self.steps.push(Deed::LookUp, &place.endpoint, fault);
        }
    }

    /// Notes how an attempt ended; a connection ends the race.
    fn finish(&mut self, Ended { candidate, result }: Ended) -> Option<Connected> {
        self.racing.retain(|racing| *racing != candidate);
        self.next_attempt = Instant::now();
        let endpoint = self.places.get(candidate.place)?.endpoint.clone();
        let peer = candidate.peer;
        let what = format!("TCP {peer} ({})", endpoint.security);
        let stream = match result {
            Ok(stream) => stream,
            Err(error) => {
                let fault = Fault::NotConnected {
                    kind: error.kind(),
                    words: error.to_string(),
                };
                self.steps.push(Deed::Connect, what, Err(fault));
                return None;
            }
        };
        let connected = Ok("connected".to_owned());
        self.steps.push(Deed::Connect, what, connected);
        self.race = JoinSet::new();
        for loser in self.racing.drain(..).rev() {
            if let Some(place) = self.places.get_mut(loser.place) {
                place
                    .queue(Family::of(loser.peer.ip()))
                    .push_front(loser.peer.ip());
                place.turn = Family::of(loser.peer.ip());
            }
        }
        Some(Connected {
            stream,
            peer,
            endpoint,
        })
    }
}

impl Place {
    fn new(endpoint: Endpoint) -> Self {
        Self {
            endpoint,
            v6: VecDeque::new(),
            v4: VecDeque::new(),
            turn: Family::V6,
            unanswered: 2,
            found: false,
            held: None,
        }
    }

    fn queue(&mut self, family: Family) -> &mut VecDeque<IpAddr> {
        match family {
            Family::V6 => &mut self.v6,
            Family::V4 => &mut self.v4,
        }
    }

    fn is_waiting(&self) -> bool {
        !self.v6.is_empty() || !self.v4.is_empty()
    }

    fn answered(&mut self, found: bool, addresses: Vec<IpAddr>, now: Instant) {
        self.unanswered -= 1;
        self.found |= found;
        for address in addresses {
            self.queue(Family::of(address)).push_back(address);
        }
        let only_v4 = self.v6.is_empty() && !self.v4.is_empty();
        self.held = (only_v4 && self.unanswered > 0).then(|| now + RESOLUTION_DELAY);
    }

    /// The next address, of the family whose turn it is if there is one.
    fn take(&mut self) -> Option<IpAddr> {
        let turn = self.turn;
        let (first, second) = (turn, turn.other());
        let family = if self.queue(first).is_empty() {
            second
        } else {
            first
        };
        self.turn = family.other();
        self.queue(family).pop_front()
    }
}

async fn connect(peer: SocketAddr) -> io::Result<TcpStream> {
    let stream = timeout(ATTEMPT_TIME, TcpStream::connect(peer))
        .await
        .unwrap_or_else(|_| Err(io::Error::new(io::ErrorKind::TimedOut, "no answer in time")))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}
