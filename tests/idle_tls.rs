// SPDX-License-Identifier: GPL-2.0-or-later
//! What an idle TLS stream costs in memory. A program of its own: nothing else happens in its process.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails here")]

use std::future::{Future as _, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::{env, fs, process};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use stox::xmpp::tls::{
    Beginning, CertificateFiles, Certificates, KeyFiles, Secured, accept, connect,
};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// Two ends each, and few enough for the descriptors that a process has by default.
const STREAMS: usize = 400;

/// The aim is 30 KiB for all of a stream, of which TLS is a part. Half of it is what records of full length
/// leave behind in the allocator.
const MOST: usize = 24 * 1024;

#[tokio::test]
async fn an_idle_stream_costs_little_memory() {
    if env::var_os("STOX_SANITIZED").is_some() {
        println!("not measured: a memory checker takes more than a stream");
        return;
    }
    let certificates = certificates();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    // Whatever is allocated once only is there before the first look.
    let first = meet(&certificates, &listener).await;
    let before = private_bytes();
    let mut ends = Vec::with_capacity(STREAMS);
    for _ in 0..STREAMS {
        ends.push(meet(&certificates, &listener).await);
    }
    let each = (private_bytes() - before) / (2 * STREAMS);
    println!("{each} bytes per end of a stream");
    assert!(each <= MOST, "{each} bytes per end of a stream");
    drop((first, ends));
}

/// Both ends of a stream over which as much has gone as over one that was busy.
async fn meet(
    certificates: &Certificates,
    listener: &TcpListener,
) -> (impl Sized + use<>, impl Sized + use<>) {
    let own = &certificates.identities;
    let address = listener.local_addr().unwrap();
    let (here, there) = tokio::join!(TcpStream::connect(address), listener.accept());
    let (here, there) = (here.unwrap(), there.unwrap().0);
    here.set_nodelay(true).unwrap();
    there.set_nodelay(true).unwrap();
    let (client, server) = tokio::join!(
        connect(
            here,
            own.client_config("a.example", Beginning::Direct),
            "a.example"
        ),
        accept(there, own.server_config(Beginning::Direct))
    );
    let ((mut client, of_server), (mut server, of_client)): ((_, Secured), (_, Secured)) =
        (client.unwrap(), server.unwrap());
    assert_eq!((of_server.chain.len(), of_client.chain.len()), (2, 2));
    talk(&mut client, &mut server).await;
    wait_for_more(&mut client).await;
    wait_for_more(&mut server).await;
    ((client, of_server), (server, of_client))
}

async fn talk<A, B>(one: &mut A, other: &mut B)
where
    A: AsyncRead + AsyncWrite + Unpin,
    B: AsyncRead + AsyncWrite + Unpin,
{
    let mut buffer = vec![0; 64 * 1024];
    for _ in 0..2 {
        let plenty = vec![b'x'; 64 * 1024];
        let write = async {
            one.write_all(&plenty).await.unwrap();
            one.flush().await.unwrap();
        };
        tokio::join!(write, async {
            other.read_exact(&mut buffer).await.unwrap();
        });
        let write = async {
            other.write_all(&plenty).await.unwrap();
            other.flush().await.unwrap();
        };
        tokio::join!(write, async {
            one.read_exact(&mut buffer).await.unwrap();
        });
    }
}

/// A reader that finds nothing, as that of an idle stream.
async fn wait_for_more<S: AsyncRead + Unpin>(stream: &mut S) {
    let mut buffer = [0; 1];
    let mut read = pin!(stream.read(&mut buffer));
    let more = poll_fn(|context| Poll::Ready(read.as_mut().poll(context))).await;
    assert!(more.is_pending());
}

/// A certificate as public CAs issue them, with one above it.
fn certificates() -> Certificates {
    let folder = env::temp_dir().join(format!("stox-idle-tls-{}", process::id()));
    fs::create_dir(&folder).unwrap();
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let above = KeyPair::generate().unwrap();
    let root = authority.self_signed(&above).unwrap();
    let key = KeyPair::generate().unwrap();
    let own = CertificateParams::new(["a.example".to_owned()])
        .unwrap()
        .signed_by(&key, &Issuer::from_params(&authority, &above))
        .unwrap();
    let files = CertificateFiles {
        ca_list: Some(folder.join("ca")),
        own: vec![KeyFiles {
            certificate: folder.join("crt"),
            private_key: folder.join("key"),
        }],
    };
    fs::write(folder.join("ca"), root.pem()).unwrap();
    fs::write(folder.join("crt"), own.pem() + &root.pem()).unwrap();
    fs::write(folder.join("key"), key.serialize_pem()).unwrap();
    let certificates = Certificates::load(&files).unwrap();
    fs::remove_dir_all(&folder).unwrap();
    certificates
}

/// Memory that is this process's alone.
fn private_bytes() -> usize {
    let text = fs::read_to_string("/proc/self/smaps_rollup").unwrap();
    let kib = |name: &str| -> usize {
        let line = text.lines().find(|line| line.starts_with(name)).unwrap();
        let number = line.split_whitespace().nth(1).unwrap();
        number.parse().unwrap()
    };
    (kib("Private_Dirty:") + kib("Private_Clean:")) * 1024
}
