// SPDX-License-Identifier: GPL-2.0-or-later
//! Tables that Kamailio reads, and tables of Kamailio's that we read.

use std::cell::UnsafeCell;
use std::ffi::CStr;
use std::sync::OnceLock;

use super::sys;

/// A static that C reads by its address, and may write to.
#[repr(transparent)]
pub(super) struct Table<T>(UnsafeCell<T>);

// SAFETY: [K1] no two threads of one process ever meet here.
unsafe impl<T> Sync for Table<T> {}

impl<T> Table<T> {
    pub(super) const fn new(content: T) -> Self {
        Self(UnsafeCell::new(content))
    }
}

impl<T, const N: usize> Table<[T; N]> {
    /// The address of the first entry.
    pub(super) const fn first(&self) -> *mut T {
        self.0.get().cast()
    }
}

/// Functions of another module, loaded once.
pub(super) struct Loaded<T>(OnceLock<T>);

// SAFETY: [K1] as for `Table`; [K4] what is inside is never changed once loaded.
unsafe impl<T> Sync for Loaded<T> {}

impl<T: Copy> Loaded<T> {
    pub(super) const fn none() -> Self {
        Self(OnceLock::new())
    }

    /// Keeps the functions.
    pub(super) fn set(&self, functions: T) {
        // Loading twice gives the same functions.
        let _ = self.0.set(functions);
    }

    /// The functions, if they were loaded.
    pub(super) fn get(&self) -> Option<T> {
        self.0.get().copied()
    }
}

/// A text for a table, whose bytes Kamailio does not change.
pub(super) const fn name(text: &'static CStr) -> *mut std::ffi::c_char {
    text.as_ptr().cast_mut()
}

/// A `str` for a table; the terminator that some readers expect is there.
pub(super) const fn kamailio_str(text: &'static CStr) -> sys::str_ {
    sys::str_ {
        s: name(text),
        len: length(text),
    }
}

const fn length(text: &CStr) -> i32 {
    let bytes = text.count_bytes();
    assert!(bytes < 4096, "names in tables are short");
    bytes as i32
}
