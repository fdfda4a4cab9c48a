//! Who we are to the server, and whether we may read what is declared.

use std::sync::Arc;

use rustify::enums::RequestMethod;
use zeroize::Zeroizing;

use super::{Place, Wanted, joined};
use crate::backends::Connect;
use crate::backends::files::json::Tree;
use crate::backends::vault::kv::Kv;
use crate::backends::vault::login::TokenState;
use crate::backends::vault::raw::Raw;
use crate::backends::vault::session::Session;
use crate::backends::vault::settings::{KvVersion, Settings};
use crate::backends::vault::transport::Transport;
use crate::error::{Error, ErrorKind, Result};
use crate::examination::{Check, Diagnosis};

/// Logs in, and looks at what we may do; answers the engine's generation, where it is known.
pub(super) async fn look(
    connect: &Connect,
    settings: &Settings,
    wanted: &Wanted,
    diagnosis: &mut Diagnosis,
) -> Result<Option<KvVersion>, (&'static str, Error)> {
    let transport = Transport::new(connect.clone(), settings.clone());
    let transport = Arc::new(transport.map_err(|error| ("settings", error))?);
    let session = Arc::new(Session::new(transport).map_err(|error| ("auth", error))?);
    let generation = match log_in(connect, &session).await {
        Ok(check) => {
            diagnosis.push(check);
            // Who only borrows what engines make needs no key-value store.
            let generation = match !wanted.is_empty() && wanted.keys().all(|place| place.lent) {
                true => settings.kv,
                false => mount(&session, settings, diagnosis).await,
            };
            permissions(&session, settings, generation, wanted, diagnosis).await;
            generation
        }
        Err(error) => {
            diagnosis.push(Check::error("auth", &error));
            settings.kv
        }
    };
    if let Err(error) = session.close().await {
        diagnosis.push(Check::warning("logout", error.to_string()));
    }
    Ok(generation)
}

async fn log_in(connect: &Connect, session: &Session) -> Result<Check> {
    let given = connect.url.query("auth").is_none_or(|auth| auth == "token");
    match session.lookup().await {
        Ok(state) => Ok(judge(&session.describe(), given, &state)),
        Err(error) if error.kind() == ErrorKind::Denied => {
            let detail = format!(
                "{}: it works, but may not look itself up, so nothing more is known of it",
                session.describe()
            );
            Ok(Check::warning("auth", detail)
                .with_help("allow `auth/token/lookup-self`, as the policy `default` does"))
        }
        Err(error) => Err(error),
    }
}

/// Judges a token. `given` says that we did not log in for it, and so can't get another.
fn judge(who: &str, given: bool, state: &TokenState) -> Check {
    let policies = match state.policies.as_slice() {
        [] => "no policies".to_owned(),
        [one] => format!("policy {one}"),
        several => format!("policies {}", several.join(", ")),
    };
    let time = match (state.ttl, state.period) {
        (None, _) => "never ends".to_owned(),
        (Some(ttl), _) => format!("ends in {}", humantime::format_duration(ttl)),
    };
    let renewable = match (state.renewable, given) {
        (true, _) => ", renewable",
        (false, true) if state.ttl.is_none() => "",
        (false, true) => ", not renewable",
        (false, false) => ", not renewable; a new login follows",
    };
    let detail = format!(
        "{who}: {}, {policies}, {time}{renewable}",
        state.display_name
    );
    if state.policies.iter().any(|policy| policy == "root") {
        return Check::warning("auth", detail).with_help(
            "a root token may do everything: give the service one that may read its secrets",
        );
    }
    if given && state.ttl.is_some() && !state.renewable {
        return Check::warning("auth", detail).with_help(
            "it can't be renewed, and nothing here can get the next one: use a renewable or periodic \
             token, or log in by a method (`auth=approle`, `auth=kubernetes`, …)",
        );
    }
    Check::ok("auth", detail)
}

/// Finds the engine's generation, by asking even where the address says it.
async fn mount(
    session: &Arc<Session>,
    settings: &Settings,
    diagnosis: &mut Diagnosis,
) -> Option<KvVersion> {
    let number = |generation| match generation {
        KvVersion::V1 => 1,
        KvVersion::V2 => 2,
    };
    let name = &settings.mount;
    let unknown = Settings {
        kv: None,
        ..settings.clone()
    };
    let asked = Kv::new(Arc::clone(session), &unknown).generation().await;
    let (check, generation) = match (asked, settings.kv) {
        (Ok(found), Some(said)) if found != said => {
            let detail = format!(
                "`{name}` is version {} of the key-value engine, and the address says `kv={}`",
                number(found),
                number(said)
            );
            let check = Check::failed("mount", detail).with_help("correct `kv`, or leave it out");
            (check, Some(found))
        }
        (Ok(found), _) => {
            let detail = format!(
                "`{name}` is version {} of the key-value engine",
                number(found)
            );
            (Check::ok("mount", detail), Some(found))
        }
        (Err(error), Some(said)) if error.kind() == ErrorKind::Denied => {
            let detail = format!("`{name}`: version {}, as the address says", number(said));
            (Check::ok("mount", detail), Some(said))
        }
        (Err(error), said) => (Check::error("mount", &error), said),
    };
    diagnosis.push(check);
    generation
}

/// Checks for every path of declared secrets whether we may read it.
async fn permissions(
    session: &Session,
    settings: &Settings,
    generation: Option<KvVersion>,
    wanted: &Wanted,
    diagnosis: &mut Diagnosis,
) {
    // Without a generation only the paths of engines are known.
    let known = |place: &Place| generation.is_some() || place.lent;
    let wanted: Vec<_> = wanted.iter().filter(|(place, _)| known(place)).collect();
    if wanted.is_empty() {
        return;
    }
    let generation = generation.unwrap_or(KvVersion::V2);
    let path = |place: &Place| place.read_path(settings, generation);
    let history = |place: &Place| place.history_path(settings, generation);
    let mut asked: Vec<_> = wanted.iter().map(|(place, _)| path(place)).collect();
    asked.extend(wanted.iter().filter_map(|(place, _)| history(place)));
    let answer = match ask(session, &asked).await {
        Ok(answer) => answer,
        Err(error) if error.kind() == ErrorKind::Denied => {
            let detail = "we may not ask what we may do";
            diagnosis.push(Check::warning("policies", detail).with_help(
                "allow `update` on `sys/capabilities-self`, as the policy `default` does; \
                 `strongroom validate` reads the secrets themselves",
            ));
            return;
        }
        Err(error) => {
            diagnosis.push(Check::error("policies", &error));
            return;
        }
    };
    let may_read = |path: &str| {
        let capabilities = answer.raw(&["data", path]).unwrap_or(b"[]");
        let capabilities: Vec<String> = serde_json::from_slice(capabilities).unwrap_or_default();
        let read = |capability: &String| matches!(capability.as_str(), "read" | "root");
        capabilities.iter().any(read)
    };
    for (place, names) in wanted {
        let path = path(place);
        let subject = format!("policy of {}", joined(names));
        if !may_read(&path) {
            let detail = format!("`read` on `{path}` is missing");
            diagnosis.push(Check::failed(subject, detail).with_help(
                "give the token a policy that allows it: `strongroom doctor --policy` writes one",
            ));
            continue;
        }
        let detail = format!("`read` on `{path}` is there");
        // Nothing that a service does needs it.
        let detail = match history(place).filter(|history| !may_read(history)) {
            Some(history) => {
                format!("{detail}; earlier versions can't be listed without `read` on `{history}`")
            }
            None => detail,
        };
        diagnosis.push(Check::ok(subject, detail));
    }
}

async fn ask(session: &Session, paths: &[String]) -> Result<Tree> {
    let doing = "ask what we may do";
    let body = serde_json::to_vec(&serde_json::json!({ "paths": paths })).unwrap_or_default();
    let request = Raw::new(RequestMethod::POST, "sys/capabilities-self");
    let request = request.with_body(Zeroizing::new(body));
    let mut answer = session.call(doing, &request).await?;
    match answer.status {
        200 => answer.tree(),
        _ => Err(answer.refusal(doing)),
    }
}
