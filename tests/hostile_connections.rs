// SPDX-License-Identifier: GPL-2.0-or-later
//! What connections of strangers leave behind in memory: nothing. A program of its own: nothing else happens in its
//! process.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails here")]
#![allow(clippy::print_stdout, reason = "figures, for whoever asks for them")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use std::{env, fs, process};

use stox::address::DomainPattern;
use stox::config::Config;
use stox::xmpp::Timing;
use stox::xmpp::s2s::Federation;
use stox::xmpp::tls::{Beginning, CertificateFiles, Certificates, KeyFiles, connect};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::timeout;

/// Cycles before the first look: what is allocated once, and what an allocator keeps, is there then.
const BEFORE: usize = 300;

/// What may be left of all cycles together, in bytes; one connection that leaked would be some 30 KiB.
const MOST: usize = 512 * 1024;

/// The most that one peer may take for a while.
const MOST_OF_ONE: usize = 4 * 1024 * 1024;

const LIMIT: Duration = Duration::from_secs(30);

const STARTTLS: &str = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";

#[tokio::test]
async fn strangers_that_come_and_go_leave_no_memory_taken() {
    come_and_go(500).await;
}

#[tokio::test]
#[ignore = "takes minutes"]
async fn ten_thousand_strangers_leave_no_memory_taken() {
    come_and_go(10_000).await;
}

async fn come_and_go(cycles: usize) {
    if env::var_os("STOX_SANITIZED").is_some() {
        println!("not measured: a memory checker takes more than a connection");
        return;
    }
    let scene = Scene::new().await;
    for n in 0..BEFORE {
        scene.visit(n).await;
    }
    scene.wait_until_alone().await;
    let before = private_bytes();
    for n in 0..cycles {
        scene.visit(n).await;
    }
    scene.wait_until_alone().await;
    let left = private_bytes().saturating_sub(before);
    println!("{left} bytes left of {cycles} connections");
    assert!(left <= MOST, "{left} bytes left of {cycles} connections");
    scene.skip_a_great_stanza().await;
    drop(scene);
}

struct Scene {
    federation: Federation,
    address: SocketAddr,
    certificates: Certificates,
}

impl Scene {
    async fn new() -> Self {
        let folder = env::temp_dir().join(format!("stox-hostile-{}", process::id()));
        fs::create_dir(&folder).unwrap();
        let names = ["b.example".to_owned(), "evil.example".to_owned()];
        let own = rcgen::generate_simple_self_signed(names).unwrap();
        let files = KeyFiles {
            certificate: folder.join("crt"),
            private_key: folder.join("key"),
        };
        fs::write(&files.certificate, own.cert.pem()).unwrap();
        fs::write(&files.private_key, own.signing_key.serialize_pem()).unwrap();
        let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let config = Config {
            sip_domains: vec!["b.example".to_owned()],
            xmpp_allow: vec![DomainPattern::parse("*").unwrap()],
            listen: vec![address],
            certificates: vec![files.certificate.clone()],
            private_keys: vec![files.private_key.clone()],
            ca_list: Some(files.certificate.clone()),
            resolvers: vec![address],
            max_address_attempts: 0,
            max_address_connections: 0,
            ..Config::default()
        };
        let certificates = Certificates::load(&CertificateFiles {
            ca_list: Some(files.certificate.clone()),
            own: vec![files],
        })
        .unwrap();
        let (events, _) = mpsc::channel(64);
        let federation = Federation::join(Arc::new(config), Timing::default(), events).unwrap();
        fs::remove_dir_all(&folder).unwrap();
        Self {
            federation,
            address,
            certificates,
        }
    }

    /// Comes so far, and drops the connection.
    async fn visit(&self, n: usize) {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        match n % 6 {
            0 => {}
            1 => say(&mut stream, &header()[..40]).await,
            2 => {
                say(&mut stream, &(header() + STARTTLS)).await;
                hear(&mut stream, "<proceed").await;
            }
            3 => {
                say(&mut stream, &header()).await;
                say(
                    &mut stream,
                    "<message from='a' to='b'><body>hi</body></message>",
                )
                .await;
                hear(&mut stream, "</stream:stream>").await;
            }
            4 => drop(self.secured(stream).await),
            _ => drop(self.authenticated(stream).await),
        }
    }

    async fn secured(&self, mut stream: TcpStream) -> impl AsyncRead + AsyncWrite + Unpin + use<> {
        say(&mut stream, &(header() + STARTTLS)).await;
        hear(&mut stream, "<proceed").await;
        let own = &self.certificates.identities;
        let config = own.client_config("evil.example", Beginning::Starttls);
        let (mut stream, _) = connect(stream, config, "b.example").await.unwrap();
        say(&mut stream, &header()).await;
        hear(&mut stream, "</stream:features>").await;
        stream
    }

    async fn authenticated(
        &self,
        stream: TcpStream,
    ) -> impl AsyncRead + AsyncWrite + Unpin + use<> {
        let mut stream = self.secured(stream).await;
        let auth = "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>=</auth>";
        say(&mut stream, auth).await;
        hear(&mut stream, "<success").await;
        say(&mut stream, &header()).await;
        hear(&mut stream, "</stream:features>").await;
        stream
    }

    async fn skip_a_great_stanza(&self) {
        let stream = TcpStream::connect(self.address).await.unwrap();
        let mut stream = self.authenticated(stream).await;
        let piece = "x".repeat(64 * 1024);
        say(
            &mut stream,
            "<message from='u@evil.example' to='v@b.example' type='error'>",
        )
        .await;
        let before = private_bytes();
        let mut most = before;
        for _ in 0..20 * 1024 / 64 {
            say(&mut stream, &piece).await;
            most = most.max(private_bytes());
        }
        say(&mut stream, "</message><enable xmlns='urn:xmpp:sm:3'/>").await;
        hear(&mut stream, "<enabled").await;
        let taken = most - before;
        println!("{taken} bytes taken by a stanza of 20 MiB");
        assert!(taken <= MOST_OF_ONE, "{taken} bytes taken by one stanza");
    }

    async fn wait_until_alone(&self) {
        let alone = timeout(LIMIT, async {
            while !self.federation.view().is_empty() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
        alone.await.unwrap();
    }
}

fn header() -> String {
    "<?xml version='1.0'?><stream:stream xmlns='jabber:server' xmlns:db='jabber:server:dialback' \
     xmlns:stream='http://etherx.jabber.org/streams' from='evil.example' to='b.example' version='1.0'>"
        .to_owned()
}

async fn say<S: AsyncWrite + Unpin>(stream: &mut S, text: &str) {
    // Whether the other side still reads shows in what it says.
    let _ = stream.write_all(text.as_bytes()).await;
    let _ = stream.flush().await;
}

async fn hear<S: AsyncRead + Unpin>(stream: &mut S, text: &str) {
    let mut heard = String::new();
    let mut buffer = [0; 2048];
    let hearing = timeout(LIMIT, async {
        while !heard.contains(text) {
            let length = stream.read(&mut buffer).await.unwrap();
            assert!(length > 0, "no {text} in {heard}");
            heard.push_str(&String::from_utf8_lossy(&buffer[..length]));
        }
    });
    hearing.await.unwrap();
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
