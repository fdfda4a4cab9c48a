//! The README shows what the commands print.

const README: &str = include_str!("../../../../README.md");

/// What follows the first commands, which need an empty folder.
const TOUR: &str = "### Would it boot?";

/// The console blocks of a page.
fn blocks(page: &str) -> impl Iterator<Item = &str> {
    let parts = page.split("```console\n").skip(1);
    parts.filter_map(|part| Some(part.split_once("\n```")?.0))
}

/// A command with what it prints.
fn command(block: &str) -> (&str, &str) {
    block.split_once('\n').unwrap_or((block, ""))
}

#[test]
fn the_readme_shows_what_the_commands_print() {
    let (_, readme) = README.split_once(TOUR).unwrap();
    let readme: Vec<_> = blocks(readme).map(command).collect();
    let tour = blocks(include_str!("../cmd/tour.trycmd"));
    let tour: Vec<_> = tour.map(command).collect();
    assert!(!tour.is_empty() && readme.len() == tour.len());
    for (command, shown) in readme {
        let tried = tour.iter().find(|(tried, _)| *tried == command);
        let (_, printed) = tried.unwrap_or_else(|| panic!("the tour doesn't try `{command}`"));
        snapbox::assert_data_eq!(shown.trim_end(), printed.trim_end().to_owned());
    }
}

/// The first commands, in an empty folder with an empty home.
#[cfg(unix)]
#[test]
fn the_first_commands_print_what_the_readme_shows() {
    let (readme, _) = README.split_once(TOUR).unwrap();
    let block = blocks(readme).next().unwrap();
    let project = crate::project::Project::new();
    let commands = block.strip_prefix("$ ").unwrap().split("\n$ ");
    for (line, shown) in commands.map(command) {
        let words: Vec<_> = line.split(' ').collect();
        assert_eq!(words[0], "strongroom");
        let ran = project.run(&words[1..]).ends(0);
        // What differs from run to run: the home, the file's id, a version.
        let mut expected = shown.replace('~', "[..]");
        for word in shown.split(['/', '.', '-', ' ', '\n']) {
            if word.len() >= 16 && word.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                expected = expected.replace(word, "[..]");
            }
        }
        snapbox::assert_data_eq!(ran.stdout() + ran.stderr().trim_end(), expected);
    }
}
