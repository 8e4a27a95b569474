//! The cluster's objects as files, one each, the way `kubectl get -o json`
//! prints them. Readers never see half a file.

use std::path::Path;

use anyhow::{Context, bail};
use k8s_openapi::api::core::v1 as core;
use k8s_openapi::api::storage::v1 as storage;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Writes an object, over an earlier version of itself.
pub(crate) fn write(directory: &Path, object: &Value) -> anyhow::Result<()> {
    let name = file_name(object)?;
    check(object).with_context(|| format!("{name} is no valid object"))?;
    let text = serde_json::to_string_pretty(object)?;
    let temporary = directory.join(format!(".{name}"));
    let path = directory.join(&name);
    std::fs::write(&temporary, text + "\n")
        .and_then(|()| std::fs::rename(&temporary, &path))
        .with_context(|| format!("could not write {}", path.display()))
}

/// Removes an object, as after its deletion.
pub(crate) fn remove(directory: &Path, object: &Value) -> anyhow::Result<()> {
    let path = directory.join(file_name(object)?);
    std::fs::remove_file(&path).with_context(|| format!("could not remove {}", path.display()))
}

fn file_name(object: &Value) -> anyhow::Result<String> {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str);
    let kind = text("/kind").context("an object without a kind")?;
    let name = text("/metadata/name").context("an object without a name")?;
    let kind = kind.to_lowercase();
    Ok(match text("/metadata/namespace") {
        Some(namespace) => format!("{kind}-{namespace}-{name}.json"),
        None => format!("{kind}-{name}.json"),
    })
}

/// An object is written as the text that people know, and must mean the same
/// to the types of the Kubernetes API: a misspelt field does not survive them.
pub(crate) fn check(object: &Value) -> anyhow::Result<()> {
    match object["kind"].as_str().unwrap_or_default() {
        "Node" => survives::<core::Node>(object),
        "Pod" => survives::<core::Pod>(object),
        "PersistentVolumeClaim" => survives::<core::PersistentVolumeClaim>(object),
        "PersistentVolume" => survives::<core::PersistentVolume>(object),
        "Event" => survives::<core::Event>(object),
        "StorageClass" => survives::<storage::StorageClass>(object),
        "CSINode" => survives::<storage::CSINode>(object),
        "CSIDriver" => survives::<storage::CSIDriver>(object),
        "VolumeAttachment" => survives::<storage::VolumeAttachment>(object),
        kind => bail!("a kind that the lab does not write: {kind}"),
    }
}

fn survives<T: DeserializeOwned + Serialize>(object: &Value) -> anyhow::Result<()> {
    let typed: T = serde_json::from_value(object.clone())?;
    let back = serde_json::to_value(&typed)?;
    match difference(object, &back, "") {
        Some(path) => bail!("the field {path} does not exist or has another form"),
        None => Ok(()),
    }
}

/// The first path at which the second value lacks something of the first.
fn difference(wanted: &Value, got: &Value, path: &str) -> Option<String> {
    match (wanted, got) {
        (Value::Object(wanted), Value::Object(got)) => wanted.iter().find_map(|(key, value)| {
            let path = format!("{path}.{key}");
            match got.get(key) {
                Some(got) => difference(value, got, &path),
                // Absent and empty are one in Kubernetes.
                None if value.is_null() => None,
                None => Some(path),
            }
        }),
        (Value::Array(wanted), Value::Array(got)) if wanted.len() == got.len() => wanted
            .iter()
            .zip(got)
            .enumerate()
            .find_map(|(index, (value, got))| difference(value, got, &format!("{path}[{index}]"))),
        _ if wanted == got => None,
        _ => Some(path.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_misspelt_field_is_refused() {
        let object = json!({
            "apiVersion": "storage.k8s.io/v1", "kind": "StorageClass",
            "metadata": {"name": "x"}, "provisioner": "y", "allowVolumeExpansoin": true,
        });
        let error = check(&object).unwrap_err().to_string();
        assert!(error.contains(".allowVolumeExpansoin"), "{error}");
    }

    #[test]
    fn a_file_is_named_by_what_it_holds() {
        let object = json!({"kind": "Pod", "metadata": {"name": "a", "namespace": "b"}});
        assert_eq!(file_name(&object).unwrap(), "pod-b-a.json");
    }
}
