// SPDX-License-Identifier: GPL-2.0-or-later
//! Questions of an operator, one at a time.

use std::io;
use std::os::unix::net::UnixListener as StdListener;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, oneshot};

use crate::frame::{Answer, MAX_QUESTION, Question};
use crate::process::own_user;

/// Who asks has given up by then.
const PATIENCE: Duration = Duration::from_secs(1);

/// A question, and where its answer goes.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) question: Question,
    pub(super) answer: oneshot::Sender<Answer>,
}

/// Takes questions from the socket in a task of its own.
pub(super) fn listen(listener: &StdListener) -> io::Result<mpsc::Receiver<Asked>> {
    let listener = UnixListener::from_std(listener.try_clone()?)?;
    let (asked, questions) = mpsc::channel(1);
    tokio::spawn(async move {
        loop {
            let Ok((stream, _)) = listener.accept().await else {
                // Out of descriptors, most likely; nothing is lost by waiting.
                tokio::time::sleep(PATIENCE).await;
                continue;
            };
            if stream
                .peer_cred()
                .is_ok_and(|peer| peer.uid() == own_user())
            {
                // Whoever is slow, breaks off or makes no sense gets no answer.
                let _ = tokio::time::timeout(PATIENCE, serve(stream, &asked)).await;
            }
            if asked.is_closed() {
                return;
            }
        }
    });
    Ok(questions)
}

async fn serve(mut stream: UnixStream, asked: &mpsc::Sender<Asked>) -> io::Result<()> {
    let mut frame = Vec::new();
    let limit = u64::try_from(MAX_QUESTION).unwrap_or(u64::MAX);
    (&mut stream)
        .take(limit + 1)
        .read_to_end(&mut frame)
        .await?;
    let question = Question::decode(&frame).map_err(io::Error::other)?;
    let (sender, answer) = oneshot::channel();
    asked
        .send(Asked {
            question,
            answer: sender,
        })
        .await
        .map_err(io::Error::other)?;
    let frame = answer
        .await
        .map_err(io::Error::other)?
        .encode()
        .map_err(io::Error::other)?;
    stream.write_all(&frame).await?;
    stream.shutdown().await
}
