//! `-o name`: objects as kubectl writes them, for the next command of a pipe.

use std::collections::HashSet;

use crate::model::finding::Object;

/// Each object once, in this order, one a line.
pub fn names<'a>(objects: impl Iterator<Item = &'a Object>) -> String {
    let mut told = HashSet::new();
    objects
        .map(name)
        .filter(|name| told.insert(name.clone()))
        .map(|name| name + "\n")
        .collect()
}

fn name(object: &Object) -> String {
    let kind = match object {
        Object::Claim(_) => "persistentvolumeclaim",
        Object::PersistentVolume(..) => "persistentvolume",
        Object::Pod(_) => "pod",
        Object::Driver(_) => "csidriver.storage.k8s.io",
        Object::Node(_) => "node",
        Object::Server(_) => "server",
    };
    format!("{kind}/{}", object.name())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::sample;

    #[test]
    fn each_is_told_once() {
        let objects = [
            Object::Claim(sample::claim_ref()),
            Object::Driver("disk.example.com".into()),
            Object::Claim(sample::claim_ref()),
        ];
        assert_eq!(
            names(objects.iter()),
            format!(
                "persistentvolumeclaim/{}\ncsidriver.storage.k8s.io/disk.example.com\n",
                sample::claim_ref().name
            )
        );
    }
}
