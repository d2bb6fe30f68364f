// SPDX-License-Identifier: GPL-2.0-or-later
//! The handshake of a component with its server (XEP-0114 §3).

use std::fmt::Write as _;

use minidom::Element;
use sha1::{Digest, Sha1};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use xmpp_parsers::ns::JABBER_CLIENT;

use crate::config::Component;

use super::failure::Failure;
use super::stream::{CLOSE, Header, ReadError, Reader, Received, StreamError, Writer};

/// The content namespace of a component's stream.
pub(super) const NS_COMPONENT: &str = "jabber:component:accept";

/// Opens the stream and proves knowledge of the secret. The reader trusts the server from then on.
pub(super) async fn handshake<R, W>(
    reader: &mut Reader<R>,
    sink: &mut W,
    config: &Component,
) -> Result<Writer, Failure>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let mut out = Vec::new();
    let header = Header {
        content: NS_COMPONENT.to_owned(),
        to: Some(config.domain.clone()),
        ..Header::default()
    };
    let mut writer = Writer::open(header, &mut out).map_err(|_| Failure::Domain)?;
    sink.write_all(&out).await?;

    let id = loop {
        match next(reader, config).await? {
            Received::Header(header) => break header.id.ok_or(Failure::NoId)?,
            Received::Content(_) | Received::Other(_) | Received::Refused(_) => {}
            Received::Error(error) => return Err(Failure::refused(&config.domain, error)),
            Received::Closed => return Err(early(config)),
        }
    };

    let proof = Element::builder("handshake", JABBER_CLIENT)
        .append(proof(&id, &config.secret))
        .build();
    out.clear();
    writer
        .write(&proof, &mut out)
        .map_err(|_| Failure::Domain)?;
    sink.write_all(&out).await?;

    loop {
        match next(reader, config).await? {
            Received::Content(element) if element.name() == "handshake" => {
                reader.trust();
                return Ok(writer);
            }
            Received::Header(_)
            | Received::Content(_)
            | Received::Other(_)
            | Received::Refused(_) => {}
            Received::Error(error) => return Err(Failure::refused(&config.domain, error)),
            Received::Closed => return Err(early(config)),
        }
    }
}

/// Says a stream error and closes, on a stream whose header was sent (RFC 6120 §4.9.1.1).
pub(super) async fn part<W: AsyncWrite + Unpin>(sink: &mut W, error: &StreamError) {
    let header = Header {
        content: NS_COMPONENT.to_owned(),
        ..Header::default()
    };
    let mut out = Vec::new();
    if let Ok(mut writer) = Writer::open(header, &mut out) {
        out.clear();
        // Nobody is left to be told when this fails: the link is down already.
        let _ = writer.write(&error.to_element(), &mut out);
        out.extend_from_slice(CLOSE);
        let _ = sink.write_all(&out).await;
        let _ = sink.shutdown().await;
    }
}

async fn next<R: AsyncRead + Unpin>(
    reader: &mut Reader<R>,
    config: &Component,
) -> Result<Received, Failure> {
    reader.next().await.map_err(|error| match error {
        ReadError::Ended => early(config),
        ReadError::Illegal(_) | ReadError::Io(_) => error.into(),
    })
}

fn early(config: &Component) -> Failure {
    Failure::EndedEarly {
        domain: config.domain.clone(),
    }
}

/// Lower-case hexadecimal SHA-1 of stream id and secret (XEP-0114 §3).
fn proof(id: &str, secret: &str) -> String {
    let digest = Sha1::new().chain_update(id).chain_update(secret).finalize();
    digest.iter().fold(String::new(), |mut hex, byte| {
        // Writing to a String cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_proof_is_that_of_the_specification() {
        // sha1("3BF96D32" + "test"), computed with sha1sum.
        assert_eq!(
            proof("3BF96D32", "test"),
            "aaee83c26aeeafcbabeabfcbcd50df997e0a2a1e"
        );
    }
}
