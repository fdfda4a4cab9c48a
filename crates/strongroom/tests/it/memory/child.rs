//! A process that holds a secret: this test binary, started again for one test of it.

use std::io::{BufRead as _, BufReader, Lines, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use strongroom::{Declared, Env, Kind, LiveSecret, Secret, Secrets, SecretsFactory, Version};

use super::NAME;

/// What each of the holder's own lines begins with, among those of the test harness.
const HOLDER: &str = "holder: ";

/// This test binary as another user than root, whom limits bind: a test may run as root. `None` where there
/// is no such user to be had.
pub(super) fn as_nobody() -> Option<Command> {
    as_user(std::env::current_exe().unwrap())
}

pub(super) fn as_user(program: impl AsRef<std::ffi::OsStr>) -> Option<Command> {
    if !nix::unistd::geteuid().is_root() {
        return Some(Command::new(program));
    }
    let nobody = || {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
        command
    };
    let mut probe = nobody();
    probe
        .args(["sh", "-c", "command -v \"$0\""])
        .arg(program.as_ref());
    if probe.output().is_ok_and(|output| output.status.success()) {
        let mut command = nobody();
        command.arg(program);
        return Some(command);
    }
    assert!(
        !Env::process().has("CI"),
        "setpriv can't start it as another user"
    );
    println!("not tested: no other user can be had");
    None
}

/// A process that boots from a backend, and holds what it got until it is told otherwise.
pub(super) struct Holder {
    child: Child,
    orders: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Holder {
    /// Starts one for the provider of this address, which gets nothing else by its arguments,
    /// environment and input than what these settings say.
    pub(super) fn start(address: &str) -> Self {
        Self::start_in(address, Command::new(std::env::current_exe().unwrap()))
    }

    pub(super) fn start_in(address: &str, mut command: Command) -> Self {
        let mut child = command
            .args(["--ignored", "--exact", "memory::child::holder"])
            .args(["--nocapture", "--test-threads=1"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let orders = child.stdin.take().unwrap();
        let answers = BufReader::new(child.stdout.take().unwrap()).lines();
        let holder = Self {
            child,
            orders,
            answers,
        };
        holder.say(&format!("address {address}"))
    }

    /// Gives it a variable in the `Env` that it boots from.
    #[cfg(any(feature = "aws", feature = "vault"))]
    pub(super) fn var(self, name: &str, value: &str) -> Self {
        self.say(&format!("var {name} {value}"))
    }

    /// Declares the secret's kind and encoding otherwise than as a token in plain text.
    pub(super) fn declared(self, kind: &str, encoding: &str) -> Self {
        self.say(&format!("declared {kind} {encoding}"))
    }

    /// Sets how long the former value of a rotation is still the previous one.
    pub(super) fn overlap(self, overlap: &str) -> Self {
        self.say(&format!("overlap {overlap}"))
    }

    /// Has it keep a copy that nobody asked for.
    pub(super) fn leaking(self) -> Self {
        self.say("leak")
    }

    /// Has it boot from the real environment.
    pub(super) fn with_its_environment(self) -> Self {
        self.say("environment")
    }

    fn say(mut self, line: &str) -> Self {
        writeln!(self.orders, "{line}").unwrap();
        self
    }

    /// Lets it boot, and waits until it holds the secret.
    pub(super) fn live(self) -> Self {
        let mut holder = self.say("boot");
        assert_eq!(holder.answer().as_deref(), Some("live"));
        holder
    }

    /// Lets it boot, and returns why it doesn't.
    #[cfg(feature = "locked-memory")]
    pub(super) fn refused(self) -> String {
        self.say("boot").answer().unwrap()
    }

    /// Gives an order, and waits until it is done.
    #[track_caller]
    pub(super) fn order(&mut self, order: &str, answer: &str) {
        writeln!(self.orders, "{order}").unwrap();
        assert_eq!(self.answer().as_deref(), Some(answer));
    }

    fn answer(&mut self) -> Option<String> {
        let lines = self.answers.by_ref().map(Result::unwrap);
        let mut ours = lines.filter_map(|line| Some(line.split_once(HOLDER)?.1.to_owned()));
        ours.next()
    }

    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The holder: standard input names its backend, then what to do.
#[test]
#[ignore = "it is the process that other tests start"]
fn holder() {
    let mut lines = std::io::stdin().lines().map(Result::unwrap);
    let mut env = Env::empty();
    let mut declared = Declared::new(NAME, Kind::Token);
    let (mut address, mut manifest, mut leaking) = (None, String::new(), false);
    for line in lines.by_ref() {
        let mut words = line.splitn(3, ' ').map(str::to_owned);
        match (words.next().as_deref(), words.next(), words.next()) {
            (Some("address"), given, None) => address = given,
            (Some("environment"), None, None) => env = Env::process(),
            (Some("var"), Some(name), Some(value)) => env = env.with_var(name, value),
            (Some("overlap"), Some(overlap), None) => {
                manifest = format!("[default.cache]\noverlap = \"{overlap}\"\n");
            }
            (Some("declared"), Some(kind), Some(encoding)) => {
                declared = Declared::new(NAME, kind.parse().unwrap());
                declared.encoding = encoding.parse().unwrap();
            }
            (Some("leak"), None, None) => leaking = true,
            _ => break,
        }
    }
    let Some(address) = address else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let builder = SecretsFactory::builder()
            .env(env.with_var("STRONGROOM_ENV", "development"))
            .manifest_text(manifest)
            .provider_url(address.parse().unwrap())
            .declare([declared]);
        let secrets = match builder.detect().await {
            Ok(secrets) => secrets,
            Err(error) => {
                let findings = error.report().map(ToString::to_string);
                let findings = findings.unwrap_or_default().replace('\n', " ");
                println!("\n{HOLDER}{:?}: {findings}", error.kind());
                return;
            }
        };
        let mut held = Held::of(secrets).await;
        if leaking {
            held.secret().expose_bytes().to_vec().leak();
        }
        println!("\n{HOLDER}live");
        for order in lines {
            println!("{HOLDER}{}", held.obey(&order).await);
        }
    });
}

/// What a service has of its secret.
struct Held {
    secrets: Option<Secrets>,
    live: Option<LiveSecret>,
    /// One value that is in use, whatever the handle says meanwhile.
    used: Option<Secret>,
    version: Option<Version>,
}

impl Held {
    /// Uses the secret once in every way that copies nothing.
    async fn of(secrets: Secrets) -> Self {
        let secret = secrets.get(NAME).await.unwrap();
        let live = secrets.watch(NAME).await.unwrap();
        assert!(secret.verify(secret.expose_bytes()));
        assert!(live.verify(secret.expose_str().unwrap()));
        Self {
            version: secret.metadata().version().cloned(),
            secrets: Some(secrets),
            live: Some(live),
            used: Some(secret),
        }
    }

    fn secret(&self) -> &Secret {
        self.used.as_ref().unwrap()
    }

    async fn obey(&mut self, order: &str) -> &'static str {
        match order {
            "drop" => {
                let secrets = self.secrets.take().unwrap();
                secrets.shutdown().await.unwrap();
                (self.live, self.used) = (None, None);
                drop(secrets);
                "dropped"
            }
            "release" => {
                self.used = None;
                "released"
            }
            "rotated?" => {
                let live = self.live.as_ref().unwrap();
                let mut changes = live.changes();
                while live.current().unwrap().metadata().version() == self.version.as_ref() {
                    changes.next().await.unwrap().unwrap();
                }
                "rotated"
            }
            _ => "what?",
        }
    }
}
