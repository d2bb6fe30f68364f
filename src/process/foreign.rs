// SPDX-License-Identifier: GPL-2.0-or-later
//! Memory of the host that the gateway process must not keep.

use std::ffi::c_void;
use std::io;
use std::ops::Range;

/// A mapping that is undone in the forked gateway process, such as the host's shared memory: a gateway
/// that parses hostile input must not be able to write there.
#[derive(Debug, Clone, Copy)]
pub struct ForeignMapping {
    address: usize,
}

impl ForeignMapping {
    /// The mapping that this address lies in.
    ///
    /// # Safety
    ///
    /// Nothing that runs in the gateway process may reach into that mapping, and no other allocation may
    /// share it: a shared mapping of its own is meant, not a piece of the heap.
    pub unsafe fn containing(address: *const c_void) -> Self {
        Self {
            address: address.addr(),
        }
    }

    /// Undoes the mapping in this process.
    pub(super) fn unmap(self) -> io::Result<()> {
        let maps = std::fs::read_to_string("/proc/self/maps")?;
        let range = maps
            .lines()
            .filter_map(range)
            .find(|range| range.contains(&self.address))
            .ok_or(io::ErrorKind::NotFound)?;
        let start = std::ptr::with_exposed_provenance_mut(range.start);
        // SAFETY: whoever made this value vouched that nothing here uses the mapping any more.
        if unsafe { libc::munmap(start, range.end - range.start) } < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(())
    }
}

/// The addresses of one line of `/proc/self/maps`.
fn range(line: &str) -> Option<Range<usize>> {
    let (start, rest) = line.split_once('-')?;
    let (end, _) = rest.split_once(' ')?;
    Some(usize::from_str_radix(start, 16).ok()?..usize::from_str_radix(end, 16).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_map_is_read() {
        let line = "7f2a4c000000-7f2a5c000000 rw-s 00000000 00:01 1044 /dev/zero (deleted)";
        assert_eq!(range(line), Some(0x7f2a_4c00_0000..0x7f2a_5c00_0000));
        assert_eq!(range("nonsense"), None);
    }
}
