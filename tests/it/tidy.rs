//! The architecture, checked: layers, purity, headers, rules = pages.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use expect_test::expect;

/// Modules by layer; each imports strictly lower layers only.
const LAYERS: &[(&str, u8)] = &[
    ("proto", 0),
    ("model", 0),
    ("causes", 1),
    ("cleanup", 1),
    ("expansion", 1),
    ("health", 1),
    ("join", 1),
    ("mounting", 1),
    ("render", 1),
    ("wire", 1),
    ("fold", 2),
    ("history", 2),
    ("rules", 2),
    ("stages", 2),
    ("csi", 3),
    ("grpc", 3),
    ("kubernetes", 3),
    ("mounts", 3),
    ("program", 3),
    ("runtime", 3),
    ("store", 3),
    ("agent", 4),
    ("cli", 4),
    ("collector", 4),
    // It starts the others, each a process of its own.
    ("lab", 5),
];

/// Layers up to this one are pure.
const PURE: u8 = 2;

/// Foreign crates that only these modules may name.
const FENCED: &[(&str, &[&str])] = &[
    ("kube", &["kubernetes", "lab"]),
    ("k8s_openapi", &["kubernetes", "lab"]),
    ("tonic", &["csi", "grpc", "collector", "lab", "proto"]),
    ("clap", &["agent", "cli", "collector", "lab", "program"]),
    ("rusqlite", &["store"]),
    ("nix", &["mounts", "lab"]),
    ("fuser", &["lab"]),
];

/// Who may name the generated code.
const PROTO_USERS: &[&str] = &["wire", "csi", "grpc", "collector", "lab", "store"];

/// What the pure layers do not do.
const IMPURE: &[&str] = &[
    "std::fs",
    "std::net",
    "std::env",
    "std::thread",
    "tokio::",
    "async fn",
    "tracing::",
];

/// A file whose lines above its tests grow beyond this needs to be two.
const LONGEST_FILE: usize = 450;

/// The headings of every page of the handbook, in order.
const HEADINGS: &[&str] = &[
    "## What it means",
    "## Why it matters",
    "## How it is detected",
    "## How to confirm it by hand",
    "## How to fix it",
    "## When it is wrong",
];

#[test]
fn modules_import_strictly_lower_layers() {
    let faults: Vec<String> = sources("src")
        .iter()
        .flat_map(|(path, text)| wrong_arrows(path, text))
        .collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn a_wrong_arrow_is_seen() {
    let faults = |path: &str, text: &str| wrong_arrows(Path::new(path), text).join("\n");
    expect!["src/rules/x.rs: rules may not import mounts"]
        .assert_eq(&faults("src/rules/x.rs", "use crate::mounts::Prober;"));
    expect!["src/rules/x.rs: rules may not import history"].assert_eq(&faults(
        "src/rules/x.rs",
        "let h = crate::history::History::default();",
    ));
    expect!["src/csi/x.rs: csi may not import mounts"]
        .assert_eq(&faults("src/csi/x.rs", "use crate::mounts::Prober;"));
    expect!["src/model/x.rs: only wire, csi, grpc, collector, lab, store may name proto"]
        .assert_eq(&faults("src/model/x.rs", "use crate::proto::v1;"));
    expect!["src/rules/x.rs: rules is pure and names std::fs"]
        .assert_eq(&faults("src/rules/x.rs", "std::fs::read(path)"));
    expect!["src/cli/x.rs: only kubernetes, lab may name kube"]
        .assert_eq(&faults("src/cli/x.rs", "use kube::Client;"));
    expect!["src/join/x.rs: write one `use crate::module::{…}` a module"]
        .assert_eq(&faults("src/join/x.rs", "use crate::{model, proto};"));
    expect![""].assert_eq(&faults(
        "src/agent/x.rs",
        "use crate::rules;\nuse crate::mounts::Prober;",
    ));
}

fn wrong_arrows(path: &Path, text: &str) -> Vec<String> {
    let Some(module) = module_of(path) else {
        return Vec::new();
    };
    let layer = layer_of(&module)
        .unwrap_or_else(|| panic!("src/{module} is in no layer: add it to LAYERS"));
    let code = without_tests_and_comments(text);
    let mut faults = BTreeSet::new();
    if code.contains("use crate::{") || code.contains("super::super") {
        faults.insert("write one `use crate::module::{…}` a module".to_owned());
    }
    for imported in named_after(&code, "crate::") {
        if imported == module {
            continue;
        }
        match layer_of(&imported) {
            _ if imported == "proto" && !PROTO_USERS.contains(&module.as_str()) => {
                faults.insert(format!("only {} may name proto", PROTO_USERS.join(", ")));
            }
            Some(other) if other >= layer => {
                faults.insert(format!("{module} may not import {imported}"));
            }
            _ => {}
        }
    }
    for (krate, users) in FENCED {
        if names_crate(&code, krate) && !users.contains(&module.as_str()) {
            faults.insert(format!("only {} may name {krate}", users.join(", ")));
        }
    }
    if layer <= PURE && module != "proto" {
        for word in IMPURE.iter().filter(|word| code.contains(**word)) {
            faults.insert(format!("{module} is pure and names {word}"));
        }
    }
    faults
        .into_iter()
        .map(|fault| format!("{}: {fault}", path.display()))
        .collect()
}

/// The first name below `src/`; none for the crate's root and the bins.
fn module_of(path: &Path) -> Option<String> {
    let mut parts = path.iter().skip_while(|part| *part != "src").skip(1);
    let first = parts.next()?.to_str()?;
    (first != "lib.rs" && first != "bin").then(|| first.trim_end_matches(".rs").to_owned())
}

fn layer_of(module: &str) -> Option<u8> {
    LAYERS
        .iter()
        .find(|(name, _)| *name == module)
        .map(|(_, layer)| *layer)
}

/// The identifiers that follow a path prefix.
fn named_after(code: &str, prefix: &str) -> Vec<String> {
    let idents = code.split(prefix).skip(1).map(|rest| {
        rest.chars()
            .take_while(|c| c.is_ascii_alphanumeric() || *c == '_')
            .collect()
    });
    idents.collect()
}

fn names_crate(code: &str, krate: &str) -> bool {
    let path = format!("{krate}::");
    code.match_indices(&path).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        !before.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_' || c == ':')
    })
}

/// Tests stand at the foot of a file and may do what the code above may not.
fn without_tests_and_comments(text: &str) -> String {
    let code = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
    code.lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn pure_modules_deny_what_the_core_may_not_call() {
    for (module, layer) in LAYERS
        .iter()
        .filter(|(module, layer)| *layer <= PURE && *module != "proto")
    {
        let root = root().join("src");
        let Some(text) = [
            root.join(format!("{module}.rs")),
            root.join(module).join("mod.rs"),
        ]
        .iter()
        .find_map(|path| fs::read_to_string(path).ok()) else {
            continue;
        };
        assert!(
            text.contains("#![deny(clippy::disallowed_methods)]"),
            "{module} (layer {layer}) does not deny clippy::disallowed_methods"
        );
    }
}

#[test]
fn every_module_says_what_it_does() {
    for (path, text) in sources("src").iter().chain(&sources("tests")) {
        assert!(
            text.starts_with("//!"),
            "{} has no //! header",
            path.display()
        );
    }
}

#[test]
fn no_file_is_two_rooms() {
    for (path, text) in &sources("src") {
        // A `tests.rs` is the foot of the file beside it.
        if path.ends_with("tests.rs") {
            continue;
        }
        let lines = text.lines().count();
        assert!(
            lines <= LONGEST_FILE,
            "{} has {lines} lines",
            path.display()
        );
    }
}

#[test]
fn nothing_is_left_lying_about() {
    // Written so that this file does not find itself.
    let words = [
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("dbg", "!("),
        concat!("#[ign", "ore"),
    ];
    for (path, text) in sources("src").iter().chain(&sources("tests")) {
        for word in words {
            assert!(!text.contains(word), "{} contains {word}", path.display());
        }
    }
}

#[test]
fn rules_files_and_pages_are_the_same_list() {
    let codes: BTreeSet<String> = csi_doctor::rules::RULES
        .iter()
        .map(|rule| rule.code.to_owned())
        .collect();
    let files: BTreeSet<String> = names_in("src/rules")
        .into_iter()
        .filter(|name| name != "mod")
        .map(|name| camel_case(&name))
        .collect();
    let pages: BTreeSet<String> = names_in("docs/findings").into_iter().collect();
    assert_eq!(
        codes, files,
        "the list in src/rules/mod.rs and the files of src/rules"
    );
    assert_eq!(
        codes, pages,
        "the list in src/rules/mod.rs and the pages of docs/findings"
    );
}

#[test]
fn pages_have_their_headings_and_something_under_each() {
    for rule in csi_doctor::rules::RULES {
        let page = rule.docs;
        assert!(
            page.starts_with(&format!("# {}\n", rule.code)),
            "{}: the title is not the code",
            rule.code
        );
        let found: Vec<&str> = page
            .lines()
            .filter(|line| line.starts_with("## "))
            .collect();
        assert_eq!(found, HEADINGS, "headings of {}", rule.code);
        for section in page.split("\n## ").skip(1) {
            let body: String = section.lines().skip(1).collect();
            assert!(
                !body.trim().is_empty(),
                "{}: nothing under {:?}",
                rule.code,
                section.lines().next()
            );
        }
    }
}

#[test]
fn codes_are_never_renamed_or_reused() {
    let codes: Vec<&str> = csi_doctor::rules::RULES
        .iter()
        .map(|rule| rule.code)
        .collect();
    expect![[r#"
        AttachLimitReached
        ContainerMountStale
        ControllerExpansionFailed
        ControllerExpansionPending
        DeviceMissing
        DeviceNotResized
        DriverNotReady
        DriverNotRegistered
        DriverSlow
        DriverUnreachable
        ExpansionStatusStale
        FilesystemErrors
        FilesystemNearlyFull
        FilesystemNotGrown
        InodesNearlyExhausted
        MountFailed
        MountUnresponsive
        NodeExpansionFailed
        NodeExpansionPending
        NodeSilent
        OrphanedPodVolume
        PodWaitingOnVolume
        ResizerMissing
        SlowOwnershipChange
        StagedDeviceMismatch
        StagedWithoutPod
        StaleMount
        StorageBackendUnhealthy
        UnexpectedReadOnly
        UnmountStuck
        VolumeConditionAbnormal
        VolumeNotMounted"#]]
    .assert_eq(&codes.join("\n"));
    assert!(codes.is_sorted(), "the list is not in alphabetical order");
}

fn camel_case(snake: &str) -> String {
    let capitalise = |word: &str| word[..1].to_uppercase() + &word[1..];
    snake.split('_').map(capitalise).collect()
}

fn names_in(folder: &str) -> Vec<String> {
    let entries = fs::read_dir(root().join(folder)).unwrap();
    entries
        .map(|entry| {
            entry
                .unwrap()
                .path()
                .file_stem()
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned()
        })
        .collect()
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust file below a folder, by its path from the repository's root.
fn sources(folder: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                found.push((path.strip_prefix(root()).unwrap().to_owned(), text));
            }
        }
    }
    found.sort();
    found
}
