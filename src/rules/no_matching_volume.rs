//! `NoMatchingVolume`: a claim waits for a volume that is made by hand, and none fits.

use std::time::Duration;
use crate::binding::{Misfit, Standing, Unbound};
use crate::model::binding::Waiting;
use crate::model::finding::{Object, Problem, Severity, quote};
use crate::model::objects::PersistentVolume;
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
        .next("See which volumes there are.", "kubectl get pv"),
        Standing::NoneFits(misfits) => none_fits(one, misfits),
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

fn none_fits(one: &Waiting, misfits: &[(&PersistentVolume, Misfit)]) -> Problem {
    let claim = &one.claim.claim;
    let wants = one.claim.request.unwrap_or_default();
    let modes = one.claim.access_modes.join(",");
    let named = one.claim.volume.is_some();
    let message = match misfits {
        [] => format!(
            "Claim {claim} waits for a PersistentVolume made by hand, and none is Available."
        ),
        [(volume, misfit)] if named => format!(
            "Claim {claim} names PersistentVolume {}, which cannot be its own: {misfit}.",
            volume.name
        ),
        [(volume, misfit)] => format!(
            "Claim {claim} waits for a PersistentVolume made by hand, and {} does not fit: {misfit}.",
            volume.name
        ),
        [(volume, misfit), rest @ ..] => format!(
            "Claim {claim} waits for a PersistentVolume made by hand, and none of {} fits; the nearest is {}: {misfit}.",
            rest.len() + 1,
            volume.name
        ),
    };
    let mut problem = Problem::new(message).because(
        "asks for",
        format!("{wants}, {modes}"),
        format!("claim {claim}"),
    );
    for (volume, misfit) in misfits.iter().take(SHOWN) {
        problem = problem.because(
            "does not fit",
            misfit.to_string(),
            format!("persistentvolume {}", volume.name),
        );
    }
    if misfits.len() > SHOWN {
        let more = format!("{} more volumes", misfits.len() - SHOWN);
        problem = problem.because("do not fit", more, "persistentvolumes");
    }
    let earlier = misfits.iter().find(|(_, misfit)| {
        matches!(misfit, Misfit::OtherClaim(of) if of.namespace == claim.namespace && of.name == claim.name)
    });
    if let Some((volume, _)) = earlier {
        problem = problem.next(
            format!("PersistentVolume {} still belongs to an earlier claim of this name. If its data is to go on here, let go of that claim.", volume.name),
            format!("kubectl patch pv {} --type=json -p '[{{\"op\":\"remove\",\"path\":\"/spec/claimRef\"}}]'", quote(&volume.name)),
        );
    }
    let related = misfits.iter().take(SHOWN);
    let related = related.map(|(volume, _)| {
        Object::PersistentVolume(volume.name.clone(), volume.uid.clone())
    });
    problem
        .next("See what the volumes offer, and make one that fits.", "kubectl get pv -o wide")
        .related(related.collect())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use expect_test::expect;

    use crate::binding::NO_PROVISIONER;
    use crate::binding::sample::{class, free, waiting};
    use crate::model::facts::ClusterFacts;
    use crate::model::objects::VolumeMode;
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
            other.name = "other".to_owned();
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
    fn of_two_misfits_the_controllers_first_is_named() {
        // A volume that is not Available is none of those that are looked at, unless it names the claim.
        let changes: Vec<Change> = (0..CHANGES.len())
            .filter(|at| *at != 6)
            .map(|at| CHANGES[at])
            .collect();
        for (at, first) in changes.iter().enumerate() {
            for second in &changes[at + 1..] {
                assert_eq!(message(&[*second, *first]), message(&[*first]));
            }
        }
    }

    #[test]
    fn the_nearest_comes_first() {
        let mut further = with(&[CHANGES[8]]);
        Arc::make_mut(&mut further).name = "pv-2".into();
        let volumes = vec![with(&[CHANGES[2]]), further];
        unbound(&RULE, &by_hand(volumes), expect![[r#"
            warning NoMatchingVolume: claim shop/orders-db
              Claim shop/orders-db waits for a PersistentVolume made by hand, and none of 2 fits; the nearest is pv-2: class: it has slow, not fast.
              - asks for: 10Gi, ReadWriteOnce [claim shop/orders-db]
              - does not fit: class: it has slow, not fast [persistentvolume pv-2]
              - does not fit: size: it has 5Gi, less than 10Gi [persistentvolume pv-1]
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
              > See which volumes there are.
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
              > See what the volumes offer, and make one that fits.
                kubectl get pv -o wide
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
