//! The server: whether it serves, its clock, and how long an answer takes.

use std::time::{Duration, Instant, SystemTime};

use rustify::enums::RequestMethod;

use crate::backends::Connect;
use crate::backends::files::json::Tree;
use crate::backends::vault::answer::Answer;
use crate::backends::vault::raw::Raw;
use crate::backends::vault::settings::Settings;
use crate::backends::vault::transport::Transport;
use crate::error::{Error, ErrorKind, Result};
use crate::examination::{Check, Diagnosis};

/// The most by which two clocks may differ: certificates and JWTs are judged by them.
const SKEW: Duration = Duration::from_secs(30);

const SAMPLES: usize = 3;

/// Asks the server for its state, without a token; answers whether requests can be served.
pub(super) async fn look(
    connect: &Connect,
    settings: &Settings,
    diagnosis: &mut Diagnosis,
) -> Result<bool, (&'static str, Error)> {
    // The state is that of the whole server: it is not asked for in a namespace.
    let whole = Settings {
        namespace: None,
        ..settings.clone()
    };
    let transport = Transport::new(connect.clone(), whole).map_err(|error| ("settings", error))?;
    let mut answer = ask(&transport).await.map_err(|error| ("server", error))?;
    diagnosis.push(clock(answer.date, SystemTime::now()));
    let status = answer.status;
    let tree = answer.state().map_err(|error| ("server", error))?;
    let (check, serves) = state(&settings.shown, status, &tree);
    diagnosis.push(check);
    if serves {
        diagnosis.push(latency(&transport).await);
    }
    Ok(serves)
}

async fn ask(transport: &Transport) -> Result<Answer> {
    let request = Raw::new(RequestMethod::GET, "sys/health");
    transport.send(&request, None).await
}

/// What the status of `sys/health` says, and whether requests can be served.
pub(in crate::backends::vault) fn state(shown: &str, status: u16, tree: &Tree) -> (Check, bool) {
    let version = tree.value(&["version"]).unwrap_or_default();
    let version = String::from_utf8_lossy(&version).escape_debug().to_string();
    let version = match version.as_str() {
        "" => "its version is not told".to_owned(),
        version => format!("version {version}"),
    };
    let fails = |what: &str, help: &str| {
        let message = format!("{shown}: the server {what}; {version}");
        let error = Error::new(ErrorKind::Transient, message).with_help(help);
        (Check::error("server", &error), false)
    };
    match status {
        200 => (Check::ok("server", format!("active, {version}")), true),
        429 => {
            let detail = format!("a standby, which passes requests on, {version}");
            (Check::ok("server", detail), true)
        }
        473 => {
            let detail = format!("a performance standby, which serves reads, {version}");
            (Check::ok("server", detail), true)
        }
        472 => fails(
            "is a disaster recovery secondary, which serves nobody",
            "give the address of the primary",
        ),
        501 => fails("is not initialised", "initialise it: `vault operator init`"),
        503 => fails("is sealed", "unseal it: `vault operator unseal`"),
        _ => {
            let message = format!("{shown}: status {status} where Vault tells its state");
            let error = Error::new(ErrorKind::Malformed, message)
                .with_help("the address may be that of something else");
            (Check::error("server", &error), false)
        }
    }
}

pub(in crate::backends::vault) fn clock(theirs: Option<SystemTime>, ours: SystemTime) -> Check {
    let Some(theirs) = theirs else {
        return Check::warning("clock", "the server doesn't tell its time");
    };
    let (differs, which) = match ours.duration_since(theirs) {
        Ok(ahead) => (ahead, "ahead of"),
        Err(behind) => (behind.duration(), "behind"),
    };
    // The server tells whole seconds.
    let seconds = differs.as_secs();
    if differs <= SKEW {
        return Check::ok(
            "clock",
            format!("within {} s of the server's", seconds.max(1)),
        );
    }
    let detail = format!("ours is {seconds} s {which} the server's");
    Check::warning("clock", detail)
        .with_help("set both by NTP: certificates, JWTs and leases are judged by them")
}

async fn latency(transport: &Transport) -> Check {
    let mut taken = Vec::new();
    for _ in 0..SAMPLES {
        let began = Instant::now();
        match ask(transport).await {
            Ok(_) => taken.push(began.elapsed()),
            Err(error) => return Check::error("latency", &error),
        }
    }
    taken.sort();
    let middle = SAMPLES.checked_div(2).and_then(|middle| taken.get(middle));
    let milliseconds = middle.map_or(0.0, |time| time.as_secs_f64() * 1000.0);
    let detail = format!("{milliseconds:.1} ms for one answer, the median of {SAMPLES}");
    Check::ok("latency", detail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::examination::CheckOutcome;
    use zeroize::Zeroizing;

    #[test]
    fn each_status_of_the_state_has_its_meaning() {
        let tree = |text: &str| {
            Tree::parse(Zeroizing::new(text.as_bytes().to_vec()))
                .ok()
                .unwrap()
        };
        for (status, serves, said) in [
            (200, true, "active, version 1.2.3"),
            (429, true, "a standby"),
            (473, true, "a performance standby"),
            (472, false, "disaster recovery"),
            (501, false, "is not initialised; version 1.2.3"),
            (503, false, "is sealed; version 1.2.3"),
            (404, false, "status 404"),
        ] {
            let (check, usable) = state("here", status, &tree("{\"version\":\"1.2.3\"}"));
            assert_eq!(
                (usable, check.outcome == CheckOutcome::Ok),
                (serves, serves),
                "{status}"
            );
            assert!(check.detail.contains(said), "{}", check.detail);
        }
        let (check, _) = state("here", 200, &tree("{}"));
        assert_eq!(check.detail, "active, its version is not told");
    }

    #[test]
    fn clocks_that_differ_by_more_than_half_a_minute_are_warned_of() {
        let ours = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        for (theirs, outcome, said) in [
            (1_000_000, CheckOutcome::Ok, "within 1 s"),
            (999_970, CheckOutcome::Ok, "within 30 s"),
            (999_969, CheckOutcome::Warning, "31 s ahead of the server's"),
            (1_000_090, CheckOutcome::Warning, "90 s behind the server's"),
        ] {
            let theirs = SystemTime::UNIX_EPOCH + Duration::from_secs(theirs);
            let check = clock(Some(theirs), ours);
            assert_eq!(check.outcome, outcome, "{}", check.detail);
            assert!(check.detail.contains(said), "{}", check.detail);
        }
        assert_eq!(clock(None, ours).outcome, CheckOutcome::Warning);
    }
}
