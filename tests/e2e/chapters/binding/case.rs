//! One claim and one volume that does not fit.

use std::cell::Cell;
use std::time::Duration;

use serde_json::{Value, json};

use super::mismatch::Mismatch::{
    self, AccessModes, Attributes, Class, Deleting, Labels, Mode, OtherClaim, Size,
};
use super::mismatch::Relation;
use super::{
    CLAIMS, NAMESPACE, VOLUMES, claim, diagnosed, found_volume, remove, remove_volume, said, touch,
    volume, volume_path,
};
use crate::api::Api;
use crate::until;

/// One claim and one volume.
pub(super) struct Case<'a> {
    api: &'a Api<'a>,
    relation: Relation,
    name: String,
    /// What is wrong with the volume.
    wrong: Vec<Mismatch>,
    touched: Cell<u32>,
}

impl<'a> Case<'a> {
    pub(super) fn make(
        api: &'a Api<'a>,
        number: u32,
        relation: Relation,
        wrong: &[Mismatch],
    ) -> Self {
        let case = Self {
            api,
            relation,
            name: format!("case-{number}"),
            wrong: wrong.to_vec(),
            touched: Cell::new(0),
        };
        case.make_volume();
        let mut claim = claim(&case.name, "");
        claim["spec"]["selector"] = json!({"matchLabels": {"tier": "gold"}});
        if relation == Relation::Named {
            claim["spec"]["volumeName"] = case.name.as_str().into();
        }
        api.create(CLAIMS, &claim);
        case
    }

    fn has(&self, mismatch: Mismatch) -> bool {
        self.wrong.contains(&mismatch)
    }

    fn make_volume(&self) {
        let mut volume = volume(&self.name);
        let spec = &mut volume["spec"];
        if self.has(AccessModes) {
            spec["accessModes"] = json!(["ReadOnlyMany"]);
        }
        if self.has(Size) {
            spec["capacity"]["storage"] = "512Mi".into();
        }
        if self.has(Mode) {
            spec["volumeMode"] = "Block".into();
        }
        if self.has(Attributes) {
            spec["volumeAttributesClassName"] = "silver".into();
        }
        if self.has(Class) {
            spec["storageClassName"] = "another".into();
        }
        if self.has(OtherClaim) {
            spec["claimRef"] = json!({"namespace": NAMESPACE, "name": "somebody"});
        }
        if self.relation == Relation::Reserved {
            spec["claimRef"] = json!({"namespace": NAMESPACE, "name": self.name});
        }
        if self.has(Labels) {
            volume["metadata"]["labels"]["tier"] = "bronze".into();
        }
        if self.has(Deleting) {
            volume["metadata"]["finalizers"] = json!(["example.com/keep"]);
        }
        self.api.create(VOLUMES, &volume);
        if self.has(Deleting) {
            self.api.delete(&volume_path(&self.name));
        }
    }

    /// Sees each named and left, mends it, and sees the claim bound in the end.
    pub(super) fn walk(mut self, wrong: &[Mismatch]) {
        for mismatch in wrong {
            let what = format!(
                "{:?} {wrong:?}: the doctor names {mismatch:?}",
                self.relation
            );
            let words = mismatch.said_by_doctor();
            let told = until(&what, Duration::from_secs(15), || {
                let told = diagnosed(self.api, &self.name);
                let words = format!("{} does not fit: {words}", self.name);
                found_volume(&told).contains(&words).then_some(told)
            });
            assert!(told.to_string().contains("NoMatchingVolume"), "{told:#}");
            self.is_left(*mismatch);
            self.mend(*mismatch);
        }
        self.is_bound();
        remove(self.api, &self.name);
    }

    /// The controller has looked, now that all is as it is, and the claim does not bind.
    fn is_left(&self, mismatch: Mismatch) {
        let words = match self.relation {
            Relation::Named => mismatch.said_by_controller(),
            _ => "no persistent volumes available for this claim and no storage class is set",
        };
        let before = self.said(words);
        self.touch();
        let what = format!(
            "{} of {:?}: the controller says {words}",
            self.name, self.wrong
        );
        until(&what, Duration::from_secs(30), || {
            (self.said(words) > before).then_some(())
        });
        assert_eq!(self.touch()["status"]["phase"], "Pending", "{mismatch:?}");
    }

    fn mend(&mut self, mismatch: Mismatch) {
        self.wrong.retain(|one| *one != mismatch);
        if let Some(patch) = mismatch.mended() {
            let patched = self.api.patch(&volume_path(&self.name), &patch);
            assert!(patched.is_some(), "no volume {}", self.name);
        } else {
            remove_volume(self.api, &self.name);
            self.make_volume();
        }
    }

    fn is_bound(&self) {
        let what = format!("{:?}: {} is bound", self.relation, self.name);
        until(&what, Duration::from_secs(40), || {
            (self.touch()["status"]["phase"] == "Bound").then_some(())
        });
        let told = diagnosed(self.api, &self.name);
        assert!(!told.to_string().contains("NoMatchingVolume"), "{told:#}");
    }

    /// Has the controller look at the claim; gives it as it is.
    fn touch(&self) -> Value {
        self.touched.set(self.touched.get() + 1);
        touch(self.api, &self.name, self.touched.get())
    }

    /// How often the controller has said this of the claim.
    fn said(&self, words: &str) -> u64 {
        said(self.api, &self.name, words)
    }
}
