//! The demo: a healthy node, faults one after another, and what the doctor
//! says, all by its own programs.

use std::collections::BTreeSet;
use std::process::{ExitCode, Stdio};
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use serde_json::Value;
use tokio::process::Command;
use tokio::time::{Instant, sleep, timeout};

use crate::lab::faults::FAULTS;
use crate::lab::laboratory::{Lab, Shared};
use crate::lab::site::{Program, Setup};
use crate::lab::terminal::{complain, say};

/// How long the doctor may take to see the healthy node, or all faults: the
/// longest grace and some intervals, scaled as they are, and time to start.
fn patience(setup: &Setup) -> Duration {
    Duration::from_secs(400).mul_f64(setup.scale) + Duration::from_secs(20)
}

/// One call of the command line.
const CALL: Duration = Duration::from_secs(10);

/// The doctor's own processes here.
const DOCTOR: [&str; 2] = ["collector", "agent"];

const PAUSE: Duration = Duration::from_millis(300);

/// Leads through the demo.
pub(crate) async fn run(lab: &Shared) -> anyhow::Result<ExitCode> {
    let setup = lab.lock().await.setup.clone();
    let volumes = lab.lock().await.covered();
    wait_for_health(lab, &setup, volumes).await?;
    heading("The healthy node");
    show(&setup, &["status"]).await?;

    heading("Now it falls ill; each of these was done for real");
    let (expected, skipped) = make_faults(lab).await?;
    say("");
    say(
        "The doctor has not been told. A problem counts when it has lasted; these are open after:\n",
    );
    let missing = wait_for_findings(lab, &setup, &expected).await?;

    heading("What the doctor found");
    show(&setup, &["get", "findings", "-A"]).await?;
    heading("One of them in full");
    show(&setup, &["describe", "volume", "orders-db"]).await?;
    heading("The sizes of a volume whose expansion went wrong, from request to filesystem");
    show(&setup, &["describe", "volume", "session-store"]).await?;
    for (name, reason) in &skipped {
        say(&format!("Not made here: {name} ({reason})."));
    }
    if missing.is_empty() {
        say(&farewell(&setup, expected.len(), skipped.is_empty()));
        return Ok(ExitCode::SUCCESS);
    }
    let list: Vec<&str> = missing.into_iter().collect();
    complain(&format!(
        "csi-doctor-lab: the doctor did not find {} within {} s of the faults",
        list.join(", "),
        patience(&setup).as_secs()
    ));
    for name in DOCTOR {
        complain(&last_words(&setup, name));
    }
    Ok(ExitCode::FAILURE)
}

/// The end of a process's log, which is gone with the lab.
fn last_words(setup: &Setup, name: &str) -> String {
    let log = std::fs::read_to_string(setup.log().join(format!("{name}.log"))).unwrap_or_default();
    let lines: Vec<&str> = log.lines().collect();
    let last = &lines[lines.len().saturating_sub(10)..];
    last.iter()
        .fold(format!("{name} said last:"), |text, line| {
            text + "\n  " + line
        })
}

/// Nothing will come of waiting where a part of the doctor has ended.
async fn check_doctor(lab: &Shared, setup: &Setup) -> anyhow::Result<()> {
    let lab = lab.lock().await;
    for name in DOCTOR {
        if lab.processes.pid(name).is_none() {
            bail!("the {name} has ended; {}", last_words(setup, name));
        }
    }
    Ok(())
}

fn heading(text: &str) {
    say(&format!("\n── {text}\n"));
}

fn farewell(setup: &Setup, found: usize, complete: bool) -> String {
    let call = &setup.invocation;
    let all = if complete { "all " } else { "the " };
    format!(
        "\nFound {all}{found} faults that were made. Everything of this node is gone when this ends. To go on exploring:\n\n  \
         {call} up                                                a healthy node that stays\n  \
         {call} fault read-only orders-db                         from another terminal\n  \
         {call} exec -- kubectl-csi_doctor get findings -A\n  \
         {call} exec -- kubectl-csi_doctor explain UnexpectedReadOnly\n  \
         {call} heal"
    )
}

/// Makes every fault that this machine allows. Returns the codes to expect and
/// the faults that could not be made.
async fn make_faults(
    lab: &Shared,
) -> anyhow::Result<(BTreeSet<&'static str>, Vec<(&'static str, String)>)> {
    let mut lab = lab.lock().await;
    let (mut expected, mut skipped) = (BTreeSet::new(), Vec::new());
    for entry in &FAULTS {
        if let Some(reason) = not_here(&lab, entry.example) {
            skipped.push((entry.name, reason));
            continue;
        }
        let did = lab
            .fault(entry.name, entry.example)
            .await
            .with_context(|| format!("could not make the fault {}", entry.name))?;
        say(&format!("  {:<14} {:<15} {did}", entry.example, entry.name));
        expected.insert(entry.code);
    }
    Ok((expected, skipped))
}

fn not_here(lab: &Lab, claim: &str) -> Option<String> {
    lab.missing
        .iter()
        .find(|(name, _)| *name == claim)
        .map(|(_, reason)| reason.clone())
}

async fn wait_for_health(lab: &Shared, setup: &Setup, volumes: usize) -> anyhow::Result<()> {
    let end = Instant::now() + patience(setup);
    loop {
        check_doctor(lab, setup).await?;
        let answer = json(setup, &["get", "volumes", "-A", "-o", "json"]).await;
        let seen = answer.map(|list| items(&list).len());
        if seen.as_ref().is_ok_and(|seen| *seen >= volumes) {
            return Ok(());
        }
        if Instant::now() > end {
            let why = match seen {
                Ok(seen) => anyhow!("it knows {seen} of {volumes} volumes"),
                Err(error) => error,
            };
            return Err(why.context("the doctor did not come to know the healthy node"));
        }
        sleep(PAUSE).await;
    }
}

/// Waits until all expected codes are open; returns those that are not.
async fn wait_for_findings(
    lab: &Shared,
    setup: &Setup,
    expected: &BTreeSet<&'static str>,
) -> anyhow::Result<BTreeSet<&'static str>> {
    let start = Instant::now();
    let mut missing = expected.clone();
    loop {
        check_doctor(lab, setup).await?;
        let list = json(setup, &["get", "findings", "-A", "-o", "json"]).await?;
        let open: BTreeSet<&str> = items(&list)
            .iter()
            .filter(|finding| finding["state"] == "open")
            .filter_map(|finding| finding["code"].as_str())
            .collect();
        for code in missing.iter().filter(|code| open.contains(*code)) {
            say(&format!("  {:>3} s  {code}", start.elapsed().as_secs()));
        }
        missing.retain(|code| !open.contains(code));
        if missing.is_empty() || start.elapsed() > patience(setup) {
            return Ok(missing);
        }
        sleep(PAUSE).await;
    }
}

fn items(list: &Value) -> &[Value] {
    list["items"].as_array().map_or(&[], Vec::as_slice)
}

fn command_line(setup: &Setup, arguments: &[&str]) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command
        .arg0(Program::CommandLine.name())
        .args(["--collector", &setup.collector()])
        .args(arguments)
        .stdin(Stdio::null())
        .kill_on_drop(true);
    command
}

/// Shows a command and lets it print for itself.
async fn show(setup: &Setup, arguments: &[&str]) -> anyhow::Result<()> {
    say(&format!("$ kubectl csi-doctor {}\n", arguments.join(" ")));
    let status = timeout(CALL, command_line(setup, arguments).status())
        .await
        .context("the command line did not end")??;
    // 1 says that there are findings.
    match status.code() {
        Some(0 | 1) => Ok(()),
        _ => Err(anyhow!(
            "`kubectl csi-doctor {}` ended with {status}",
            arguments.join(" ")
        )),
    }
}

async fn json(setup: &Setup, arguments: &[&str]) -> anyhow::Result<Value> {
    let output = timeout(CALL, command_line(setup, arguments).output())
        .await
        .context("the command line did not end")??;
    if !matches!(output.status.code(), Some(0 | 1)) {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(anyhow!(
            "`kubectl csi-doctor {}` ended with {}: {}",
            arguments.join(" "),
            output.status,
            said.trim()
        ));
    }
    serde_json::from_slice(&output.stdout).with_context(|| {
        format!(
            "`kubectl csi-doctor {}` printed no JSON",
            arguments.join(" ")
        )
    })
}
