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
    let tree = answer.tree().map_err(|error| ("server", error))?;
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
fn state(shown: &str, status: u16, tree: &Tree) -> (Check, bool) {
    let version = tree.value(&["version"]).unwrap_or_default();
    let version = String::from_utf8_lossy(&version).into_owned();
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

fn clock(theirs: Option<SystemTime>, ours: SystemTime) -> Check {
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
