use crate::program::{example, run};

#[cfg(unix)]
mod serving;

#[test]
fn without_arguments_it_plays_all_sides() {
    let dir = tempfile::tempdir().unwrap();
    let (ok, printed) = run(&mut example("bearer", dir.path()));
    assert!(ok, "{printed}");
    let guesses = "  401 Unauthorized for a guess\n".repeat(9);
    let expected = format!(
        "\
Monday
  200 OK for the token
  401 Unauthorized for another token
  401 Unauthorized for another scheme
  401 Unauthorized for no header
Tuesday: a new token, and an overlap in which the old one still counts
  200 OK for the new token
  200 OK for the old token
Somebody guesses
{guesses}  429 Too Many Requests for a guess
  429 Too Many Requests for the new token from there
"
    );
    assert_eq!(printed, expected);
}
