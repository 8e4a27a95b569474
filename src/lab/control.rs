//! How a running lab is found and asked from another terminal: one line of
//! JSON each way on an abstract socket, which leaves no file behind.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use nix::sys::socket::getsockopt;
use nix::sys::socket::sockopt::PeerCredentials;
use nix::unistd::geteuid;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use crate::lab::expansion::{Course, Step};
use crate::lab::laboratory::Shared;
use crate::lab::life::Way;
use crate::lab::site::Setup;
use crate::lab::terminal;

/// Formatting, mounting and growing take their time; more than this is a fault.
const ANSWER: Duration = Duration::from_secs(90);

/// Longest line that is read.
const LINE: u64 = 64 * 1024;

/// What can be asked of a running lab.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Request {
    Hello,
    Fault {
        fault: String,
        volume: String,
    },
    Expand {
        volume: String,
        until: Step,
        controller: String,
        node: String,
    },
    Cycle {
        volume: String,
        times: u32,
    },
    Manner {
        of: String,
        settings: Vec<String>,
    },
    Pod {
        volume: String,
        way: Way,
    },
    Heal {
        volume: Option<String>,
    },
    Stop {
        what: String,
    },
    Start {
        what: String,
    },
}

#[derive(Debug, Serialize, Deserialize)]
enum Reply {
    Hello(Box<Setup>),
    /// What was done, line by line.
    Done(Vec<String>),
    Refused(String),
}

/// The socket's name: one set of labs for each user.
pub(crate) fn socket_name(name: &str) -> String {
    format!("csi-doctor-lab/{}/{name}", geteuid())
}

/// Whether a lab of this name runs.
pub(crate) fn answers(name: &str) -> bool {
    connect(name).is_ok()
}

/// Connects, and makes sure that it is our own lab: anybody may bind a name.
fn connect(name: &str) -> anyhow::Result<(UnixStream, i32)> {
    let address = SocketAddr::from_abstract_name(socket_name(name))?;
    let stream = UnixStream::connect_addr(&address)
        .with_context(|| format!("no lab named {name:?} runs (start one with `up`)"))?;
    let peer = getsockopt(&stream, PeerCredentials).context("could not tell whose lab it is")?;
    if peer.uid() != geteuid().as_raw() {
        bail!(
            "the lab named {name:?} belongs to user {}, not to you",
            peer.uid()
        );
    }
    stream.set_read_timeout(Some(ANSWER))?;
    stream.set_write_timeout(Some(ANSWER))?;
    Ok((stream, peer.pid()))
}

fn call(name: &str, request: &Request) -> anyhow::Result<(Reply, i32)> {
    let (mut stream, pid) = connect(name)?;
    let mut line = serde_json::to_string(request)?;
    line.push('\n');
    stream
        .write_all(line.as_bytes())
        .context("could not ask the lab")?;
    let mut answer = String::new();
    BufReader::new(stream.take(LINE))
        .read_line(&mut answer)
        .context("the lab did not answer")?;
    let reply = serde_json::from_str(&answer)
        .context("the lab's answer was not understood: is it of another version?")?;
    Ok((reply, pid))
}

/// The worker's process and setup of a running lab.
pub(crate) fn hello(name: &str) -> anyhow::Result<(i32, Setup)> {
    match call(name, &Request::Hello)? {
        (Reply::Hello(setup), pid) => Ok((pid, *setup)),
        (Reply::Refused(reason), _) => Err(anyhow!(reason)),
        (Reply::Done(_), _) => Err(anyhow!("the lab answered something else than was asked")),
    }
}

/// Asks, and prints what the lab did.
pub(crate) fn ask(name: &str, request: &Request) -> anyhow::Result<ExitCode> {
    match call(name, request)?.0 {
        Reply::Done(lines) => {
            terminal::say(&lines.join("\n"));
            Ok(ExitCode::SUCCESS)
        }
        Reply::Refused(reason) => Err(anyhow!(reason)),
        Reply::Hello(_) => Err(anyhow!("the lab answered something else than was asked")),
    }
}

/// Takes the lab's name. Whoever asks before the lab is ready waits.
pub(crate) fn listen(setup: &Setup) -> anyhow::Result<tokio::net::UnixListener> {
    let address = SocketAddr::from_abstract_name(&setup.socket)?;
    let listener = UnixListener::bind_addr(&address).map_err(|error| match error.kind() {
        std::io::ErrorKind::AddrInUse => anyhow!(
            "a lab named {:?} already runs; end it, or choose another --name",
            setup.name
        ),
        _ => anyhow!("could not listen as {:?}: {error}", setup.name),
    })?;
    listener.set_nonblocking(true)?;
    tokio::net::UnixListener::from_std(listener).context("could not listen")
}

/// Answers until the process ends.
pub(crate) async fn serve(listener: tokio::net::UnixListener, lab: Shared) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let lab = lab.clone();
                tokio::spawn(async move {
                    if let Err(error) = answer(stream, lab).await {
                        tracing::debug!("a request was not answered: {error:#}");
                    }
                });
            }
            Err(error) => {
                tracing::warn!("could not accept a request: {error}");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn answer(stream: tokio::net::UnixStream, lab: Shared) -> anyhow::Result<()> {
    // Mapped to root inside: our own user, whichever that is.
    if stream.peer_cred()?.uid() != geteuid().as_raw() {
        bail!("asked by another user");
    }
    let (read, mut write) = stream.into_split();
    let mut line = String::new();
    let mut reader = tokio::io::BufReader::new(read.take(LINE));
    timeout(Duration::from_secs(5), reader.read_line(&mut line)).await??;
    let reply = match serde_json::from_str(&line) {
        Err(error) => Reply::Refused(format!("the request was not understood: {error}")),
        Ok(Request::Hello) => Reply::Hello(Box::new(lab.lock().await.setup.clone())),
        Ok(request) => match obey(request, &lab).await {
            Ok(lines) => Reply::Done(lines),
            Err(error) => Reply::Refused(format!("{error:#}")),
        },
    };
    let mut line = serde_json::to_string(&reply)?;
    line.push('\n');
    timeout(Duration::from_secs(5), write.write_all(line.as_bytes())).await??;
    Ok(())
}

async fn obey(request: Request, lab: &Shared) -> anyhow::Result<Vec<String>> {
    let mut lab = lab.lock().await;
    match request {
        Request::Hello => Ok(Vec::new()),
        Request::Fault { fault, volume } => lab.fault(&fault, &volume).await.map(|did| vec![did]),
        Request::Expand {
            volume,
            until,
            controller,
            node,
        } => {
            let course = Course {
                controller: controller.parse()?,
                node: node.parse()?,
                ..Course::well(until)
            };
            lab.grow(&volume, &course).await.map(|did| vec![did])
        }
        Request::Cycle { volume, times } => lab.cycle(&volume, times).await.map(|did| vec![did]),
        Request::Manner { of, settings } => lab.behave(&of, &settings).await.map(|did| vec![did]),
        Request::Pod { volume, way } => lab.live(&volume, way).await.map(|did| vec![did]),
        Request::Heal { volume: Some(name) } => lab.heal(&name).await,
        Request::Heal { volume: None } => lab.heal_all().await,
        Request::Stop { what } => lab.stop(&what).await.map(|did| vec![did]),
        Request::Start { what } => lab.start_part(&what).await.map(|did| vec![did]),
    }
}
