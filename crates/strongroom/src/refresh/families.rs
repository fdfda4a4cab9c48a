//! Which held names are read from one document.

use std::collections::{HashMap, HashSet};

use crate::connection::Document;
use crate::name::SecretName;

/// The held names by their document.
#[derive(Default)]
pub(super) struct Families(HashMap<Document, HashSet<SecretName>>);

impl Families {
    pub(super) fn add(&mut self, document: &Document, name: &SecretName) {
        let names = self.0.entry(document.clone()).or_default();
        names.insert(name.clone());
    }

    pub(super) fn remove(&mut self, document: &Document, name: &SecretName) {
        if let Some(names) = self.0.get_mut(document) {
            names.remove(name);
            if names.is_empty() {
                self.0.remove(document);
            }
        }
    }

    pub(super) fn siblings(&self, document: &Document) -> impl Iterator<Item = &SecretName> {
        self.0.get(document).into_iter().flatten()
    }
}
