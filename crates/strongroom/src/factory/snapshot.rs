//! The snapshot of a boot, as the manifest asks for it.

use std::sync::Arc;

use super::SecretsBuilder;
use super::detection::Chosen;
use super::plan::Plan;
use crate::backends::Bundle;
use crate::snapshot::{Origin, Snapshot};

impl SecretsBuilder {
    pub(super) fn snapshot(&self, plan: &Plan, chosen: &Chosen) -> Option<Snapshot> {
        let settings = plan.manifest.snapshot.as_ref()?;
        let (path, key_file) = (settings.path.clone(), settings.key_file.clone());
        let file = Bundle::new(path, key_file, Arc::clone(&plan.env), plan.rails.clone());
        let file = file.in_place(self.block_in_place);
        // Addresses as they were chosen: a provider that can't be opened has no other.
        let named = plan.manifest.providers.iter();
        let named = named.map(|(name, url)| (name.clone(), url.to_string()));
        let main = (String::new(), chosen.address.clone());
        let origin = Origin {
            deployment: plan.rails.deployment().to_string(),
            profile: plan.detection.profile.clone(),
            providers: named.chain([main]).collect(),
        };
        Some(Snapshot::new(file, origin, settings.max_age))
    }
}
