//! `diff`: which secrets differ between two providers, without showing any.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::Serialize;
use strongroom::{Connection, Error, ErrorKind, Finding, Secret, SecretName};

use crate::context::Context;
use crate::exit::{CHECK_FAILED, FINE, Failure, Outcome, code};
use crate::inventory::{self, Inventory};
use crate::paint::Span;
use crate::progress::Progress;
use crate::run_key::RunKey;
use crate::side::{Side, check_apart};
use crate::table::Table;

/// Show which secrets differ between two providers
///
/// A side is an address (`vault://host/mount`), a name of the manifest's `providers`, or
/// `profile:NAME`, which is what a service with that profile would use. Values are decoded as the
/// manifest declares them, and compared under a random key of this run: neither a value nor a hash of
/// one is shown. Every name that both sides list is compared, and every declared one.
///
/// A value that stands on both sides under different names is called out; so is each value that a side
/// named production shares with one that is not. Values of fewer than 8 bytes are not, as many secrets have them
/// by chance.
///
/// The exit code is 0 if the sides hold the same, and 1 if they differ.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  strongroom diff sealed:.strongroom/secrets.sealed vault://vault.internal/kv/payments
  strongroom diff profile:staging profile:production
  strongroom diff blue green --prefix payments/          two names of the manifest's `providers`")]
pub(crate) struct Args {
    /// One side: an address, a provider's name in the manifest, or profile:NAME
    a: String,
    /// The other side
    b: String,
    /// Only names that begin with this text
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true
    )]
    prefix: String,
}

/// What the comparison came to.
#[derive(Serialize)]
struct Body {
    a: String,
    b: String,
    same: bool,
    equal: usize,
    only_in_a: Vec<SecretName>,
    only_in_b: Vec<SecretName>,
    differing: Vec<SecretName>,
    reused: Vec<Reused>,
    unread: Vec<Unread>,
    /// The sides that can't be listed, and may hold more than was compared.
    unlisted: Vec<&'static str>,
}

/// A value that stands on both sides where it should not.
#[derive(Serialize)]
struct Reused {
    a: SecretName,
    b: SecretName,
}

/// What could not be compared.
#[derive(Serialize)]
struct Unread {
    name: SecretName,
    side: &'static str,
    kind: &'static str,
    message: String,
    #[serde(skip)]
    code: u8,
}

/// The shortest value of which it means something that it stands in two places.
const TELLING_BYTES: usize = 8;

pub(crate) fn run(args: &Args, context: &Context<'_>) -> Outcome {
    context.check_no_provider()?;
    let sides = (Side::parse(&args.a, "A")?, Side::parse(&args.b, "B")?);
    let builders = (sides.0.builder(context)?, sides.1.builder(context)?);
    let body = context.block_on(async {
        let a = context.connect(builders.0).await?;
        let b = context.connect(builders.1).await?;
        context.screen.warnings(&a.detection().warnings);
        let separate = sides.0.is_production() != sides.1.is_production();
        let body = compare(&a, &b, &args.prefix, separate, context).await;
        // What the command came to matters more than an error of closing.
        let _ = (a.close().await, b.close().await);
        body
    })?;
    let code = match body.unread.first() {
        Some(unread) => unread.code,
        None if body.same => FINE,
        None => CHECK_FAILED,
    };
    if context.screen.is_json() {
        context.screen.json(&body)?;
        return Ok(code);
    }
    body.print(context)?;
    Ok(code)
}

async fn compare(
    a: &Connection,
    b: &Connection,
    prefix: &str,
    separate: bool,
    context: &Context<'_>,
) -> Result<Body, Failure> {
    check_apart(a, b)?;
    let listed_a = inventory::names(a, prefix, &context.screen).await?;
    let listed_b = inventory::names(b, prefix, &context.screen).await?;
    let mut names: BTreeSet<_> = listed_a.all.union(&listed_b.all).cloned().collect();
    if names.is_empty() && !prefix.is_empty() {
        let message = "neither side holds a secret whose name begins so";
        return Err(Error::new(ErrorKind::Absent, message)
            .with_help("`strongroom list` prints the names")
            .into());
    }
    let sides = [("a", &listed_a), ("b", &listed_b)];
    let unlisted: Vec<_> = sides
        .into_iter()
        .filter(|(_, names)| !names.is_whole)
        .map(|(side, _)| side)
        .collect();
    // What one side holds by a provider of its own is not compared with anything.
    for connection in [a, b] {
        let elsewhere = connection
            .declared()
            .filter(|known| !inventory::is_held_here(known));
        elsewhere.for_each(|known| {
            names.remove(known.name.as_str());
        });
    }
    let reading = Progress::start(&context.screen, "reading both sides", None);
    let mut held_a = Inventory::read(a, &names).await;
    let mut held_b = Inventory::read(b, &names).await;
    drop(reading);
    // A document is compared by its fields: two sides may write the whole of it in two ways.
    for document in inventory::documents(&names) {
        let mut fields = BTreeSet::new();
        let mut readable = true;
        for (connection, held) in [(a, &mut held_a), (b, &mut held_b)] {
            if let Some(whole) = held.values.get(&document) {
                let own = inventory::fields(&document, whole).unwrap_or_default();
                held.extend(connection, &own).await;
                readable &=
                    !own.is_empty() && own.iter().all(|name| held.values.contains_key(name));
                fields.extend(own);
            }
        }
        if readable {
            held_a.extend(a, &fields).await;
            held_b.extend(b, &fields).await;
            names.remove(&document);
            held_a.values.remove(&document);
            held_b.values.remove(&document);
            names.extend(fields);
        }
    }
    let key = RunKey::random()?;
    let (in_a, in_b) = (
        inventory::aliases(&held_a, &key)?,
        inventory::aliases(&held_b, &key)?,
    );
    for name in in_a.union(&in_b) {
        let elsewhere = |held: &Inventory, aliases: &BTreeSet<_>| {
            held.values.contains_key(name) && !aliases.contains(name)
        };
        if !elsewhere(&held_a, &in_a) && !elsewhere(&held_b, &in_b) {
            names.remove(name);
            held_a.values.remove(name);
            held_b.values.remove(name);
        }
    }
    let mut unread = Vec::new();
    for (side, held, listed) in [
        ("a", &held_a, &listed_a.listed),
        ("b", &held_b, &listed_b.listed),
    ] {
        unread.extend(held.failed.iter().map(|(name, error)| Unread {
            name: name.clone(),
            side,
            kind: error.kind().as_str(),
            message: error.to_string(),
            code: code(error.kind()),
        }));
        let hidden = listed.iter().filter(|name| {
            names.contains(*name)
                && !held.values.contains_key(*name)
                && !held.failed.iter().any(|(failed, _)| failed == *name)
        });
        unread.extend(hidden.map(|name| Unread {
            name: name.clone(),
            side,
            kind: ErrorKind::Malformed.as_str(),
            message: "it is listed, but holds fields alone: declare them".to_owned(),
            code: CHECK_FAILED,
        }));
    }
    names.retain(|name| !unread.iter().any(|unread| unread.name == *name));
    let mut body = Body {
        a: a.describe().address,
        b: b.describe().address,
        same: false,
        equal: 0,
        only_in_a: Vec::new(),
        only_in_b: Vec::new(),
        differing: Vec::new(),
        reused: Vec::new(),
        unread,
        unlisted,
    };
    body.sort(names, &held_a.values, &held_b.values, separate, &key)?;
    Ok(body)
}

impl Body {
    /// Sorts every name to where it belongs.
    fn sort(
        &mut self,
        names: BTreeSet<SecretName>,
        a: &BTreeMap<SecretName, Secret>,
        b: &BTreeMap<SecretName, Secret>,
        separate: bool,
        key: &RunKey,
    ) -> strongroom::Result<()> {
        let mut in_a: HashMap<_, Vec<&SecretName>> = HashMap::new();
        for (name, value) in a {
            if value.len() >= TELLING_BYTES {
                in_a.entry(key.tag(value)?).or_default().push(name);
            }
        }
        for name in names {
            let (in_a_too, in_b) = (a.get(&name), b.get(&name));
            let equal = match (in_a_too, in_b) {
                (Some(a), Some(b)) => key.tag(a)? == key.tag(b)?,
                _ => false,
            };
            if let Some(value) = in_b.filter(|_| separate || !equal) {
                let places = in_a.get(&key.tag(value)?).into_iter().flatten();
                self.reused.extend(places.map(|place| Reused {
                    a: (*place).clone(),
                    b: name.clone(),
                }));
            }
            match (in_a_too, in_b) {
                (Some(_), Some(_)) if equal => self.equal = self.equal.saturating_add(1),
                (Some(_), Some(_)) => self.differing.push(name),
                (Some(_), None) => self.only_in_a.push(name),
                (None, Some(_)) => self.only_in_b.push(name),
                (None, None) => {}
            }
        }
        let lists = [&self.only_in_a, &self.only_in_b, &self.differing];
        self.same = lists.iter().all(|list| list.is_empty())
            && self.reused.is_empty()
            && self.unread.is_empty();
        Ok(())
    }

    fn print(&self, context: &Context<'_>) -> Result<(), Failure> {
        let mut rows = Vec::new();
        let mut add = |names: &[SecretName], state: &str| {
            rows.extend(names.iter().map(|name| (name.clone(), state.to_owned())));
        };
        add(&self.only_in_a, "only in A");
        add(&self.only_in_b, "only in B");
        add(&self.differing, "differs");
        for Reused { a, b } in &self.reused {
            rows.push((b.clone(), format!("B holds A's value of {a}")));
        }
        for Unread {
            name,
            side,
            message,
            ..
        } in &self.unread
        {
            let side = side.to_uppercase();
            rows.push((name.clone(), format!("unread in {side}: {message}")));
        }
        rows.sort();
        if !rows.is_empty() {
            let mut table = Table::new(["NAME", "STATE"]);
            for (name, state) in rows {
                table.row([name.to_string(), state].map(Span::from));
            }
            table.show(&context.screen)?;
        }
        if !self.reused.is_empty() {
            let message = match self.reused.len() {
                1 => "a value of A stands in B too".to_owned(),
                all => format!("values of A stand in B too, in {all} places"),
            };
            let help = "whoever reads one side can use the other: rotate one of the two";
            let finding = Finding::warning(None, "reused", message, help);
            context.screen.warnings(&[finding]);
        }
        let equal = self.equal;
        context.screen.done(&match self.same {
            true if equal == 0 => format!("no secret is in {} or {}", self.a, self.b),
            true => format!("the same: {equal} in {} (A) and {} (B)", self.a, self.b),
            false => {
                let are = match equal {
                    0 => "nothing is".to_owned(),
                    1 => "1 is".to_owned(),
                    equal => format!("{equal} are"),
                };
                format!("{are} equal in {} (A) and {} (B)", self.a, self.b)
            }
        });
        Ok(())
    }
}
