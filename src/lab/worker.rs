//! The process that does the lab's work, inside the namespaces: it brings the
//! node up, then answers requests, or leads through the demo.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use tokio::sync::Mutex;

use crate::lab::laboratory::Lab;
use crate::lab::site::{Setup, Task};
use crate::lab::volumes::{Use, Volume, quantity};
use crate::lab::{control, demo, terminal};

/// Runs until the namespaces end, or the demo does.
pub(crate) fn run(setup: Setup) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("could not start the runtime")?;
    let result = runtime.block_on(work(setup));
    // A thread may be stuck in a filesystem that does not answer.
    runtime.shutdown_background();
    result
}

async fn work(setup: Setup) -> anyhow::Result<ExitCode> {
    let listener = control::listen(&setup)?;
    let task = setup.task;
    let lab = Lab::start(setup).await?;
    let introduction = introduction(&lab);
    let lab = Arc::new(Mutex::new(lab));
    let service = control::serve(listener, Arc::clone(&lab));
    terminal::say(&introduction);
    match task {
        Task::Up => {
            terminal::say(&advice(&*lab.lock().await));
            service.await;
            Ok(ExitCode::SUCCESS)
        }
        Task::Demo => {
            tokio::select! {
                result = demo::run(&lab) => result,
                () = service => Ok(ExitCode::FAILURE),
            }
        }
    }
}

/// Who brings a volume to its pod.
fn by(volume: &Volume) -> &'static str {
    match volume.used {
        Use::InTree => "the kubelet's own NFS plugin",
        _ => volume.driver.name,
    }
}

/// What is special about how pods use a volume.
fn manner(volume: &Volume) -> &'static str {
    match volume.used {
        Use::Alone if volume.read_only => ", read-only in its pod",
        Use::Alone => "",
        Use::SubPath => ", a single directory of it in its pod",
        Use::ReadOnlyMany => ", for readers only",
        Use::Shared => ", in two pods",
        Use::Inline => ", without a claim",
        Use::InTree => ", which is not covered",
    }
}

/// What was made, and how its times compare to ordinary ones.
fn introduction(lab: &Lab) -> String {
    let setup = &lab.setup;
    let mut lines = vec![
        format!(
            "A storage node of its own: {} with {} volumes, in namespaces that vanish when this ends.",
            crate::lab::site::NODE,
            lab.volumes.len()
        ),
        String::new(),
    ];
    for volume in &lab.volumes {
        let device = match volume.kind {
            kind if kind.has_device() => " on a loop device",
            _ => "",
        };
        lines.push(format!(
            "  {:<14} {:>6} {}{device}, {}{}",
            volume.claim,
            quantity(volume.capacity),
            volume.kind.fs_type(),
            by(volume),
            manner(volume),
        ));
    }
    for (claim, reason) in &lab.missing {
        lines.push(format!("  {claim:<14} not made: {reason}"));
    }
    if setup.doctor {
        lines.push(String::new());
        lines.push(format!(
            "The ordinary intervals and graces times {}: the agent looks every {} instead of every 30s.",
            setup.scale,
            setup.interval_text(),
        ));
    }
    lines.join("\n")
}

/// What a person can try on a lab that stays.
fn advice(lab: &Lab) -> String {
    let setup = &lab.setup;
    let name = if setup.name == "lab" {
        String::new()
    } else {
        format!(" --name {}", setup.name)
    };
    let call = |command: &str, rest: &str| format!("  {} {command}{name} {rest}", setup.invocation);
    let mut lines = vec![
        String::new(),
        format!("kubelet directory  {}", setup.kubelet().display()),
        format!("manifests          {}", setup.manifests().display()),
        format!("logs               {}", setup.log().display()),
    ];
    if setup.doctor {
        lines.push(format!("collector          {}", setup.collector()));
    }
    lines.push("(the directories exist inside only: `exec` leads there)".to_owned());
    lines.push(String::new());
    lines.push("From another terminal:".to_owned());
    lines.push(String::new());
    if setup.doctor {
        lines.push(call("exec", "-- kubectl-csi_doctor get findings -A"));
        lines.push(call(
            "exec",
            "-- kubectl-csi_doctor describe volume orders-db",
        ));
    }
    lines.push(call("exec", "-- csi-doctor-agent scan --once"));
    lines.push(
        call("exec", "-- findmnt -R -o TARGET,FSTYPE,OPTIONS /mnt")
            .replace("/mnt", &setup.base.to_string_lossy()),
    );
    lines.push(call("fault", "read-only orders-db"));
    lines.push(call("heal", "orders-db"));
    lines.push(format!("  {} faults", setup.invocation));
    lines.push(call(
        "stop",
        "plugin        (or agent, collector; `start` brings it back)",
    ));
    lines.push(String::new());
    lines.push("Ctrl-C ends the lab and everything in it.".to_owned());
    lines.join("\n")
}
