//! `NoMatchingVolume`: a claim waits for a volume that is made by hand, and none fits.

use std::time::Duration;
use crate::binding::{Standing, Unbound, Unfit};
use crate::model::binding::Waiting;
use crate::model::finding::{Object, Problem, Severity, quote};
use crate::model::names::ClaimRef;
use crate::model::stage::{BindStage, Stage};
use crate::rules::{Check, Rule, Verdicts};

pub(super) static RULE: Rule = Rule {
    code: "NoMatchingVolume",
    severity: Severity::Warning,
    stage: Some(Stage::Bind(BindStage::VolumeFound)),
    // Volume and claim of one manifest are made in any order; the controller looks every 15 seconds.
    grace: Duration::from_mins(1),
    summary: "claims wait for a volume that fits",
    docs: include_str!("../../docs/findings/NoMatchingVolume.md"),
    check: Check::Binding(check),
};

/// So many volumes are told with what does not fit; the nearest come first.
const SHOWN: usize = 10;

fn check(unbound: &Unbound<'_>, verdicts: &mut Verdicts) {
    let one = unbound.one;
    let claim = &one.claim.claim;
    let problem = match &unbound.standing {
        Standing::NoSuchVolume(name) => Problem::new(format!(
            "Claim {claim} names PersistentVolume {name}, which does not exist: it waits for that one alone, and Kubernetes says nothing of it."
        ))
        .because("spec.volumeName", *name, format!("claim {claim}"))
        .because("volume", "not there", format!("persistentvolume {name}"))
        .next(
            "See whether another name was meant. What a claim names cannot be changed: make that volume, or the claim anew.",
            "kubectl get pv",
        ),
        Standing::NoneFits(unfit) => none_fits(one, unfit),
        _ => return verdicts.ok(one.subject()),
    };
    let problem = problem.since(unbound.created()).next(
        "Compare with what the claim asks for.",
        format!(
            "kubectl get pvc -n {} {} -o yaml",
            quote(&claim.namespace),
            quote(&claim.name)
        ),
    );
    verdicts.problem(one.subject(), problem);
}

fn none_fits(one: &Waiting, unfit: &[Unfit<'_>]) -> Problem {
    let claim = &one.claim.claim;
    let wants = one.claim.request.unwrap_or_default();
    let modes = one.claim.access_modes.join(",");
    let mut problem = Problem::new(message(one, unfit)).because(
        "asks for",
        format!("{wants}, {modes}"),
        format!("claim {claim}"),
    );
    for one in unfit.iter().take(SHOWN) {
        problem = problem.because(
            "does not fit",
            one.to_string(),
            format!("persistentvolume {}", one.volume.name),
        );
    }
    if unfit.len() > SHOWN {
        let more = format!("{} more volumes", unfit.len() - SHOWN);
        problem = problem.because("do not fit", more, "persistentvolumes");
    }
    let related = unfit.iter().take(SHOWN).map(|one| {
        Object::PersistentVolume(one.volume.name.clone(), one.volume.uid.clone())
    });
    with_steps(problem, one, unfit).related(related.collect())
}

fn message(one: &Waiting, unfit: &[Unfit<'_>]) -> String {
    let claim = &one.claim.claim;
    match unfit {
        [] => format!(
            "Claim {claim} waits for a PersistentVolume made by hand, and none is Available."
        ),
        [one_of] if one.claim.volume.is_some() => format!(
            "Claim {claim} names PersistentVolume {}, which cannot be its own: {one_of}.",
            one_of.volume.name
        ),
        [one_of] => format!(
            "Claim {claim} waits for a PersistentVolume made by hand, and {} does not fit: {one_of}.",
            one_of.volume.name
        ),
        [nearest, ..] => format!(
            "Claim {claim} waits for a PersistentVolume made by hand, and none of {} fits; the nearest is {}: {nearest}.",
            unfit.len(),
            nearest.volume.name
        ),
    }
}

fn with_steps(problem: Problem, one: &Waiting, unfit: &[Unfit<'_>]) -> Problem {
    let claim = &one.claim.claim;
    let is_of_this_name =
        |of: &&ClaimRef| of.namespace == claim.namespace && of.name == claim.name;
    let is_earlier = |one: &&Unfit<'_>| one.taken_by().is_some_and(|of| is_of_this_name(&of));
    if let Some(earlier) = unfit.iter().find(is_earlier) {
        let volume = &earlier.volume.name;
        return problem.next(
            format!("PersistentVolume {volume} still belongs to an earlier claim of this name. If its data is to go on here, let go of that claim."),
            format!("kubectl patch pv {} --type=json -p '[{{\"op\":\"remove\",\"path\":\"/spec/claimRef\"}}]'", quote(volume)),
        ).next("See what the volumes offer, and make one that fits.", "kubectl get pv -o wide");
    }
    match unfit {
        [named] if one.claim.volume.is_some() => match named.taken_by() {
            Some(other) => problem.next(
                format!("PersistentVolume {} is for claim {other}. What a claim names cannot be changed: make it anew with another volume's name, or with none.", named.volume.name),
                format!("kubectl describe pv {}", quote(&named.volume.name)),
            ),
            None => problem.next(
                "What a claim names cannot be changed: correct the volume, or make the claim anew.",
                format!("kubectl describe pv {}", quote(&named.volume.name)),
            ),
        },
        _ => problem.next("See what the volumes offer, and make one that fits.", "kubectl get pv -o wide"),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use expect_test::expect;

    use crate::binding::NO_PROVISIONER;
    use crate::binding::sample::{class, free, waiting};
    use crate::model::facts::ClusterFacts;
    use crate::model::objects::{PersistentVolume, VolumeMode};
    use crate::model::observed::{Gap, Observed, Why};
    use crate::model::sizes::Bytes;
    use crate::model::terms::{Requirement, VolumeTerms};
    use crate::rules::tests::{on_cluster, unbound};

    use super::*;

    /// A change that makes a volume no longer fit.
    type Change = fn(&mut PersistentVolume, &mut VolumeTerms);

    /// In the order in which the controller looks.
    const CHANGES: [Change; 9] = [
        |volume, _| volume.access_modes = vec!["ReadOnlyMany".to_owned()],
        |volume, _| {
            let mut other = crate::model::sample::claim_ref();
            other.name = "other".into();
            volume.claim = Some(other);
        },
        |volume, _| volume.capacity = Some(Bytes(5 << 30)),
        |volume, _| volume.mode = VolumeMode::Block,
        |_, terms| terms.attributes_class = Some("gold".to_owned()),
        |_, terms| terms.deleting = true,
        |_, terms| "Released".clone_into(&mut terms.phase),
        |_, terms| drop(terms.labels.remove("disk")),
        |_, terms| "slow".clone_into(&mut terms.class),
    ];

    fn by_hand(volumes: Vec<Arc<PersistentVolume>>) -> ClusterFacts {
        waiting(|_, terms, binding| {
            binding.classes.items = vec![class("fast", NO_PROVISIONER, false)];
            terms.selector = Some(vec![Requirement {
                key: "disk".to_owned(),
                operator: "In".to_owned(),
                values: vec!["ssd".to_owned()],
            }]);
            binding.free.items = volumes;
        })
    }

    fn with(changes: &[Change]) -> Arc<PersistentVolume> {
        free("pv-1", |volume, terms| {
            terms.labels.insert("disk".to_owned(), "ssd".to_owned());
            for change in changes {
                change(volume, terms);
            }
        })
    }

    fn message(changes: &[Change]) -> String {
        let verdicts = on_cluster(&RULE, &by_hand(vec![with(changes)]));
        let problem = verdicts.problems.first();
        problem.map_or_else(|| "ok".to_owned(), |(_, problem)| problem.message.clone())
    }

    #[test]
    fn a_volume_that_fits_is_about_to_be_bound() {
        assert_eq!(message(&[]), "ok");
    }

    #[test]
    fn each_misfit_alone_is_named() {
        let messages: Vec<String> = CHANGES
            .iter()
            .filter(|change| **change as usize != CHANGES[6] as usize)
            .map(|change| message(&[*change]).split(" does not fit: ").last().unwrap().to_owned())
            .collect();
        expect![[r#"
            access modes: it offers ReadOnlyMany, not all of ReadWriteOnce.
            it is for claim shop/other with UID claim-uid-11.
            size: it has 5Gi, less than 10Gi.
            volume mode: it is Block, not Filesystem.
            volumeattributesclass: it has gold, not none.
            it is being deleted.
            labels: the claim asks for disk=ssd.
            class: it has slow, not fast."#]].assert_eq(&messages.join("\n"));
    }

    #[test]
    fn of_two_misfits_the_controllers_first_is_named_first() {
        // A volume that is not Available is none of those that are looked at, unless it names the claim.
        let changes: Vec<Change> = (0..CHANGES.len())
            .filter(|at| *at != 6)
            .map(|at| CHANGES[at])
            .collect();
        for (at, first) in changes.iter().enumerate() {
            for second in &changes[at + 1..] {
                let both = message(&[*second, *first]);
                let alone = message(&[*first]);
                assert!(both.starts_with(alone.trim_end_matches('.')), "{both}");
                let other = message(&[*second]);
                let other = other.split(" does not fit: ").last().unwrap();
                assert!(both.ends_with(&format!("; {other}")), "{both}");
            }
        }
    }

    fn called(name: &str, mut volume: Arc<PersistentVolume>) -> Arc<PersistentVolume> {
        Arc::make_mut(&mut volume).name = name.into();
        volume
    }

    #[test]
    fn the_nearest_comes_first_and_other_classes_are_not_meant() {
        let volumes = vec![
            with(&[CHANGES[2], CHANGES[3]]),
            called("pv-2", with(&[CHANGES[8]])),
            called("pv-3", with(&[CHANGES[0]])),
        ];
        unbound(&RULE, &by_hand(volumes), expect![[r#"
            warning NoMatchingVolume: claim shop/orders-db
              Claim shop/orders-db waits for a PersistentVolume made by hand, and none of 2 fits; the nearest is pv-3: access modes: it offers ReadOnlyMany, not all of ReadWriteOnce.
              - asks for: 10Gi, ReadWriteOnce [claim shop/orders-db]
              - does not fit: access modes: it offers ReadOnlyMany, not all of ReadWriteOnce [persistentvolume pv-3]
              - does not fit: size: it has 5Gi, less than 10Gi; volume mode: it is Block, not Filesystem [persistentvolume pv-1]
              > See what the volumes offer, and make one that fits.
                kubectl get pv -o wide
              > Compare with what the claim asks for.
                kubectl get pvc -n shop orders-db -o yaml
        "#]]);
    }

    #[test]
    fn no_volume_at_all_is_a_problem() {
        unbound(&RULE, &by_hand(Vec::new()), expect![[r#"
            warning NoMatchingVolume: claim shop/orders-db
              Claim shop/orders-db waits for a PersistentVolume made by hand, and none is Available.
              - asks for: 10Gi, ReadWriteOnce [claim shop/orders-db]
              > See what the volumes offer, and make one that fits.
                kubectl get pv -o wide
              > Compare with what the claim asks for.
                kubectl get pvc -n shop orders-db -o yaml
        "#]]);
    }

    #[test]
    fn a_volume_of_an_earlier_life_is_pointed_at() {
        let mut volume = with(&[CHANGES[6]]);
        let mut earlier = crate::model::sample::claim_ref();
        earlier.uid = "earlier".into();
        Arc::make_mut(&mut volume).claim = Some(earlier);
        unbound(&RULE, &by_hand(vec![volume]), expect![[r#"
            warning NoMatchingVolume: claim shop/orders-db
              Claim shop/orders-db waits for a PersistentVolume made by hand, and pv-1 does not fit: it is for claim shop/orders-db with UID earlier.
              - asks for: 10Gi, ReadWriteOnce [claim shop/orders-db]
              - does not fit: it is for claim shop/orders-db with UID earlier [persistentvolume pv-1]
              > PersistentVolume pv-1 still belongs to an earlier claim of this name. If its data is to go on here, let go of that claim.
                kubectl patch pv pv-1 --type=json -p '[{"op":"remove","path":"/spec/claimRef"}]'
              > See what the volumes offer, and make one that fits.
                kubectl get pv -o wide
              > Compare with what the claim asks for.
                kubectl get pvc -n shop orders-db -o yaml
        "#]]);
    }

    #[test]
    fn a_named_volume_that_is_not_there_is_a_problem() {
        let facts = waiting(|one, _, _| Arc::make_mut(&mut one.claim).volume = Some("pv-9".into()));
        unbound(&RULE, &facts, expect![[r#"
            warning NoMatchingVolume: claim shop/orders-db
              Claim shop/orders-db names PersistentVolume pv-9, which does not exist: it waits for that one alone, and Kubernetes says nothing of it.
              - spec.volumeName: pv-9 [claim shop/orders-db]
              - volume: not there [persistentvolume pv-9]
              > See whether another name was meant. What a claim names cannot be changed: make that volume, or the claim anew.
                kubectl get pv
              > Compare with what the claim asks for.
                kubectl get pvc -n shop orders-db -o yaml
        "#]]);
    }

    #[test]
    fn a_named_volume_that_does_not_fit_is_a_problem() {
        let facts = waiting(|one, _, _| {
            Arc::make_mut(&mut one.claim).volume = Some("pv-1".into());
            one.named = Observed::Known(Some(with(&[CHANGES[8]])));
        });
        unbound(&RULE, &facts, expect![[r#"
            warning NoMatchingVolume: claim shop/orders-db
              Claim shop/orders-db names PersistentVolume pv-1, which cannot be its own: class: it has slow, not fast.
              - asks for: 10Gi, ReadWriteOnce [claim shop/orders-db]
              - does not fit: class: it has slow, not fast [persistentvolume pv-1]
              > What a claim names cannot be changed: correct the volume, or make the claim anew.
                kubectl describe pv pv-1
              > Compare with what the claim asks for.
                kubectl get pvc -n shop orders-db -o yaml
        "#]]);
    }

    #[test]
    fn volumes_that_were_not_listed_are_unknown() {
        let mut facts = by_hand(Vec::new());
        facts.binding.free.gaps = vec![Gap::new(Why::Denied, "list persistentvolumes")];
        unbound(&RULE, &facts, expect![[r#"
            unknown NoMatchingVolume: claim shop/orders-db: list persistentvolumes (Denied)
        "#]]);
    }

    #[test]
    fn a_provisioner_makes_what_is_not_there() {
        unbound(&RULE, &waiting(|_, _, _| {}), expect![[r#"
            1 ok
        "#]]);
    }
}
