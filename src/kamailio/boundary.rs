// SPDX-License-Identifier: GPL-2.0-or-later
//! Where calls from C come in: no panic leaves here.

use std::any::Any;
use std::panic::{self, AssertUnwindSafe, catch_unwind};

use super::log;

/// Has every panic written to Kamailio's log with its place, also one that no boundary catches; in
/// mod_register, before anything else.
pub(super) fn log_panics() {
    panic::set_hook(Box::new(|panic| {
        // Kamailio writes lines.
        log::critical(&format!("internal error: {panic}").replace('\n', " "));
    }));
}

/// Runs `body`; a panic inside gives `otherwise`. It is in the log already ([`log_panics`]).
pub(super) fn boundary<T>(otherwise: T, body: impl FnOnce() -> T) -> T {
    boundary_with(|_| {}, otherwise, body)
}

/// As [`boundary`], with a logger of its own.
pub(super) fn boundary_with<T>(
    log: impl FnOnce(&str),
    otherwise: T,
    body: impl FnOnce() -> T,
) -> T {
    // What a body changes is either its own, or atomics of the shared memory, which are never half changed.
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(value) => value,
        Err(payload) => {
            log(&format!("internal error: {}", words(payload.as_ref())));
            otherwise
        }
    }
}

fn words(payload: &(dyn Any + Send)) -> &str {
    payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("panic without words")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_the_harmless_value_and_a_line() {
        let mut line = String::new();
        let value = boundary_with(
            |text| line.push_str(text),
            -1,
            || {
                let empty: [i32; 0] = [];
                empty[line_of(empty.len())]
            },
        );
        assert_eq!(value, -1);
        assert!(
            line.starts_with("internal error: index out of bounds"),
            "{line}"
        );
    }

    fn line_of(length: usize) -> usize {
        length + 3
    }
}
