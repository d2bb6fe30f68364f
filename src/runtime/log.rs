// SPDX-License-Identifier: GPL-2.0-or-later
//! The log: events of `tracing` become lines that port 0 writes with the host's logger.

use std::fmt::{self, Write};
use std::sync::Arc;

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::{LookupSpan, Registry};

use crate::frame::{Command, LogLevel, LogLine};
use crate::process::{Counter, GatewayEnd};

/// The longest line, in bytes.
const LONGEST: usize = 2000;

/// Sends lines to port 0; never waits, and counts what it drops.
#[derive(Debug, Clone)]
pub(super) struct Log {
    end: Arc<GatewayEnd>,
}

impl Log {
    pub(super) fn new(end: Arc<GatewayEnd>) -> Self {
        Self { end }
    }

    /// From now on this process logs here, and a panic anywhere in it is logged and ends it.
    pub(super) fn install(self) {
        let last_words = self.clone();
        std::panic::set_hook(Box::new(move |panic| {
            last_words.write(LogLevel::Error, &format!("gateway process aborts: {panic}"));
            std::process::abort();
        }));
        // Fails only if the host of this process has set one already, which is then as good.
        let _ = tracing::subscriber::set_global_default(Registry::default().with(self));
    }

    fn write(&self, level: LogLevel, text: &str) {
        let line = Command::Log(LogLine {
            level,
            text: one_line(text),
        });
        let sent = match (line.encode(), self.end.commands.first()) {
            (Ok(frame), Some(port)) => port.send(&frame).is_ok(),
            (Err(_), _) | (_, None) => false,
        };
        if !sent {
            self.end.count(Counter::LogLinesLost);
        }
    }
}

/// The text without control characters, and not too long.
fn one_line(text: &str) -> String {
    let end = text.floor_char_boundary(LONGEST);
    text[..end]
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

fn level(metadata: &Metadata<'_>) -> LogLevel {
    match *metadata.level() {
        Level::ERROR => LogLevel::Error,
        Level::WARN => LogLevel::Warning,
        Level::INFO => LogLevel::Info,
        Level::DEBUG | Level::TRACE => LogLevel::Debug,
    }
}

/// The fields of a span or an event as text: the message first, then ` name=value` each.
#[derive(Debug, Default)]
struct Fields {
    message: String,
    others: String,
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a string cannot fail.
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.others, " {name}={value:?}"),
        };
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Log {
    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        // The operator may change the level at any time.
        Interest::sometimes()
    }

    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        *metadata.level() <= Level::DEBUG
            && metadata.target().starts_with("stox")
            && (metadata.is_span() || level(metadata) <= self.end.log_level())
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if let Some(span) = context.span(id) {
            let mut fields = Fields::default();
            attributes.record(&mut fields);
            span.extensions_mut().insert(fields);
        }
    }

    fn on_record(&self, id: &Id, record: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(fields) = span.extensions_mut().get_mut::<Fields>()
        {
            record.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let mut text = fields.message + &fields.others;
        for span in context.event_scope(event).into_iter().flatten() {
            if let Some(fields) = span.extensions().get::<Fields>() {
                text.push_str(&fields.others);
            }
        }
        self.write(level(event.metadata()), &text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_one_line_and_ends() {
        assert_eq!(one_line("a\r\nb\u{1b}c"), "a  b c");
        let long = "ü".repeat(LONGEST);
        assert_eq!(one_line(&long).len(), LONGEST);
    }
}
