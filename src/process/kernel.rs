// SPDX-License-Identifier: GPL-2.0-or-later
//! What a process has from the system: time, randomness, identity, memory.

use std::io;
use std::time::Duration;

/// Time since boot that never goes back and is the same in all processes.
pub fn monotonic() -> Duration {
    read(libc::CLOCK_MONOTONIC)
}

/// Time since the Unix epoch, as the machine's clock has it now.
pub fn wall() -> Duration {
    read(libc::CLOCK_REALTIME)
}

fn read(clock: libc::clockid_t) -> Duration {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the pointer is to a local timespec; both clocks exist on every Linux.
    unsafe { libc::clock_gettime(clock, &raw mut time) };
    Duration::new(
        u64::try_from(time.tv_sec).unwrap_or(0),
        u32::try_from(time.tv_nsec).unwrap_or(0),
    )
}

/// Bytes nobody can guess.
pub fn random() -> io::Result<[u8; 32]> {
    let mut bytes = [0; 32];
    // SAFETY: pointer and length are those of the local array.
    let read = unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), bytes.len(), 0) };
    // Up to 256 bytes are never cut short.
    if usize::try_from(read) == Ok(bytes.len()) {
        Ok(bytes)
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Lets this process open as many files and connections as the system allows it; returns how many those are.
pub fn raise_open_files() -> io::Result<u64> {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: the pointer is to a local value of the type that the call fills.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } != 0 {
        return Err(io::Error::last_os_error());
    }
    limit.rlim_cur = limit.rlim_max;
    // SAFETY: the pointer is to a local value, which is only read.
    if unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(limit.rlim_cur)
}

/// The user this process runs as.
pub fn own_user() -> u32 {
    // SAFETY: no memory is passed, and it cannot fail.
    unsafe { libc::geteuid() }
}

/// Gives memory back that was taken and is free again, which the allocator would keep for later. Takes a while for each
/// page: for once, after much was needed for a short time.
pub fn give_back_memory() {
    #[cfg(target_env = "gnu")]
    // SAFETY: no memory is passed, and what is in use stays.
    unsafe {
        libc::malloc_trim(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_files_may_be_open_as_the_system_allows() {
        let most = raise_open_files().unwrap();
        let limits = std::fs::read_to_string("/proc/self/limits").unwrap();
        let line = limits
            .lines()
            .find(|line| line.starts_with("Max open files"))
            .unwrap();
        let soft = line.split_whitespace().nth(3).unwrap();
        assert_eq!(soft, most.to_string());
    }
}
