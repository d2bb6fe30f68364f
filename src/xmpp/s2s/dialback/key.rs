// SPDX-License-Identifier: GPL-2.0-or-later
//! Dialback keys (XEP-0185 §2).

use std::fmt::{self, Write as _};

use ring::{digest, hmac};

/// What only this gateway knows, as the key of its dialback keys.
#[derive(Clone)]
pub struct Secret(hmac::Key);

impl Secret {
    /// A secret of at least 128 bits of randomness.
    pub fn new(random: &[u8]) -> Self {
        let hashed = hex(digest::digest(&digest::SHA256, random).as_ref());
        Self(hmac::Key::new(hmac::HMAC_SHA256, hashed.as_bytes()))
    }

    /// The key for one stream: `stream` is the id that the receiving server gave it.
    pub fn key(&self, receiving: &str, sender: &str, stream: &str) -> String {
        let text = text(receiving, sender, stream);
        hex(hmac::sign(&self.0, text.as_bytes()).as_ref())
    }

    /// Whether a key is the one for that stream; takes as long for a wrong one as for the right one.
    pub(in super::super) fn made(
        &self,
        key: &str,
        receiving: &str,
        sender: &str,
        stream: &str,
    ) -> bool {
        let text = text(receiving, sender, stream);
        unhex(key).is_some_and(|key| hmac::verify(&self.0, text.as_bytes(), &key).is_ok())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// Domains and ids hold no space, so the three cannot be confused.
fn text(receiving: &str, sender: &str, stream: &str) -> String {
    format!("{receiving} {sender} {stream}")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut hex, byte| {
        // Writing to a String cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    if digits.len() != 2 * digest::SHA256_OUTPUT_LEN {
        return None;
    }
    digits
        .chunks(2)
        .map(|pair| {
            let pair = std::str::from_utf8(pair).ok()?;
            let legal = pair.bytes().all(|b| b.is_ascii_hexdigit());
            u8::from_str_radix(pair, 16).ok().filter(|_| legal)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECEIVING: &str = "xmpp.example.com";
    const SENDER: &str = "example.org";
    const STREAM: &str = "D60000229F";
    const KEY: &str = "37c69b1cf07a3f67c04a5ef5902fa5114f2c76fe4a2686482ba5b89323075643";

    #[test]
    fn the_key_is_that_of_the_specification() {
        let secret = Secret::new(b"s3cr3tf0rd14lb4ck");
        assert_eq!(secret.key(RECEIVING, SENDER, STREAM), KEY);
        assert!(secret.made(KEY, RECEIVING, SENDER, STREAM));
    }

    #[test]
    fn a_key_is_good_for_its_stream_and_its_domains_only() {
        let secret = Secret::new(b"s3cr3tf0rd14lb4ck");
        let other = Secret::new(b"another");
        assert!(!other.made(KEY, RECEIVING, SENDER, STREAM));
        assert!(!secret.made(KEY, SENDER, RECEIVING, STREAM));
        assert!(!secret.made(KEY, RECEIVING, SENDER, "D60000229E"));
        assert!(!secret.made(KEY, "xmpp.example.co", "mexample.org", STREAM));
        for key in [
            "",
            "37",
            "zz",
            &KEY[..62],
            &format!("{KEY}00"),
            &KEY.replace('3', "+"),
        ] {
            assert!(!secret.made(key, RECEIVING, SENDER, STREAM), "{key}");
        }
    }
}
