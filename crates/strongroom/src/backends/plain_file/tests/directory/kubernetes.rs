//! Volumes of Kubernetes: one generation for each call, and nothing written.

use super::*;

/// One generation of a Kubernetes mount, swapped in as the kubelet does it.
fn swap(root: &Path, generation: u32) {
    let name = format!("..gen_{generation}");
    for key in ["user", "pass", "nested/key"] {
        write(&root.join(&name), key, generation.to_string());
    }
    let data = root.join("..data");
    let old = fs::read_link(&data).ok();
    symlink(&name, root.join("..data_tmp")).unwrap();
    fs::rename(root.join("..data_tmp"), &data).unwrap();
    if let Some(old) = old {
        fs::remove_dir_all(root.join(old)).unwrap();
    }
}

fn kubernetes(root: &Path) {
    swap(root, 0);
    for key in ["user", "pass", "nested"] {
        symlink(Path::new("..data").join(key), root.join(key)).unwrap();
    }
}

async fn generations_never_mix(root: &Path, mount: PathBuf, names: [&str; 3]) {
    let provider = open_at(root).await;
    let done = Arc::new(AtomicBool::new(false));
    let swapper = {
        let done = Arc::clone(&done);
        std::thread::spawn(move || {
            for generation in 1..=300 {
                swap(&mount, generation);
                std::thread::sleep(Duration::from_micros(500));
            }
            done.store(true, Ordering::Release);
        })
    };
    let wanted = names.map(|text| Request::from(name(text)));
    let mut seen = std::collections::BTreeSet::new();
    loop {
        let last = done.load(Ordering::Acquire);
        let replies = provider.fetch(&wanted).await;
        let mut values = replies.into_iter().map(|reply| match reply.unwrap() {
            Reply::Value(secret) => secret.expose_str().unwrap().to_owned(),
            Reply::Unchanged => unreachable!(),
        });
        let first = values.next().unwrap();
        assert!(
            values.all(|value| value == first),
            "two generations in one batch"
        );
        seen.insert(first);
        if last {
            break;
        }
    }
    swapper.join().unwrap();
    assert!(seen.contains("300") && seen.len() > 1, "{seen:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kubernetes_generations_never_mix() {
    let dir = dir();
    kubernetes(dir.path());
    let mount = dir.path().to_owned();
    generations_never_mix(dir.path(), mount, ["user", "pass", "nested/key"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nor_do_those_of_a_mount_below_the_root() {
    let dir = dir();
    let mount = dir.path().join("db");
    fs::create_dir(&mount).unwrap();
    kubernetes(&mount);
    generations_never_mix(dir.path(), mount, ["db/user", "db/pass", "db/nested/key"]).await;
}

#[tokio::test]
async fn a_kubernetes_mount_is_read_only_and_listed_by_its_keys() {
    let dir = dir();
    kubernetes(dir.path());
    let provider = open_at(dir.path()).await;
    assert!(!provider.describe().writable);
    assert_eq!(list(&provider).await, ["nested/key", "pass", "user"]);
    for error in [
        put(&provider, "user", "x").await.unwrap_err(),
        put(&provider, "new", "x").await.unwrap_err(),
        provider
            .delete(&target("user"), &Expect::Any)
            .await
            .unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.help().is_some());
    }
    let secret = fetch(&provider, "user").await.unwrap();
    assert!(secret.metadata().version().is_some());
    assert_eq!(
        fs::read_dir(dir.path()).unwrap().count(),
        5,
        "no lock file in a mount"
    );
    // The same below a directory that can be written, and for a single link.
    let outer = self::dir();
    fs::create_dir(outer.path().join("db")).unwrap();
    kubernetes(&outer.path().join("db"));
    write(outer.path(), "real", "v");
    symlink("real", outer.path().join("link")).unwrap();
    let provider = open_at(outer.path()).await;
    for name in ["db/user", "db/new", "link"] {
        let error = put(&provider, name, "x").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{name}");
    }
    assert_eq!(text(&provider, "real").await, "v");
}
