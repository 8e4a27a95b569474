//! The ways of what was asked for, with what rules and nodes say of each.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::cli::args::FailOn;
use crate::cli::diagnose::object;
use crate::cli::diagnose::source::Source;
use crate::cli::report::has_lasted;
use crate::expansion::Case;
use crate::join;
use crate::model::facts::ClusterFacts;
use crate::model::finding::{NextStep, Object, Problem, RuleVerdicts, Severity};
use crate::model::objects::{Claim, PersistentVolume, Pod, PodState, PodVolumeSource};
use crate::model::observed::Observed;
use crate::model::stage::{MountStage, Stage};
use crate::model::view::{NodeVolume, Story};
use crate::model::volume::Volume;
use crate::model::way::{Followed, Mark, Way};
use crate::render::lists::is_about;
use crate::rules;
use crate::stages::{self, Told};

/// The kubelet's longest back-off between two tries: what one try cures is no finding (`MountFailed`).
const MOUNT_GRACE: Duration = Duration::from_mins(2);

/// Ways that were followed so far.
pub(super) struct Ways<'a> {
    told: Told<'a>,
    facts: ClusterFacts,
    verdicts: Vec<RuleVerdicts>,
    fail_on: FailOn,
    all_stories: &'a [Story],
    pub(super) followed: Vec<Followed>,
    /// What nodes find about it.
    pub(super) stories: Vec<Story>,
    /// Whether something was found that counts.
    pub(super) found: bool,
}

impl<'a> Ways<'a> {
    pub(super) fn of(source: &'a Source, at: Timestamp, fail_on: FailOn) -> Self {
        let facts = join::cluster(&source.objects, &BTreeSet::new(), at);
        let verdicts = rules::diagnose_cluster(&facts);
        let nodes = source.nodes.as_ref();
        Self {
            told: source.told(at),
            verdicts,
            facts,
            fail_on,
            all_stories: nodes.map_or(&[], |nodes| &nodes.stories),
            followed: Vec::new(),
            stories: Vec::new(),
            found: false,
        }
    }

    /// The one thing to do: what is not bound cannot be mounted, what is not mounted cannot grow.
    pub(super) fn next(&self) -> Option<NextStep> {
        let rank = |one: &&Followed| match one.way.steps.first().map(|step| step.stage) {
            Some(Stage::Bind(_)) => 0,
            Some(Stage::Mount(_)) => 1,
            Some(Stage::Expand(_)) | None => 2,
        };
        let with = || self.followed.iter().filter(|one| one.way.next.is_some());
        let first = &with().min_by_key(rank)?.way;
        let mut next = first.next.clone()?;
        if with().any(|one| one.way.object != first.object) {
            next.what = format!("First {}: {}", first.object, next.what);
        }
        Some(next)
    }

    /// A claim: how it is bound, where it is mounted, how it grows.
    pub(super) fn claim(&mut self, claim: &Claim) {
        self.bind(claim);
        self.mounts_of(claim);
        self.expansions(claim, |_| true);
    }

    /// A pod: each of its volumes.
    pub(super) fn pod(&mut self, pod: &Pod) {
        for volume in &pod.volumes {
            if let PodVolumeSource::Claim(name) = &volume.source {
                let objects = self.told.objects;
                let mut claims = objects.claims.items.iter();
                let is_it = |one: &&Arc<Claim>| {
                    one.claim.namespace == pod.pod.namespace && one.claim.name == *name
                };
                let claim = claims.find(is_it);
                if let Some(claim) = claim {
                    self.bind(claim);
                } else {
                    self.absent(pod, name);
                }
                self.mount(pod, volume);
                if let Some(claim) = claim {
                    self.expansions(claim, is_under_way);
                }
            } else {
                self.mount(pod, volume);
            }
        }
    }

    /// A volume: how it stands with its claim, where it is mounted, how it grows.
    pub(super) fn volume(&mut self, volume: &PersistentVolume) {
        let way = stages::volume(&self.told, volume);
        self.push(way, Vec::new());
        let objects = self.told.objects;
        let claims = objects.claims.items.iter();
        let of_it = claims.filter(|one| one.volume.as_ref() == Some(&volume.name));
        for claim in of_it {
            self.mounts_of(claim);
            self.expansions(claim, |_| true);
        }
    }

    /// What a rule says is to be done about an object.
    fn advice(&self, object: &Object) -> Option<NextStep> {
        let mut problems = problems(&self.verdicts, object);
        problems
            .find_map(|(_, problem)| problem.next.first())
            .cloned()
    }

    fn push(&mut self, way: Way, codes: Vec<String>) {
        self.push_settling(way, codes, Vec::new());
    }

    fn push_settling(&mut self, way: Way, codes: Vec<String>, settling: Vec<(String, Duration)>) {
        self.followed.push(Followed {
            way,
            codes,
            settling,
        });
    }

    fn bind(&mut self, claim: &Claim) {
        let mut waiting = self.facts.binding.claims.items.iter();
        let waiting = waiting.find(|one| one.claim.claim == claim.claim);
        let way = match waiting {
            Some(one) => {
                let object = object(claim);
                stages::bind(&self.facts.binding, one, self.advice(&object))
            }
            None => stages::bound(&self.told, claim),
        };
        if waiting.is_some() {
            self.judged(&object(claim), way);
        } else {
            self.push(way, Vec::new());
        }
    }

    /// A claim that a pod names and that is not there.
    fn absent(&mut self, pod: &Pod, name: &str) {
        let mut absent = self.facts.binding.absent.items.iter();
        let is_it = |claim: &crate::model::names::ClaimRef| {
            claim.namespace == pod.pod.namespace && claim.name == name
        };
        let Some(claim) = absent
            .find(|one| is_it(&one.claim))
            .map(|one| one.claim.clone())
        else {
            return;
        };
        let object = Object::Claim(claim);
        let next = self.advice(&object);
        let way = stages::absent(&object, &pod.pod, next);
        self.judged(&object, way);
    }

    fn mounts_of(&mut self, claim: &Claim) {
        let objects = self.told.objects;
        let pods = objects.pods.items.iter().filter(|pod| {
            pod.state != PodState::Done && pod.pod.namespace == claim.claim.namespace
        });
        for pod in pods {
            let volumes = pod.volumes.iter();
            for volume in volumes.filter(|one| one.is_named(&claim.claim.name)) {
                self.mount(pod, volume);
            }
        }
    }

    fn mount(&mut self, pod: &Pod, volume: &crate::model::objects::PodVolume) {
        let (way, page) = stages::mount(&self.told, pod, volume);
        let mut codes: Vec<String> = page.into_iter().map(ToOwned::to_owned).collect();
        let mut counts = false;
        if let Some(node) = &pod.node {
            let (told, some) =
                self.tell(&way.object, node, |stage| matches!(stage, Stage::Mount(_)));
            counts = some;
            for code in told {
                if !codes.contains(&code) {
                    codes.push(code);
                }
            }
        }
        let began = pod.started.or_else(|| pod.terms.as_ref()?.created);
        let age =
            began.and_then(|began| Duration::try_from(self.told.at.duration_since(began)).ok());
        let is_late = age.is_none_or(|age| age >= MOUNT_GRACE);
        // Images are pulled and containers started after all that is storage's.
        let is_ours = way
            .here()
            .is_some_and(|step| step.stage != Stage::Mount(MountStage::PodStarted));
        let way = if (is_late || counts) && is_ours {
            way.overdue()
        } else {
            way
        };
        let is_stuck = way.here().is_some_and(|step| step.mark == Mark::Stuck) && is_ours;
        let counts = is_stuck && self.fail_on.reached_by(Severity::Warning);
        self.found |= counts && is_late;
        let settles = page.filter(|_| counts && !is_late);
        let left = left(MOUNT_GRACE, began, self.told.at);
        let settling = settles.map(|code| (code.to_owned(), left));
        self.push_settling(way, codes, settling.into_iter().collect());
    }

    /// Takes in what nodes find about an object at some steps; gives the codes, and whether any counts.
    fn tell(
        &mut self,
        object: &Object,
        node: &crate::model::names::NodeName,
        is_its: impl Fn(Stage) -> bool,
    ) -> (Vec<String>, bool) {
        let mut codes = Vec::new();
        let mut counts = false;
        for story in self.all_stories {
            let finding = &story.finding;
            if finding.stage.is_some_and(&is_its) && is_about(story, object, node) {
                codes.push(finding.key.code.0.clone());
                counts |= story.counts() && finding.severity > Severity::Info;
                if !self.stories.contains(story) {
                    self.stories.push(story.clone());
                }
            }
        }
        (codes, counts)
    }

    /// The expansions of a claim: as each of its nodes sees it, else by the objects.
    fn expansions(&mut self, claim: &Claim, wanted: impl Fn(&Way) -> bool) {
        let nodes = self.told.nodes.map_or(&[][..], |nodes| nodes.volumes);
        let on_nodes = nodes.iter().filter(|one| is_of(&one.volume, claim));
        let on_nodes: Vec<&NodeVolume> = on_nodes.collect();
        for one in &on_nodes {
            let Some(mut case) = case_of(&one.volume, Some(one), one.observed_at) else {
                continue;
            };
            case.driver = self.told.driver(&one.node, &one.volume.driver);
            let way = stages::expand(&case);
            if wanted(&way) {
                let object = one.volume.object();
                let (codes, counts) = self.tell(&object, &one.node, |stage| {
                    matches!(stage, Stage::Expand(_))
                });
                self.push(if counts { way.overdue() } else { way }, codes);
            }
        }
        if !on_nodes.is_empty() {
            return;
        }
        let volumes = self.facts.volumes.items.iter();
        let of_it = volumes.filter(|volume| is_of(volume, claim));
        let cases = of_it.filter_map(|volume| case_of(volume, None, self.told.at));
        let ways: Vec<Way> = cases.map(|case| stages::expand(&case)).collect();
        for way in ways.into_iter().filter(wanted) {
            self.judged(&object(claim), way);
        }
    }

    /// Takes in what rules say of an object by objects alone, and its way, which is overdue where what they
    /// say has lasted.
    fn judged(&mut self, object: &Object, way: Way) {
        let mut settling = Vec::new();
        let mut codes = Vec::new();
        let mut is_late = false;
        let here = way.here().map(|step| step.stage);
        for (rule, problem) in problems(&self.verdicts, object) {
            codes.push(rule.code.0.clone());
            let severity = problem.severity.unwrap_or(rule.severity);
            let lasts = has_lasted(rule, problem.since, self.told.at);
            self.found |= self.fail_on.reached_by(severity) && lasts;
            if !lasts && self.fail_on.reached_by(severity) {
                let left = left(rule.grace, problem.since, self.told.at);
                settling.push((rule.code.0.clone(), left));
            }
            is_late |= lasts && severity > Severity::Info && is_of_way(rule.stage, here);
        }
        let way = if is_late { way.overdue() } else { way };
        self.push_settling(way, codes, settling);
    }
}

/// How long something still has to last until it counts.
fn left(grace: Duration, since: Option<Timestamp>, at: Timestamp) -> Duration {
    let age = since.and_then(|since| Duration::try_from(at.duration_since(since)).ok());
    grace.saturating_sub(age.unwrap_or_default())
}

/// Whether a rule judges a step of the way that stands here.
fn is_of_way(judges: Option<Stage>, here: Option<Stage>) -> bool {
    judges
        .zip(here)
        .is_some_and(|(one, other)| one.same_way(other))
}

/// Whether somebody asked for more, and it is not done.
fn is_under_way(way: &Way) -> bool {
    way.here().is_some()
}

/// Whether a volume is a claim's, in this life of it.
fn is_of(volume: &Volume, claim: &Claim) -> bool {
    let Some(of) = &volume.claim else {
        return false;
    };
    let (one, other) = (&of.claim, &claim.claim);
    let unknown = one.uid.as_str().is_empty() || other.uid.as_str().is_empty();
    one.namespace == other.namespace && one.name == other.name && (unknown || one.uid == other.uid)
}

/// A volume with claim and PersistentVolume.
fn case_of<'a>(
    volume: &'a Volume,
    node: Option<&'a NodeVolume>,
    observed_at: Timestamp,
) -> Option<Case<'a>> {
    let Observed::Known(Some(persistent)) = &volume.persistent else {
        return None;
    };
    Some(Case {
        node: node.map(|one| &one.node),
        observed_at,
        volume,
        claim: volume.claim.as_ref()?,
        persistent,
        driver: None,
    })
}

/// What rules say of an object.
fn problems<'a>(
    verdicts: &'a [RuleVerdicts],
    object: &'a Object,
) -> impl Iterator<Item = (&'a RuleVerdicts, &'a Problem)> {
    verdicts.iter().flat_map(move |rule| {
        let about = rule.problems.iter();
        about
            .filter(move |(subject, _)| subject.object == *object)
            .map(move |(_, problem)| (rule, problem))
    })
}
