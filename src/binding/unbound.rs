//! One claim that is not bound, as rules get it.

use jiff::Timestamp;

use crate::binding::Standing;
use crate::model::binding::Waiting;
use crate::model::facts::ClusterFacts;

/// A claim that is not bound, with what it waits for.
#[derive(Debug)]
pub struct Unbound<'a> {
    /// The cluster that it is in.
    pub facts: &'a ClusterFacts,
    /// The claim.
    pub one: &'a Waiting,
    /// What it waits for.
    pub standing: Standing<'a>,
}

impl Unbound<'_> {
    /// When the claim was made.
    pub fn created(&self) -> Option<Timestamp> {
        let terms = self.one.claim.terms.as_ref();
        terms.and_then(|terms| terms.created)
    }

    /// The names of the classes that there are, for a person.
    pub fn classes(&self) -> String {
        let classes = self.facts.binding.classes.items.iter();
        let names: Vec<&str> = classes.map(|class| class.name.as_str()).collect();
        match names.as_slice() {
            [] => "none".to_owned(),
            few if few.len() <= 10 => few.join(", "),
            many => format!("{} and {} more", many[..10].join(", "), many.len() - 10),
        }
    }
}
