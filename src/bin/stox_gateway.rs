// SPDX-License-Identifier: GPL-2.0-or-later
//! The gateway process as a plain program, for tests and fuzzing without Kamailio.
//!
//! ```text
//! stox-gateway --requests FD --results FD --command FD [--command FD …] [--param NAME=VALUE …]
//! ```
//!
//! Each `FD` is the number of an inherited Unix socket of type `SOCK_SEQPACKET`, on whose other end the parent
//! plays Kamailio: it sends [`stox::frame::ToGateway`] frames to `--requests` (requests) and `--results`
//! (results), and receives [`stox::frame::Command`] frames from each `--command`, of which there is one per
//! port, in order; the log comes as commands to the first. The program holds no in-flight table: whatever
//! slot a request names, one reply names it too. `NAME=VALUE` is a parameter as in `modparam`.
//!
//! It ends on SIGTERM, on SIGINT, and when the other end of `--requests` or `--results` is closed.

use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;

use stox::config::{Config, ConfigError};
use stox::process::GatewayEnd;

fn main() -> ExitCode {
    match arguments(std::env::args().skip(1)).and_then(Arguments::open) {
        Ok((config, end)) => {
            let status = stox::runtime::run(Arc::new(config), end);
            ExitCode::from(u8::try_from(status).unwrap_or(1))
        }
        Err(error) => {
            // If not even this can be written, the status has to do.
            let _ = writeln!(io::stderr(), "stox-gateway: {error}");
            ExitCode::from(2)
        }
    }
}

/// Why the program cannot start.
#[derive(Debug, thiserror::Error)]
enum UsageError {
    #[error("{0} is not an argument; see the head of its source")]
    Unknown(String),
    #[error("{0} needs a value")]
    NoValue(String),
    #[error("{0} must be the number of a descriptor")]
    NoNumber(String),
    #[error("--requests, --results and one --command at least are needed")]
    Incomplete,
    #[error("{name}: {error}")]
    Parameter { name: String, error: ConfigError },
    #[error("{0}")]
    Config(ConfigError),
    #[error("the descriptors cannot be used: {0}")]
    Io(#[from] io::Error),
}

#[derive(Debug, Default)]
struct Arguments {
    requests: Option<i32>,
    results: Option<i32>,
    commands: Vec<i32>,
    config: Config,
}

fn arguments(mut words: impl Iterator<Item = String>) -> Result<Arguments, UsageError> {
    let mut arguments = Arguments::default();
    while let Some(word) = words.next() {
        let value = words
            .next()
            .ok_or_else(|| UsageError::NoValue(word.clone()))?;
        let number = || {
            value
                .parse()
                .map_err(|_| UsageError::NoNumber(word.clone()))
        };
        match word.as_str() {
            "--requests" => arguments.requests = Some(number()?),
            "--results" => arguments.results = Some(number()?),
            "--command" => arguments.commands.push(number()?),
            "--param" => {
                let (name, value) = value
                    .split_once('=')
                    .ok_or_else(|| UsageError::NoValue(value.clone()))?;
                arguments
                    .config
                    .set(name, value)
                    .map_err(|error| UsageError::Parameter {
                        name: name.to_owned(),
                        error,
                    })?;
            }
            _ => return Err(UsageError::Unknown(word)),
        }
    }
    Ok(arguments)
}

impl Arguments {
    fn open(self) -> Result<(Config, GatewayEnd), UsageError> {
        let (Some(requests), Some(results), false) =
            (self.requests, self.results, self.commands.is_empty())
        else {
            return Err(UsageError::Incomplete);
        };
        self.config.finish().map_err(UsageError::Config)?;
        Ok((
            self.config,
            GatewayEnd::inherited(requests, results, &self.commands)?,
        ))
    }
}
