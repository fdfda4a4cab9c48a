//! The README shows what the commands print.

/// The commands of a page with what they print, in order.
fn blocks(page: &str) -> Vec<(&str, &str)> {
    page.split("```console\n")
        .skip(1)
        .filter_map(|part| part.split_once("\n```"))
        .map(|(block, _)| block.split_once('\n').unwrap_or((block, "")))
        .collect()
}

#[test]
fn the_readme_shows_what_the_commands_print() {
    let readme = blocks(include_str!("../../../../README.md"));
    let tour = blocks(include_str!("../cmd/tour.trycmd"));
    assert!(!tour.is_empty() && readme.len() == tour.len());
    for (command, shown) in readme {
        let tried = tour.iter().find(|(tried, _)| *tried == command);
        let (_, printed) = tried.unwrap_or_else(|| panic!("the tour doesn't try `{command}`"));
        snapbox::assert_data_eq!(shown.trim_end(), printed.trim_end().to_owned());
    }
}
