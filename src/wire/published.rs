//! Volumes in pods: where, and what containers see of them.

use crate::model::objects::PodState;
use crate::model::observed::{Gap, Listing, Observed, Why};
use crate::model::volume::{Elsewhere, Inside, Published, SubPath};
use crate::proto::v1;
use crate::wire::WireError;
use crate::wire::value::{
    all, gaps, name, nanoseconds, observed, observed_option, optional, path, path_bytes, split,
    split_option, text, timestamp, unsaid, word,
};

impl From<&Published> for v1::Published {
    fn from(published: &Published) -> Self {
        let (state, state_gap) = split(&published.state, |state| pod_state(*state).to_owned());
        let (mount, mount_gap) = split_option(&published.mount, Into::into);
        let (usage, usage_gap) = split(&published.usage, Into::into);
        let (live, live_gap) = split(&published.live, |live| *live);
        let (inside, inside_gap) = split(&published.inside, |inside| {
            inside.iter().map(Into::into).collect()
        });
        let (elsewhere, elsewhere_gap) =
            split_option(&published.elsewhere, |place| v1::Elsewhere {
                process: place.process,
                name: place.name.clone(),
                fs_type: place.fs_type.clone(),
                source: place.source.clone(),
            });
        let (asked_read_only, asked_read_only_gap) =
            split_option(&published.asked_read_only, Clone::clone);
        Self {
            pod: Some((&published.pod).into()),
            state: state.unwrap_or_default(),
            state_gap,
            started_ns: published.started.map(nanoseconds),
            target: path_bytes(&published.target),
            mount,
            mount_gap,
            usage,
            usage_gap,
            asked_read_only,
            asked_read_only_gap,
            sub_paths: published.sub_paths.iter().map(Into::into).collect(),
            device_node: published.device_node,
            live,
            live_gap,
            inside: inside.unwrap_or_default(),
            inside_gap,
            name: String::from(&published.name),
            ended_ns: published.ended.map(nanoseconds),
            stacked: published.stacked,
            events: published.events.items.iter().map(Into::into).collect(),
            event_gaps: published.events.gaps.iter().map(Into::into).collect(),
            health: published.health.iter().map(Into::into).collect(),
            elsewhere,
            elsewhere_gap,
        }
    }
}

impl TryFrom<v1::Published> for Published {
    type Error = WireError;

    fn try_from(published: v1::Published) -> Result<Self, WireError> {
        if published.target.is_empty() {
            return Err(WireError::missing("target"));
        }
        let state = match published.state_gap {
            Some(gap) => Observed::Unknown(gap.into()),
            None => to_pod_state(&published.state),
        };
        Ok(Self {
            pod: published
                .pod
                .ok_or_else(|| WireError::missing("pod"))?
                .into(),
            state,
            started: published.started_ns.map(timestamp),
            target: path(published.target),
            mount: observed_option(optional("mount", published.mount)?, published.mount_gap),
            usage: observed(
                published.usage.map(Into::into),
                published.usage_gap,
                "what the filesystem answers",
            ),
            asked_read_only: observed_option(
                published.asked_read_only.map(text),
                published.asked_read_only_gap,
            ),
            sub_paths: all("sub_paths", published.sub_paths)?,
            device_node: published.device_node,
            live: observed(
                published.live,
                published.live_gap,
                "whether a process of the pod lives",
            ),
            inside: observed(
                Some(all("inside", published.inside)?),
                published.inside_gap,
                "what containers see",
            ),
            name: name(published.name).into(),
            ended: published.ended_ns.map(timestamp),
            stacked: published.stacked,
            events: Listing {
                items: all("events", published.events)?,
                gaps: gaps(published.event_gaps),
            },
            health: published.health.into_iter().map(Into::into).collect(),
            elsewhere: observed_option(
                published.elsewhere.map(|place| Elsewhere {
                    process: place.process,
                    name: text(place.name),
                    fs_type: word(place.fs_type),
                    source: text(place.source),
                }),
                published.elsewhere_gap,
            ),
        })
    }
}

const POD_STATES: [PodState; 4] = [
    PodState::Starting,
    PodState::Running,
    PodState::Ending,
    PodState::Done,
];

fn pod_state(state: PodState) -> &'static str {
    match state {
        PodState::Starting => "Starting",
        PodState::Running => "Running",
        PodState::Ending => "Ending",
        PodState::Done => "Done",
    }
}

fn to_pod_state(given: &str) -> Observed<PodState> {
    match POD_STATES
        .into_iter()
        .find(|state| pod_state(*state) == given)
    {
        Some(state) => Observed::Known(state),
        None if given.is_empty() => Observed::Unknown(unsaid("how far the pod is")),
        None => Observed::Unknown(Gap::new(
            Why::Malformed,
            text(format!("the agent calls the pod {given}")),
        )),
    }
}

impl From<&SubPath> for v1::SubPath {
    fn from(sub_path: &SubPath) -> Self {
        Self {
            container: String::from(&sub_path.container),
            mount: Some((&sub_path.mount).into()),
        }
    }
}

impl TryFrom<v1::SubPath> for SubPath {
    type Error = WireError;

    fn try_from(sub_path: v1::SubPath) -> Result<Self, WireError> {
        Ok(Self {
            container: name(sub_path.container).into(),
            mount: optional("mount", sub_path.mount)?.ok_or_else(|| WireError::missing("mount"))?,
        })
    }
}

impl From<&Inside> for v1::Inside {
    fn from(inside: &Inside) -> Self {
        Self {
            container: String::from(&inside.container),
            process: inside.process,
            path: path_bytes(&inside.path),
            mount: inside.mount.as_ref().map(Into::into),
        }
    }
}

impl TryFrom<v1::Inside> for Inside {
    type Error = WireError;

    fn try_from(inside: v1::Inside) -> Result<Self, WireError> {
        Ok(Self {
            container: name(inside.container).into(),
            process: inside.process,
            path: path(inside.path),
            mount: optional("mount", inside.mount)?,
        })
    }
}
