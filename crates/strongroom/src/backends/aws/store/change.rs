//! Changes of secrets by name: of a whole secret of AWS, or of one field of it.

use ctutils::CtEq as _;

use super::write::{Content, Written, contended};
use super::{
    ATTEMPTS, Described, Document, PENDING, Store, could_be, field_of, in_document, labelled,
};
use crate::backends::aws::failure::{Failure, INVALID_REQUEST, NOT_FOUND};
use crate::backends::aws::place::Place;
use crate::backends::files::expected::{check_expected, check_no_overlap};
use crate::backends::files::json;
use crate::backends::files::value::check_size;
use crate::error::{Error, ErrorKind, Result};
use crate::provider::{Expect, Put, Stage, Target};
use crate::secret::{Secret, Version};

impl Store {
    pub(in crate::backends::aws) async fn put(&self, put: &Put) -> Result<Version> {
        let place = Place::of(self.settings(), &put.target)?;
        // EXPOSES: only its length is looked at
        check_size(put.value.expose_bytes(), &"the value")?;
        check_no_overlap(put, "AWS keeps the previous one until the next write")?;
        let pending = match put.stage {
            Stage::Current => false,
            Stage::Pending => true,
            _ => {
                let message = "a value is written as the current or as the pending one";
                return Err(Error::new(ErrorKind::Unsupported, message));
            }
        };
        if place.field.is_none() {
            let content = Content::new(&put.value)?;
            let written = match pending {
                true => self.write_pending(&place.id, &content, &put.expect).await?,
                false => self.write(&place.id, &content, &put.expect).await?,
            };
            return match written {
                Written::Version(version) => Ok(version),
                Written::Conflict(what) => Err(conflict(what)),
            };
        }
        for _ in 0..ATTEMPTS {
            let found = self.find(&place.id).await?;
            let document = self.with_field(&place, found.as_ref(), &put.value, &put.expect)?;
            let content = Content::new(&document)?;
            let expect = expecting(found.as_ref());
            let written = match pending {
                true => self.write_pending(&place.id, &content, &expect).await?,
                false => self.write(&place.id, &content, &expect).await?,
            };
            // Another field may have changed meanwhile: what was expected is looked at again.
            if let Written::Version(version) = written {
                return Ok(version);
            }
        }
        Err(contended())
    }

    pub(in crate::backends::aws) async fn delete(
        &self,
        target: &Target,
        expect: &Expect,
    ) -> Result<()> {
        let place = Place::of(self.settings(), target)?;
        for _ in 0..ATTEMPTS {
            let Some(field) = &place.field else {
                return self.delete_whole(&place.id, expect).await;
            };
            let document = self.read(&place.id, &Stage::Current).await?;
            let tree = self.tree(&place.id, &document)?;
            if tree.find(&[field]).is_none() {
                return Err(self.no_field(&place.id, field, &tree));
            }
            check_expected(expect, document.version.as_ref())?;
            let rest = json::with_field(Some(&tree), field, None)
                .map_err(|fault| in_document(&fault, &place.id))?;
            let over = expecting(Some(&document));
            let Some(rest) = rest else {
                match self.delete_whole(&place.id, &over).await {
                    Err(error) if error.kind() == ErrorKind::Conflict => continue,
                    outcome => return outcome,
                }
            };
            let content = Content::new(&Secret::from_utf8_or_bytes(rest))?;
            if let Written::Version(_) = self.write(&place.id, &content, &over).await? {
                return Ok(());
            }
        }
        Err(contended())
    }

    async fn delete_whole(&self, id: &str, expect: &Expect) -> Result<()> {
        let now = self.describe_present(id).await?;
        check_expected(expect, now.in_force())?;
        self.remove(id)
            .await
            .map_err(|failure| self.unwritten(id, failure))?;
        let Expect::Version(expected) = expect else {
            return Ok(());
        };
        // AWS compares nothing before it deletes. What came between is found by looking again, since
        // a deleted secret takes no value; then it is brought back.
        match self.describe(id).await {
            Ok(now) if now.current.as_ref() != Some(expected) => {
                self.bring_back(id).await?;
                Err(conflict("the secret was changed since it was read"))
            }
            _ => Ok(()),
        }
    }

    /// Brings back a secret that is scheduled for deletion.
    pub(in crate::backends::aws) async fn restore(&self, target: &Target) -> Result<()> {
        let place = Place::of(self.settings(), target)?;
        let restored = self.bring_back(&place.id).await;
        restored.map_err(|failure| self.unwritten(&place.id, failure))
    }

    /// Puts a version in force.
    pub(in crate::backends::aws) async fn promote(
        &self,
        target: &Target,
        version: &Version,
    ) -> Result<()> {
        let place = Place::of(self.settings(), target)?;
        let id = &place.id;
        let now = self.describe_present(id).await?;
        if !could_be(version) {
            return Err(self.no_such_version(id));
        }
        if now.in_force() == Some(version) {
            return Ok(());
        }
        if let Some(field) = &place.field {
            self.check_other_fields(id, field, version).await?;
        }
        match self.move_current(id, now.in_force(), version).await {
            Ok(true) => {}
            Ok(false) => return Err(conflict("another version was put in force meanwhile")),
            Err(error) if matches!(error.kind(), ErrorKind::Absent | ErrorKind::Malformed) => {
                return Err(self.no_such_version(id));
            }
            Err(error) => return Err(error),
        }
        let was_pending = labelled(&now.labels, PENDING).as_ref() == Some(version);
        if was_pending {
            // Left there it would do no harm: nothing is pending that is in force.
            let _ = self.take_label(id, PENDING, version).await;
        }
        Ok(())
    }

    /// Refuses a version in which other fields are different: it holds all of them, and to put it in force
    /// would undo what was written to them since.
    async fn check_other_fields(&self, id: &str, field: &str, version: &Version) -> Result<()> {
        let exact = Stage::Exact(version.clone());
        let (then, now) = tokio::join!(self.read(id, &exact), self.read(id, &Stage::Current));
        let (then, now) = (self.tree(id, &then?)?, self.tree(id, &now?)?);
        let others = |tree: &json::Tree| {
            let keys = tree.keys(&[]).into_iter().filter(|key| *key != field);
            let mut keys: Vec<_> = keys.map(str::to_owned).collect();
            keys.sort();
            keys
        };
        let keys = others(&now);
        let mut same = others(&then) == keys;
        for key in &keys {
            let value = |tree: &json::Tree| {
                let value = tree.value(&[key]);
                value.map_err(|fault| in_document(&fault, id))
            };
            same = same && value(&then)?.ct_eq(value(&now)?.as_slice()).to_bool();
        }
        match same {
            true => Ok(()),
            false => Err(conflict(&format!(
                "other fields of `{id}` are not as they were when this version was written"
            ))),
        }
    }

    /// Describes a secret that is there to be changed.
    async fn describe_present(&self, id: &str) -> Result<Described> {
        match self.describe(id).await {
            Ok(now) if now.deleted.is_some() => Err(self.gone(id, now.deleted)),
            Ok(now) => Ok(now),
            Err(failure) => Err(self.unwritten(id, failure)),
        }
    }

    /// Takes the label of a pending version, which AWS forgets by itself then.
    pub(in crate::backends::aws) async fn discard(
        &self,
        target: &Target,
        version: &Version,
    ) -> Result<()> {
        let place = Place::of(self.settings(), target)?;
        let id = &place.id;
        let now = self.describe_present(id).await?;
        let is_pending = |now: &Described| labelled(&now.labels, PENDING).as_ref() == Some(version);
        if !is_pending(&now) || now.current.as_ref() == Some(version) {
            return Err(conflict("this version is not the pending one"));
        }
        let failure = match self.take_label(id, PENDING, version).await {
            Ok(()) => return Ok(()),
            Err(failure) => failure,
        };
        match self.describe(id).await {
            Ok(now) if !is_pending(&now) => Ok(()),
            _ => Err(self.unwritten(id, failure)),
        }
    }

    /// Reads a secret that may not be there.
    async fn find(&self, id: &str) -> Result<Option<Document>> {
        match self.read(id, &Stage::Current).await {
            Ok(document) => Ok(Some(document)),
            Err(error) if error.kind() == ErrorKind::Absent => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The JSON object with one field set, if what is there is what is expected.
    fn with_field(
        &self,
        place: &Place,
        found: Option<&Document>,
        value: &Secret,
        expect: &Expect,
    ) -> Result<Secret> {
        let field = place.field.as_deref().unwrap_or_default();
        let tree = found
            .map(|document| self.tree(&place.id, document))
            .transpose()?;
        let has_field = match &tree {
            Some(tree) => field_of(tree, field, &place.id)?.is_some(),
            None => false,
        };
        let version = found.filter(|_| has_field);
        check_expected(
            expect,
            version.and_then(|document| document.version.as_ref()),
        )?;
        let text = json::with_field(tree.as_ref(), field, Some(value))
            .map_err(|fault| in_document(&fault, &place.id))?;
        let document = Secret::from_utf8_or_bytes(text.unwrap_or_default());
        // EXPOSES: only its length is looked at
        check_size(document.expose_bytes(), &format!("`{}`", place.id))?;
        Ok(document)
    }

    fn unwritten(&self, id: &str, failure: Failure) -> Error {
        match failure {
            failure if failure.is(NOT_FOUND) => self.nothing(id),
            failure if failure.is(INVALID_REQUEST) => self.gone(id, None),
            failure => failure.error,
        }
    }
}

/// What a write of a whole document expects, so that no change of another field is lost.
fn expecting(found: Option<&Document>) -> Expect {
    match found.and_then(|document| document.version.clone()) {
        Some(version) => Expect::Version(version),
        None => Expect::Absent,
    }
}

fn conflict(what: &str) -> Error {
    Error::new(ErrorKind::Conflict, what).with_help("read it again, then decide")
}
