use crate::program::{example, run};

#[test]
fn queries_run_through_every_kind_of_rotation() {
    let dir = tempfile::tempdir().unwrap();
    let (ok, printed) = run(&mut example("database_pool", dir.path()));
    assert!(ok, "{printed}");
    for line in [
        "the idle connections were reopened with version 2",
        "a query ran, logged in by version 2",
        "version 3 was refused, trying 2",
        "a query ran, logged in by version 3",
        "version 3 was refused, trying 4",
        "there is no other one to try (stale)",
    ] {
        assert!(printed.contains(line), "`{line}` is missing in:\n{printed}");
    }
}
