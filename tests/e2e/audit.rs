//! The audit log of the API server: who asked for what, as often as it was asked.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufRead, BufReader};

use serde_json::Value;

use crate::cluster::Cluster;

/// One request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) right: Right,
    pub(crate) uri: String,
    pub(crate) code: u64,
}

/// What a rule of a role grants.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Right {
    pub(crate) group: String,
    pub(crate) resource: String,
    pub(crate) verb: String,
}

impl std::fmt::Display for Right {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let dot = if self.group.is_empty() { "" } else { "." };
        write!(
            f,
            "the verb {} on {}{dot}{}",
            self.verb, self.resource, self.group
        )
    }
}

/// What a service account has asked for so far.
pub(crate) fn requests(cluster: &Cluster, account: &str) -> Vec<Request> {
    let user = format!("system:serviceaccount:csi-doctor:{account}");
    let log = BufReader::new(File::open(cluster.audit_log()).unwrap());
    let lines = log.lines().map(Result::unwrap);
    let events = lines.filter_map(|line| serde_json::from_str::<Value>(&line).ok());
    // A watch is told of twice: when it begins and when it ends.
    let once = |event: &Value| {
        event["stage"] == "ResponseComplete" && event["verb"] != "watch"
            || event["stage"] == "ResponseStarted"
            || event["stage"] == "ResponseComplete"
                && event["responseStatus"]["code"].as_u64() >= Some(400)
    };
    let own = events.filter(|event| event["user"]["username"] == user.as_str() && once(event));
    own.map(|event| {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        Request {
            right: Right {
                group: text(&event["objectRef"]["apiGroup"]),
                resource: text(&event["objectRef"]["resource"]),
                verb: text(&event["verb"]),
            },
            uri: text(&event["requestURI"]),
            code: event["responseStatus"]["code"].as_u64().unwrap_or_default(),
        }
    })
    .collect()
}

/// What a cluster role grants.
pub(crate) fn granted(role: &Value) -> BTreeSet<Right> {
    let list = |rule: &Value, field: &str| -> Vec<String> {
        let words = rule[field].as_array().into_iter().flatten();
        words
            .map(|word| word.as_str().unwrap().to_owned())
            .collect()
    };
    let mut rights = BTreeSet::new();
    for rule in role["rules"].as_array().unwrap() {
        for group in list(rule, "apiGroups") {
            for resource in list(rule, "resources") {
                for verb in list(rule, "verbs") {
                    rights.insert(Right {
                        group: group.clone(),
                        resource: resource.clone(),
                        verb,
                    });
                }
            }
        }
    }
    rights
}
