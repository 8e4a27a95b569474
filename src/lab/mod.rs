//! The lab: a storage node without a cluster, with real faults.
//!
//! One machine stands in for a node: real CSI plugins on sockets, a kubelet
//! stand-in that calls them the way the kubelet does, real mounts, and the
//! doctor's own programs beside them. Everything lives in one PID and mount
//! namespace and in one tmpfs, and ends with it.
//!
//! The binary runs itself again for every part: under the doctor's names
//! (`csi-doctor-agent`, …) it is that program, under hidden subcommands it is a
//! part of the lab.

mod args;
mod catalogue;
mod containers;
mod control;
mod demo;
mod enter;
mod expansion;
mod faults;
mod faults_driver;
mod faults_node;
mod faults_pod;
mod fuse;
mod fuse_image;
mod inside;
mod kubelet;
mod laboratory;
mod life;
mod manifests;
mod mounts;
mod namespace;
mod objects;
mod outside;
mod plugin;
mod pods;
mod processes;
mod site;
mod terminal;
mod volumes;
mod worker;

use std::ffi::{CString, OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;

use args::{Args, Command, Hidden};

/// Parses the arguments (program name first) and runs the lab to its end.
pub fn main(args: impl Iterator<Item = OsString>) -> ExitCode {
    let args: Vec<OsString> = args.collect();
    name_process(args.first());
    if let Some(program) = args.first().and_then(|name| site::Program::called(name)) {
        return program.main(args.into_iter());
    }
    let parsed = match Args::try_parse_from(&args) {
        Ok(parsed) => parsed,
        Err(error) => {
            // A closed terminal is no reason to fail differently.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let program = args.first().map_or(OsStr::new("csi-doctor-lab"), |name| {
        Path::new(name).file_name().unwrap_or(name)
    });
    match run(parsed.command, &program.to_string_lossy()) {
        Ok(code) => code,
        Err(error) => {
            terminal::complain(&format!("csi-doctor-lab: {error:#}"));
            ExitCode::from(2)
        }
    }
}

/// Started through `/proc/self/exe` a process is called `exe` in process
/// lists; people look for it by its name.
fn name_process(argv0: Option<&OsString>) {
    let name = argv0.and_then(|argv0| Path::new(argv0).file_name());
    if let Some(name) = name.and_then(|name| CString::new(name.as_bytes()).ok()) {
        // Only a courtesy.
        let _ = nix::sys::prctl::set_name(&name);
    }
}

fn run(command: Command, program: &str) -> anyhow::Result<ExitCode> {
    match command {
        Command::Demo(wanted) => outside::run(&wanted.setup(program)?),
        Command::Up(wanted) => outside::run(&wanted.setup(program)?),
        Command::Exec(wanted) => enter::run(&wanted.lab.name, &wanted.command),
        Command::Fault(wanted) => control::ask(
            &wanted.lab.name,
            &control::Request::Fault {
                fault: wanted.what,
                volume: wanted.volume,
            },
        ),
        Command::Expand(wanted) => control::ask(
            &wanted.lab.name,
            &control::Request::Expand {
                volume: wanted.volume,
                until: wanted.until,
                controller: wanted.controller.to_string(),
                node: wanted.node.to_string(),
            },
        ),
        Command::Cycle(wanted) => control::ask(
            &wanted.lab.name,
            &control::Request::Cycle {
                volume: wanted.volume,
                times: wanted.times,
            },
        ),
        Command::Manner(wanted) => control::ask(
            &wanted.lab.name,
            &control::Request::Manner {
                of: wanted.of,
                settings: wanted.settings,
            },
        ),
        Command::Pod(wanted) => control::ask(
            &wanted.lab.name,
            &control::Request::Pod {
                volume: wanted.volume,
                way: wanted.way,
            },
        ),
        Command::Heal(wanted) => control::ask(
            &wanted.lab.name,
            &control::Request::Heal {
                volume: wanted.volume,
            },
        ),
        Command::Stop(wanted) => control::ask(
            &wanted.lab.name,
            &control::Request::Stop { what: wanted.what },
        ),
        Command::Start(wanted) => control::ask(
            &wanted.lab.name,
            &control::Request::Start { what: wanted.what },
        ),
        Command::Faults => {
            terminal::say(&faults::table());
            Ok(ExitCode::SUCCESS)
        }
        Command::Hidden(Hidden::Inside { setup }) => inside::run(&setup),
        Command::Hidden(Hidden::Worker { setup }) => worker::run(setup),
        Command::Hidden(Hidden::Plugin(wanted)) => plugin::run(wanted),
        Command::Hidden(Hidden::FuseVolume(wanted)) => fuse::run(&wanted),
        Command::Hidden(Hidden::FuseImage(wanted)) => fuse_image::run(&wanted),
        Command::Hidden(Hidden::HoldDevice | Hidden::Kubelet) => Ok(plugin::hold()),
        Command::Hidden(Hidden::Container(wanted)) => containers::run(&wanted),
        Command::Hidden(Hidden::UnmountInside(wanted)) => containers::unmount_inside(&wanted),
    }
}

/// Removes a file, where it is there.
fn remove(path: &Path) -> anyhow::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("could not remove {}", path.display()))
        }
        _ => Ok(()),
    }
}
