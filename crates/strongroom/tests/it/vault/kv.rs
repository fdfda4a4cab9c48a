//! The key-value store, in the details that the suite for backends knows nothing of.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::SystemTime;

use serde_json::json;
use strongroom::provider::{Expect, Put, Reply, Request, Stage};
use strongroom::{Env, ErrorKind, Secret, SecretProvider, Version};

use super::admin::{Admin, unique};
use super::calls::{connect, failed, fetch, get, place, read, read_version, target, write};
use super::open;
use super::stub::{self, Stub};

/// A provider on a mount of version 2 of its own.
async fn mounted() -> Option<(Admin, String, Arc<dyn SecretProvider>)> {
    let admin = Admin::shared()?;
    let mount = admin.mount_kv("2").await;
    let provider = open(&admin.url(&format!("/{mount}")), admin.env())
        .await
        .unwrap();
    Some((admin, mount, provider))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_version_is_read_by_its_number_and_there_is_no_version_0() {
    let Some((.., provider)) = mounted().await else {
        return;
    };
    for value in ["one", "two", "three"] {
        write(&*provider, "a", value).await.unwrap();
    }
    let version = async |number| read_version(&*provider, "a", number).await;
    assert_eq!(version("1").await.unwrap(), "one");
    assert_eq!(version("3").await.unwrap(), "three");
    for number in [
        "0",
        "00",
        "-1",
        "4",
        "99999999999999999999",
        "",
        "1x",
        "1&version=2",
    ] {
        failed(version(number).await, ErrorKind::Absent, number);
    }
    let previous = Request::new(target("a")).with_stage(Stage::Previous);
    let previous = fetch(&*provider, previous).await.unwrap();
    assert_eq!(previous.expose_bytes(), b"two");
    assert_eq!(previous.metadata().version().unwrap().as_str(), "2");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_deleted_comes_back_and_what_is_destroyed_does_not() {
    let Some((admin, mount, provider)) = mounted().await else {
        return;
    };
    write(&*provider, "a", "one").await.unwrap();
    write(&*provider, "a", "two").await.unwrap();
    provider.delete(&target("a"), &Expect::Any).await.unwrap();
    failed(read(&*provider, "a").await, ErrorKind::Absent, "deleted");
    assert_eq!(read_version(&*provider, "a", "1").await.unwrap(), "one");
    let readable: Vec<_> = provider.versions(&target("a")).await.unwrap();
    assert_eq!(
        readable
            .iter()
            .map(|past| past.readable)
            .collect::<Vec<_>>(),
        [false, true]
    );
    provider.restore(&target("a")).await.unwrap();
    assert_eq!(read(&*provider, "a").await.unwrap(), "two");

    admin
        .call(
            "PUT",
            &format!("{mount}/destroy/a"),
            json!({ "versions": [2] }),
        )
        .await;
    let restored = provider.restore(&target("a")).await.unwrap_err();
    assert_eq!(restored.kind(), ErrorKind::Absent, "{restored}");
    assert!(restored.to_string().contains("destroyed"), "{restored}");
    let destroyed = read_version(&*provider, "a", "2").await;
    let destroyed = failed(destroyed, ErrorKind::Absent, "destroyed");
    assert!(destroyed.to_string().contains("destroyed"), "{destroyed}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_a_deleted_secret_only_who_expects_none_may_write() {
    let Some((.., provider)) = mounted().await else {
        return;
    };
    let version = write(&*provider, "a", "one").await.unwrap();
    provider.delete(&target("a"), &Expect::Any).await.unwrap();
    let put = |expect| Put::new(target("a"), Secret::from_text("two")).with_expect(expect);
    let expected = Expect::Version(Version::new(version));
    let refused = provider.put(&put(expected)).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Conflict, "{refused}");
    let version = provider.put(&put(Expect::Absent)).await.unwrap();
    assert_eq!(version.unwrap().as_str(), "2");
    assert_eq!(read(&*provider, "a").await.unwrap(), "two");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_manifest_reads_from_several_mounts() {
    let Some(admin) = Admin::shared() else { return };
    let team = unique("team");
    let nested = format!("{team}/kv");
    let body = json!({ "type": "kv", "options": { "version": "2" } });
    admin
        .call("POST", &format!("sys/mounts/{nested}"), body)
        .await;
    let old = admin.mount_kv("1").await;
    admin
        .call(
            "POST",
            &format!("{nested}/data/app/a"),
            json!({ "data": { "value": "nested" } }),
        )
        .await;
    admin
        .call(
            "POST",
            &format!("{old}/legacy"),
            json!({ "user": "u", "password": "old" }),
        )
        .await;
    let manifest = format!(
        "[default.providers]\nold = \"{}\"\n[default.secrets.a]\nkind = \"opaque\"\n\
         [default.secrets.b]\nkind = \"opaque\"\n\
         source = {{ provider = \"old\", id = \"legacy\", field = \"password\" }}\n",
        admin.url(&format!("/{old}"))
    );
    let address = admin.url(&format!("/?mount={nested}&prefix=app"));
    let connection = connect(&address, admin.env(), &manifest).await.unwrap();
    assert_eq!(get(&connection, "a").await.unwrap(), "nested");
    assert_eq!(get(&connection, "b").await.unwrap(), "old");
    assert!(
        connection
            .describe()
            .address
            .contains(&format!("mount={nested}"))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_mount_of_secrets_is_said_to_be_none() {
    let Some(admin) = Admin::shared() else { return };
    let wrong = async |address: &str| {
        let provider = open(&admin.url(address), admin.env()).await.unwrap();
        read(&*provider, "a").await
    };
    let missing = failed(wrong("/of-nobody").await, ErrorKind::Denied, "missing");
    assert!(
        missing.to_string().contains("no mount `of-nobody`"),
        "{missing}"
    );
    let other = failed(
        wrong("/identity").await,
        ErrorKind::Config,
        "another engine",
    );
    assert!(other.to_string().contains("of type identity"), "{other}");
    let mount = admin.mount_kv("2").await;
    let within = failed(
        wrong(&format!("/?mount={mount}/deeper")).await,
        ErrorKind::Config,
        "a path in a mount",
    );
    assert!(
        within.to_string().contains(&format!("`{mount}` is")),
        "{within}"
    );
    assert!(within.help().unwrap().contains("prefix"), "{within}");
}

/// "Not there" about the place is not "not there" about a secret, for which a default may stand.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mount_or_namespace_that_is_not_there_is_no_absence() {
    let Some((admin, mount, provider)) = mounted().await else {
        return;
    };
    let nowhere = admin.env().with_var("VAULT_NAMESPACE", "of-nobody");
    let path = format!("/{mount}?kv=2");
    for (case, address, env) in [
        ("mount", "/of-nobody?kv=2", admin.env()),
        ("namespace", &*path, nowhere.clone()),
        ("namespace, mount asked", &*format!("/{mount}"), nowhere),
    ] {
        let provider = open(&admin.url(address), env).await.unwrap();
        failed(read(&*provider, "a").await, ErrorKind::Config, case);
        let listed = provider.list("").await.unwrap_err();
        assert_eq!(listed.kind(), ErrorKind::Config, "{case}: {listed}");
        let written = write(&*provider, "a", "v").await;
        failed(written, ErrorKind::Config, case);
    }
    write(&*provider, "a", "v").await.unwrap();
    let unmount = format!("sys/mounts/{mount}");
    admin.call("DELETE", &unmount, json!(null)).await;
    failed(read(&*provider, "a").await, ErrorKind::Config, "unmounted");
}

/// What looks like the metadata of version 2 is the secret's own here.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_field_named_metadata_gives_version_1_no_versions() {
    let Some(admin) = Admin::shared() else { return };
    let mount = admin.mount_kv("1").await;
    let provider = open(&admin.url(&format!("/{mount}")), admin.env())
        .await
        .unwrap();
    let metadata = json!({ "version": 5, "created_time": "2026-01-01T00:00:00Z",
        "deletion_time": "2026-01-01T00:00:00Z" });
    let held = format!("{mount}/a");
    let both = json!({ "value": "v", "metadata": metadata });
    admin.call("POST", &held, both).await;
    let secret = fetch(&*provider, Request::new(target("a"))).await.unwrap();
    assert_eq!(secret.metadata().version(), None);
    assert_eq!(secret.metadata().expires(), None);
    let written = write(&*provider, "a", "w").await;
    failed(written, ErrorKind::Unsupported, "a field beside others");

    admin
        .call("POST", &held, json!({ "metadata": metadata }))
        .await;
    provider
        .delete(&target("a#metadata"), &Expect::Any)
        .await
        .unwrap();
    let left = admin
        .try_call("LIST", &format!("{mount}/"), json!(null))
        .await;
    assert_eq!(
        left,
        (404, json!({ "errors": [] })),
        "something was written"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_only_read_still_learns_the_mount_s_version() {
    let Some((admin, mount, provider)) = mounted().await else {
        return;
    };
    write(&*provider, "a", "v").await.unwrap();
    let policy = unique("policy");
    let rules = format!("path \"{mount}/data/a\" {{ capabilities = [\"read\"] }}");
    admin
        .call(
            "PUT",
            &format!("sys/policies/acl/{policy}"),
            json!({ "policy": rules }),
        )
        .await;
    let token = json!({ "policies": [policy] });
    let token = admin.call("POST", "auth/token/create", token).await;
    let token = token["auth"]["client_token"].as_str().unwrap();
    let env = Env::empty().with_var("VAULT_TOKEN", token);
    let reader = open(&admin.url(&format!("/{mount}")), env).await.unwrap();
    assert_eq!(read(&*reader, "a").await.unwrap(), "v");
    failed(
        read(&*reader, "b").await,
        ErrorKind::Denied,
        "another secret",
    );
    failed(
        write(&*reader, "a", "w").await,
        ErrorKind::Denied,
        "a write",
    );
    let listed = reader.list("").await.unwrap_err();
    assert_eq!(listed.kind(), ErrorKind::Denied);
    assert!(listed.to_string().contains("may not list"), "{listed}");
}

/// A stub in the place of a gateway that lets only secrets through: a server on its own answers
/// whoever may read anything in the mount.
#[tokio::test]
async fn where_the_mount_can_t_be_looked_at_the_address_says_its_version() {
    let stub = Stub::start().await;
    stub.answer(
        "GET",
        stub::json(200, &stub::secret(1, &json!({ "value": "v" }))),
    )
    .await;
    let refusal = stub::json(403, &json!({ "errors": ["permission denied"] }));
    let mounts = wiremock::matchers::path_regex("^/v1/sys/internal/ui/mounts/");
    let refused = wiremock::Mock::given(mounts).respond_with(refusal);
    refused.with_priority(1).mount(&stub.0).await;
    let detected = open(&stub.url("/"), stub::env()).await.unwrap();
    let error = failed(read(&*detected, "a").await, ErrorKind::Denied, "detected");
    assert!(error.help().unwrap().contains("?kv=2"), "{error}");
    assert_eq!(stub.asked().await.len(), 0, "a version was guessed");
    let configured = open(&stub.url("/?kv=2"), stub::env()).await.unwrap();
    assert_eq!(read(&*configured, "a").await.unwrap(), "v");
}

/// A stub, because it counts what it is asked.
#[tokio::test]
async fn the_fields_of_one_secret_are_one_request() {
    let stub = Stub::start().await;
    let fields = json!({ "a": "1", "b": "2", "c": "3", "d": "4", "e": "5" });
    stub.answer("GET", stub::json(200, &stub::secret(7, &fields)))
        .await;
    let connection = connect(&stub.url("/"), stub::env(), "").await.unwrap();
    let names = ["a#a", "a#b", "a#c", "a#d", "a#e"].map(|name| name.parse().unwrap());
    let read = connection.fetch(&names).await;
    let values: Vec<_> = read
        .iter()
        .map(|secret| secret.as_ref().unwrap().expose_bytes())
        .collect();
    assert_eq!(values, [b"1", b"2", b"3", b"4", b"5"]);
    assert_eq!(stub.asked().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_field_that_is_no_string_comes_as_its_json() {
    let Some((admin, mount, provider)) = mounted().await else {
        return;
    };
    let data = json!({
        "number": 5432, "large": 9_007_199_254_740_991_u64, "fraction": 0.5, "yes": true,
        "nothing": null, "list": ["a", 1], "object": { "b": "ä" }, "text": "\"quoted\"",
    });
    admin
        .call("POST", &format!("{mount}/data/a"), json!({ "data": data }))
        .await;
    for (field, text) in [
        ("number", "5432"),
        ("large", "9007199254740991"),
        ("fraction", "0.5"),
        ("yes", "true"),
        ("nothing", "null"),
        ("list", "[\"a\",1]"),
        ("object", "{\"b\":\"ä\"}"),
        ("text", "\"quoted\""),
    ] {
        assert_eq!(
            read(&*provider, &format!("a#{field}")).await.unwrap(),
            text,
            "{field}"
        );
    }
    // Another field written beside them leaves each as it is.
    write(&*provider, "a#new", "v").await.unwrap();
    let now = admin
        .call("GET", &format!("{mount}/data/a"), json!(null))
        .await;
    let mut expected = data;
    expected["new"] = json!("v");
    assert_eq!(now["data"]["data"], expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn values_and_names_of_every_shape_come_back() {
    let Some((admin, mount, provider)) = mounted().await else {
        return;
    };
    let longest = format!("{}/{}", "s".repeat(120), "n".repeat(135));
    let deepest = vec!["d"; 128].join("/");
    let large = "x".repeat(64 * 1024);
    for (name, value) in [
        ("empty", ""),
        ("unicode", "pässwörd → 密码 🔑\u{0}\u{7f}\n\t\"\\/"),
        ("large", &large),
        (&longest, "long"),
        (&deepest, "deep"),
        ("A.b-c_9", "signs"),
        ("a#field.with-signs_9", "field"),
    ] {
        write(&*provider, name, value).await.unwrap();
        assert_eq!(read(&*provider, name).await.unwrap(), value, "{name}");
    }
    let too_large = Secret::from_text("x".repeat(64 * 1024 + 1));
    let refused = provider
        .put(&Put::new(target("a"), too_large.clone()))
        .await
        .unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Malformed);
    let bytes = Put::new(target("a"), Secret::from_bytes(vec![0xff, 0xfe]));
    let refused = provider.put(&bytes).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Malformed, "{refused}");
    // Somebody else may have put it there.
    let data = json!({ "data": { "value": too_large.expose_str().unwrap() } });
    admin
        .call("POST", &format!("{mount}/data/larger"), data)
        .await;
    failed(
        read(&*provider, "larger").await,
        ErrorKind::Malformed,
        "over 64 KiB",
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_is_by_text_and_without_what_was_deleted() {
    let Some((admin, mount, provider)) = mounted().await else {
        return;
    };
    for name in [
        "pay",
        "pay/card",
        "pay/cash",
        "pay/card/visa",
        "payments/x",
        "other",
    ] {
        write(&*provider, name, "v").await.unwrap();
    }
    // What is no name of ours is passed over.
    let data = json!({ "data": { "value": "v" } });
    admin
        .call("POST", &format!("{mount}/data/pay/not%20a%20name"), data)
        .await;
    provider
        .delete(&target("pay/cash"), &Expect::Any)
        .await
        .unwrap();
    let list = async |prefix| {
        let names = provider.list(prefix).await.unwrap();
        names
            .iter()
            .map(|name| name.as_str().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        list("").await,
        ["other", "pay", "pay/card", "pay/card/visa", "payments/x"]
    );
    assert_eq!(
        list("pay").await,
        ["pay", "pay/card", "pay/card/visa", "payments/x"]
    );
    assert_eq!(list("pay/").await, ["pay/card", "pay/card/visa"]);
    assert_eq!(list("pay/card/").await, ["pay/card/visa"]);
    assert_eq!(list("paym").await, ["payments/x"]);
    assert_eq!(list("none/at/all").await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_with_rules_of_its_own_is_read_and_written() {
    let Some((admin, mount, provider)) = mounted().await else {
        return;
    };
    let rules = json!({ "cas_required": true, "delete_version_after": "1h", "max_versions": 1 });
    // A mount that was just made refuses this for a moment.
    while admin
        .try_call("POST", &format!("{mount}/config"), rules.clone())
        .await
        .0
        == 400
    {}
    for value in ["one", "two"] {
        write(&*provider, "a", value).await.unwrap();
    }
    let secret = fetch(&*provider, Request::new(target("a"))).await.unwrap();
    assert_eq!(secret.expose_bytes(), b"two");
    let left = secret
        .metadata()
        .expires()
        .unwrap()
        .duration_since(SystemTime::now())
        .unwrap();
    assert!((3000..=3600).contains(&left.as_secs()), "{left:?}");
    let previous = Request::new(target("a")).with_stage(Stage::Previous);
    let previous = fetch(&*provider, previous).await.unwrap_err();
    assert_eq!(previous.kind(), ErrorKind::Absent, "{previous}");
    failed(
        read_version(&*provider, "a", "1").await,
        ErrorKind::Absent,
        "over the most",
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_id_is_a_path_of_the_mount_and_leads_nowhere_else() {
    let Some((admin, mount, provider)) = mounted().await else {
        return;
    };
    let value = |value: &str| json!({ "data": { "field": value } });
    admin
        .call("POST", &format!("{mount}/data/plain/path"), value("plain"))
        .await;
    admin
        .call(
            "POST",
            &format!("{mount}/data/odd%20%252e%252e%3Fversion=1%23x"),
            value("odd"),
        )
        .await;
    let by_id = async |id: &str| {
        let secret = fetch(&*provider, Request::new(place(id, "field"))).await?;
        secret.expose_str().map(str::to_owned)
    };
    assert_eq!(by_id("plain/path").await.unwrap(), "plain");
    assert_eq!(by_id("odd %2e%2e?version=1#x").await.unwrap(), "odd");
    for id in [
        "..",
        "../x",
        "a/../plain/path",
        "a/..",
        "./plain/path",
        "a//b",
        "a/\n",
        "",
        "/",
    ] {
        failed(by_id(id).await, ErrorKind::Config, &format!("{id:?}"));
    }
    for id in [
        "%2e%2e/plain/path",
        "a/%2E%2e/plain/path",
        "plain/path?version=1",
        "plain/path#",
    ] {
        failed(by_id(id).await, ErrorKind::Absent, &format!("{id:?}"));
    }
    // By its own id, what stands before names does not stand before it.
    let below = open(&admin.url(&format!("/{mount}/below")), admin.env())
        .await
        .unwrap();
    let plain = fetch(&*below, Request::new(place("plain/path", "field")))
        .await
        .unwrap();
    assert_eq!(plain.expose_bytes(), b"plain");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writers_of_different_fields_lose_none() {
    let Some((admin, mount, _)) = mounted().await else {
        return;
    };
    // Four services, as it were.
    let mut providers = Vec::new();
    for _ in 0..4 {
        providers.push(
            open(&admin.url(&format!("/{mount}")), admin.env())
                .await
                .unwrap(),
        );
    }
    let mut writers = tokio::task::JoinSet::new();
    for at in 0..32 {
        let provider = Arc::clone(&providers[at % 4]);
        writers.spawn(async move {
            let (name, value) = (format!("document#field{at}"), format!("value{at}"));
            write(&*provider, &name, &value).await.unwrap()
        });
    }
    let versions: HashSet<_> = writers.join_all().await.into_iter().collect();
    assert_eq!(versions.len(), 32, "each write is a version of its own");
    let all: Vec<_> = (0..32)
        .map(|at| Request::new(target(&format!("document#field{at}"))))
        .collect();
    for (at, reply) in providers[0].fetch(&all).await.into_iter().enumerate() {
        let Reply::Value(secret) = reply.unwrap() else {
            panic!("nothing was known")
        };
        assert_eq!(secret.expose_bytes(), format!("value{at}").as_bytes());
        assert_eq!(secret.metadata().version().unwrap().as_str(), "32");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_name_in_two_namespaces_is_two_secrets() {
    let Some(admin) = Admin::shared() else { return };
    let mount = unique("kv");
    let mut shown = HashSet::new();
    for way in ["address", "variable"] {
        let namespace = admin.make_namespace().await;
        let within = admin.within(&namespace);
        let body = json!({ "type": "kv", "options": { "version": "2" } });
        within
            .call("POST", &format!("sys/mounts/{mount}"), body)
            .await;
        let (address, env) = match way {
            "address" => (format!("/{mount}?namespace={namespace}"), admin.env()),
            _ => (
                format!("/{mount}"),
                admin.env().with_var("VAULT_NAMESPACE", &namespace),
            ),
        };
        let provider = open(&admin.url(&address), env).await.unwrap();
        write(&*provider, "a", way).await.unwrap();
        assert_eq!(read(&*provider, "a").await.unwrap(), way);
        assert!(provider.describe().address.contains(&namespace));
        shown.insert(provider.describe().address);
    }
    assert_eq!(shown.len(), 2, "{shown:?}");
    let outside = open(&admin.url(&format!("/{mount}")), admin.env())
        .await
        .unwrap();
    failed(read(&*outside, "a").await, ErrorKind::Denied, "outside");
}
