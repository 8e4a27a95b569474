//! What a problem with an expansion rests on, in the order of the ladder.

use crate::expansion::{Case, Said};
use crate::model::finding::Problem;
use crate::model::observed::Observed;

impl Case<'_> {
    /// A problem with its evidence, the one thing to do, and the objects around it.
    pub fn problem(&self, message: String, said: Option<&Said>) -> Problem {
        let claim = format!("claim {}", self.claim.claim);
        let mut problem = Problem::new(message).since(self.since());
        let sizes = &self.volume.sizes;
        if let Some(size) = self.claim.request {
            problem = problem.because("request of the claim", size.to_string(), claim.clone());
        }
        if let Some(size) = self.persistent.capacity {
            let source = format!("persistentvolume {}", self.persistent.name);
            problem = problem.because("capacity of the volume", size.to_string(), source);
        }
        if let Observed::Known(Some(size)) = &sizes.device {
            problem = problem.because("block device", size.to_string(), "sysfs");
        }
        if let Observed::Known(Some(size)) = &sizes.filesystem {
            problem = problem.because("filesystem", size.to_string(), "what it answers");
        }
        if let Some(size) = self.claim.capacity {
            problem = problem.because(
                "status.capacity of the claim",
                size.to_string(),
                claim.clone(),
            );
        }
        let status = self.claim.resize_status.as_deref().unwrap_or("none");
        problem = problem.because("resize status", status, claim);
        if let Some(said) = said {
            problem = problem.because(&said.fact, &said.words, &said.source);
        }
        problem.next.extend(self.advice());
        problem.related(self.volume.related())
    }

    /// The node, for a sentence.
    pub fn where_it_is(&self) -> String {
        match self.node {
            Some(node) => format!("node {node}"),
            None => "its node".to_owned(),
        }
    }
}
