//! What `strongroom doctor` looks at in a sealed file: whether our key opens it, and who else can.

use super::SealedFile;
use crate::backends::Connect;
use crate::backends::files::blocking::blocking;
use crate::error::Result;
use crate::examination::{Check, Diagnosis, Examining};

pub(super) fn examine(connect: Connect) -> Examining {
    Box::pin(async move {
        let mut diagnosis = Diagnosis::new();
        let in_place = connect.block_in_place;
        let looked = blocking(in_place, move || look(&connect)).await;
        match looked {
            Ok(checks) => diagnosis.checks.extend(checks),
            Err(error) => diagnosis.push(Check::error("file", &error)),
        }
        diagnosis
    })
}

fn look(connect: &Connect) -> Result<Vec<Check>> {
    let file = SealedFile::connect(connect)?;
    let (epoch, names, slots) = (file.epoch()?, file.list()?, file.slots()?);
    let opened = format!(
        "our key opens it, and its seal is whole; {} secrets, epoch {epoch}",
        names.len()
    );
    let shown: Vec<_> = slots
        .iter()
        .map(|slot| format!("{} ({})", slot.label, slot.kind))
        .collect();
    let shown = shown.join(", ");
    let slots = match slots.len() {
        1 => Check::warning("slots", format!("one only: {shown}")).with_help(
            "if its key is lost, so are the secrets: add a second, for recovery, by \
             `strongroom key add`",
        ),
        several => Check::ok("slots", format!("{several}: {shown}")),
    };
    Ok(vec![Check::ok("file", opened), slots])
}
