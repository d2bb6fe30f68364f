// SPDX-License-Identifier: GPL-2.0-or-later
//! What leaves over one stream: its own elements first, among them acknowledgements of what came, then the stanzas of
//! the links that it carries, and which of those the peer has acknowledged (XEP-0198 §4).

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use minidom::Element;
use rxml::xml_ncname;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};
use xmpp_parsers::ns;

use crate::xmpp::handled::Handled;
use crate::xmpp::stream::{CLOSE, StreamError, Writer};

use super::link::{Bytes, Link};

/// About how many bytes are written at once.
const BATCH: usize = 64 * 1024;

/// What was written longer ago has arrived, or the peer would have been found dead.
const RECENT: Duration = Duration::from_secs(120);

/// Most bytes of the stream's own elements that wait: a peer that asks and does not read gets no more answers.
const OWN: usize = 64 * 1024;

/// The writing side of one stream.
#[derive(Debug)]
pub(super) struct Outgoing {
    state: Mutex<State>,
    wake: Arc<Notify>,
}

#[derive(Debug)]
struct State {
    writer: Writer,
    own: Vec<u8>,
    links: Vec<Arc<Link>>,
    /// Stanzas that are not known to have arrived, in the order written: those without an acknowledgement, or, on a
    /// stream that has none, those being written.
    pending: VecDeque<(Arc<Link>, Bytes)>,
    management: Option<Management>,
    /// What came, where the peer wants it acknowledged.
    handled: Option<Arc<Handled>>,
    finished: bool,
    stanzas: u64,
    /// When the last of them was written.
    last: Option<Instant>,
    /// The opening tag, while it is not written.
    opening: Option<Vec<u8>>,
}

/// How far the peer has acknowledged.
#[derive(Debug, Default)]
struct Management {
    acknowledged: u32,
    /// When it was asked, while there is no answer.
    asked: Option<Instant>,
    /// Whether to ask with the next batch: not again of a peer that has answered, before there is something new.
    wanted: bool,
    /// Since when something is unacknowledged and nothing was acknowledged.
    since: Option<Instant>,
}

/// The peer acknowledges what it was never sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooHigh;

impl Outgoing {
    /// A stream whose header was written, or one whose header is `opening`.
    pub(super) fn new(writer: Writer, opening: Option<Vec<u8>>) -> Self {
        Self {
            state: Mutex::new(State {
                writer,
                own: Vec::new(),
                links: Vec::new(),
                pending: VecDeque::new(),
                management: None,
                handled: None,
                finished: false,
                stanzas: 0,
                last: None,
                opening,
            }),
            wake: Arc::new(Notify::new()),
        }
    }

    /// What is notified when something waits.
    pub(super) fn wake(&self) -> &Arc<Notify> {
        &self.wake
    }

    /// Goes on with a new stream on the same connection: its opening tag is written next.
    pub(super) fn restart(&self, writer: Writer, opening: &[u8]) {
        let mut state = self.lock();
        state.writer = writer;
        state.own.extend_from_slice(opening);
        state.opening = None;
        drop(state);
        self.wake.notify_one();
    }

    /// Carries a link from now on.
    pub(super) fn carry(&self, link: Arc<Link>) {
        self.lock().links.push(link);
        self.wake.notify_one();
    }

    /// The links carried.
    pub(super) fn links(&self) -> Vec<Arc<Link>> {
        self.lock().links.clone()
    }

    /// Stanzas are acknowledged from now on; those that are being written are not among them.
    pub(super) fn manage(&self) {
        let mut guard = self.lock();
        let state = &mut *guard;
        for (link, bytes) in state.pending.drain(..) {
            link.gone(bytes.len());
        }
        state.management = Some(Management::default());
    }

    /// The peer acknowledges nothing after all.
    pub(super) fn unmanage(&self) {
        let mut guard = self.lock();
        guard.management = None;
        for (link, bytes) in guard.pending.drain(..) {
            link.gone(bytes.len());
        }
    }

    /// The peer is told which of its stanzas are handled, from now on.
    pub(super) fn acknowledge(&self) -> Arc<Handled> {
        let handled = Handled::new(Arc::clone(&self.wake));
        self.lock().handled = Some(Arc::clone(&handled));
        handled
    }

    /// Writes an element that is no stanza. False if too much waits already.
    pub(super) fn say(&self, element: &Element) -> bool {
        let mut guard = self.lock();
        let state = &mut *guard;
        if state.own.len() > OWN {
            return false;
        }
        // What cannot be written was not made of the peer's words: nothing is owed.
        let said = state.writer.write(element, &mut state.own).is_ok();
        drop(guard);
        self.wake.notify_one();
        said
    }

    /// Keeps the connection alive (RFC 6120 §4.6.1).
    pub(super) fn breathe(&self) {
        self.lock().own.push(b' ');
        self.wake.notify_one();
    }

    /// Asks for an acknowledgement; false if the stream has none, or one is awaited.
    pub(super) fn ask(&self) -> bool {
        let mut state = self.lock();
        let now = Instant::now();
        let Some(management) = &mut state.management else {
            return false;
        };
        if management.asked.is_some() {
            return false;
        }
        management.asked = Some(now);
        let asked = state.request();
        drop(state);
        self.wake.notify_one();
        asked
    }

    /// Since when an acknowledgement is awaited.
    pub(super) fn asked(&self) -> Option<Instant> {
        self.lock().management.as_ref().and_then(|m| m.asked)
    }

    /// Since when the peer has acknowledged nothing though there is something to.
    pub(super) fn unacknowledged_since(&self) -> Option<Instant> {
        self.lock().management.as_ref().and_then(|m| m.since)
    }

    /// The peer has taken `h` stanzas in all.
    pub(super) fn acknowledged(&self, h: u32) -> Result<(), TooHigh> {
        let mut guard = self.lock();
        let state = &mut *guard;
        let Some(management) = &mut state.management else {
            return Err(TooHigh);
        };
        let new = usize::try_from(h.wrapping_sub(management.acknowledged)).unwrap_or(usize::MAX);
        if new > state.pending.len() {
            return Err(TooHigh);
        }
        for (link, bytes) in state.pending.drain(..new) {
            link.gone(bytes.len());
        }
        management.acknowledged = h;
        management.asked = None;
        if new > 0 {
            management.wanted = !state.pending.is_empty();
            management.since = management.wanted.then(Instant::now);
        }
        drop(guard);
        self.wake.notify_one();
        Ok(())
    }

    /// Ends the stream once what is said and queued is written, with an error if there is one to tell. For what came
    /// to be handled it waits so long.
    pub(super) fn finish(&self, error: Option<&StreamError>, patience: Duration) {
        let mut guard = self.lock();
        let state = &mut *guard;
        // An error needs a stream to be said on (RFC 6120 §4.9.1.2).
        if let Some(mut opening) = state.opening.take() {
            state.own.append(&mut opening);
        }
        if let Some(handled) = &state.handled {
            handled.part(patience);
        }
        if let Some(error) = error {
            state.answer(Instant::now());
            // An error that cannot be written leaves the closing tag to say that it is over.
            let _ = state.writer.write(&error.to_element(), &mut state.own);
        }
        state.finished = true;
        drop(guard);
        self.wake.notify_one();
    }

    /// The stream is over: gives back to each link what is not known to have arrived, and lets go of them.
    pub(super) fn release(&self) -> Vec<Arc<Link>> {
        let mut state = self.lock();
        let links = std::mem::take(&mut state.links);
        let pending = std::mem::take(&mut state.pending);
        drop(state);
        for link in &links {
            let own =
                |(of, bytes): &(Arc<Link>, Bytes)| Arc::ptr_eq(of, link).then(|| bytes.clone());
            link.give_back(pending.iter().filter_map(own).collect());
        }
        links
    }

    /// Whether what was written last may be lost with the stream, unknown to us: the peer does not acknowledge, and it
    /// was a moment ago.
    pub(super) fn may_have_lost(&self) -> bool {
        let state = self.lock();
        state.management.is_none() && state.last.is_some_and(|last| last.elapsed() < RECENT)
    }

    /// Stanzas written.
    pub(super) fn stanzas(&self) -> u64 {
        self.lock().stanzas
    }

    /// Whether everything sent is known to have arrived, as far as that can be known.
    pub(super) fn is_settled(&self) -> bool {
        self.lock().pending.is_empty()
    }

    /// Writes what waits, as it comes, until [`Self::finish`] and everything before it is written.
    pub(super) async fn drain<W: AsyncWrite + Unpin>(&self, sink: &mut W) -> io::Result<()> {
        loop {
            let (batch, finished) = self.batch();
            if !batch.is_empty() {
                sink.write_all(&batch).await?;
                sink.flush().await?;
                self.written();
            } else if finished {
                sink.write_all(CLOSE).await?;
                return sink.shutdown().await;
            } else {
                self.woken().await;
            }
        }
    }

    /// Waits until there may be something to write.
    async fn woken(&self) {
        let due = self.lock().due();
        match due {
            // That the time is over is as good a reason.
            Some(due) => drop(timeout_at(due, self.wake.notified()).await),
            None => self.wake.notified().await,
        }
    }

    /// What is to be written now, and whether it is the last.
    fn batch(&self) -> (Vec<u8>, bool) {
        let mut guard = self.lock();
        let state = &mut *guard;
        let now = Instant::now();
        state.answer(now);
        let mut batch = std::mem::take(&mut state.own);
        let before = state.pending.len();
        for link in &state.links {
            for bytes in link.take(BATCH.saturating_sub(batch.len())) {
                batch.extend_from_slice(&bytes);
                state.pending.push_back((Arc::clone(link), bytes));
            }
        }
        let stanzas = state.pending.len() - before;
        if stanzas > 0 {
            state.stanzas += stanzas as u64;
            state.last = Some(now);
            if let Some(management) = &mut state.management {
                management.wanted = true;
                management.since.get_or_insert(now);
            }
        }
        if let Some(management) = &mut state.management
            && management.asked.is_none()
            && management.wanted
        {
            management.asked = Some(now);
            management.wanted = false;
            state.request();
            batch.append(&mut state.own);
        }
        (batch, state.finished && state.due().is_none())
    }

    /// A batch is with the kernel, which is all there is to know on a stream without acknowledgements.
    fn written(&self) {
        let mut guard = self.lock();
        let state = &mut *guard;
        if state.management.is_none() {
            for (link, bytes) in state.pending.drain(..) {
                link.gone(bytes.len());
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Plain values: whole between any two statements that could panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn request(&mut self) -> bool {
        let request = Element::bare("r", ns::SM);
        self.writer.write(&request, &mut self.own).is_ok()
    }

    /// Tells the peer which of its stanzas are handled, if that is due.
    fn answer(&mut self, now: Instant) {
        let Some(h) = self
            .handled
            .as_ref()
            .and_then(|handled| handled.answer(now))
        else {
            return;
        };
        let answer = Element::builder("a", ns::SM)
            .attr(xml_ncname!("h").into(), h.to_string())
            .build();
        // A number can be written.
        let _ = self.writer.write(&answer, &mut self.own);
    }

    /// By when the peer is to be told which of its stanzas are handled.
    fn due(&self) -> Option<Instant> {
        self.handled.as_ref().and_then(|handled| handled.due())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xmpp::Timing;
    use crate::xmpp::s2s::domain::DomainPair;
    use crate::xmpp::s2s::header::writer;

    /// A link on which so many stanzas wait, and a stream that carries it.
    fn scene(waiting: usize, managed: bool) -> (Arc<Link>, Outgoing) {
        let pair = DomainPair::new("us", "them");
        let link = Arc::new(Link::new(pair.clone(), 1000, &Timing::default()));
        for n in 0..waiting {
            push(&link, n);
        }
        let outgoing = Outgoing::new(writer(&pair).unwrap(), None);
        if managed {
            outgoing.manage();
        }
        outgoing.carry(Arc::clone(&link));
        link.connected(outgoing.wake());
        (link, outgoing)
    }

    fn push(link: &Link, n: usize) {
        let text = format!("<message xmlns='jabber:client' from='us' to='them' id='{n}'/>");
        link.push(&text.parse().unwrap()).unwrap();
    }

    /// Writes what waits, and tells what was written.
    fn write(outgoing: &Outgoing) -> String {
        let (batch, _) = outgoing.batch();
        outgoing.written();
        String::from_utf8(batch).unwrap()
    }

    fn ids(text: &str) -> Vec<&str> {
        let parts = text.split("id=").skip(1);
        parts.map(|part| &part[1..2]).collect()
    }

    #[test]
    fn without_acknowledgements_what_the_kernel_took_is_gone() {
        let (link, outgoing) = scene(2, false);
        assert_eq!(ids(&write(&outgoing)), ["0", "1"]);
        assert!(outgoing.is_settled());
        assert_eq!(link.bytes(), 0);
        assert_eq!(outgoing.acknowledged(0), Err(TooHigh));
        assert!(!outgoing.ask());
    }

    #[test]
    fn with_them_it_waits_and_goes_again_in_order_when_the_stream_ends() {
        let (link, outgoing) = scene(3, true);
        let written = write(&outgoing);
        assert_eq!(ids(&written), ["0", "1", "2"]);
        assert!(written.contains("<r "), "{written}");
        assert!(outgoing.asked().is_some() && !outgoing.is_settled());
        push(&link, 3);
        assert_eq!(outgoing.acknowledged(1), Ok(()));
        assert!(outgoing.asked().is_none());
        outgoing.release();
        assert!(link.disconnected("gone", false));
        let again: Vec<_> = link.take(1000);
        let again = String::from_utf8(again.concat()).unwrap();
        assert_eq!(ids(&again), ["1", "2", "3"]);
    }

    #[test]
    fn who_has_answered_is_asked_again_for_something_new_only() {
        let (link, outgoing) = scene(2, true);
        assert!(write(&outgoing).contains("<r "));
        let since = outgoing.unacknowledged_since().unwrap();
        assert_eq!(outgoing.acknowledged(0), Ok(()));
        assert_eq!(write(&outgoing), "", "no new stanza, and none taken");
        assert_eq!(outgoing.unacknowledged_since(), Some(since));
        assert_eq!(outgoing.acknowledged(1), Ok(()));
        assert!(
            write(&outgoing).contains("<r "),
            "one was taken, one is left"
        );
        assert!(outgoing.unacknowledged_since() >= Some(since));
        assert_eq!(outgoing.acknowledged(2), Ok(()));
        assert_eq!(outgoing.unacknowledged_since(), None);
        assert_eq!(write(&outgoing), "");
        push(&link, 2);
        assert!(write(&outgoing).contains("<r "));
    }

    #[test]
    fn what_is_being_written_when_acknowledgements_begin_is_not_counted() {
        let (link, outgoing) = scene(1, false);
        outgoing.batch();
        outgoing.manage();
        outgoing.written();
        push(&link, 1);
        write(&outgoing);
        assert_eq!(outgoing.acknowledged(2), Err(TooHigh));
        assert_eq!(outgoing.acknowledged(1), Ok(()));
        assert!(outgoing.is_settled());
        assert_eq!(link.bytes(), 0);
    }

    #[test]
    fn nothing_is_acknowledged_that_was_not_sent() {
        let (_, outgoing) = scene(2, true);
        assert_eq!(outgoing.acknowledged(1), Err(TooHigh));
        write(&outgoing);
        for h in [3, u32::MAX, 1 << 31] {
            assert_eq!(outgoing.acknowledged(h), Err(TooHigh), "{h}");
        }
        assert_eq!(outgoing.acknowledged(0), Ok(()));
        assert_eq!(outgoing.acknowledged(2), Ok(()));
        for h in [0, 1, 3] {
            assert_eq!(outgoing.acknowledged(h), Err(TooHigh), "{h}");
        }
        assert_eq!(outgoing.acknowledged(2), Ok(()));
        assert!(outgoing.is_settled());
    }

    #[test]
    fn the_count_of_acknowledgements_wraps() {
        let (link, outgoing) = scene(3, true);
        outgoing.lock().management.as_mut().unwrap().acknowledged = u32::MAX - 1;
        write(&outgoing);
        assert_eq!(outgoing.acknowledged(1), Ok(()));
        assert!(outgoing.is_settled());
        assert_eq!(link.bytes(), 0);
    }

    #[test]
    fn a_peer_that_asks_and_does_not_read_gets_no_endless_answers() {
        let (_, outgoing) = scene(0, true);
        let answer = Element::builder("a", ns::SM)
            .append("x".repeat(1000))
            .build();
        let said = (0..1000).take_while(|_| outgoing.say(&answer)).count();
        assert!((60..70).contains(&said), "{said}");
        assert!(write(&outgoing).len() < OWN + 2000);
        assert!(outgoing.say(&answer));
    }
}
