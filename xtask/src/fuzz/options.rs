//! What `cargo xtask fuzz` is asked for.

use crate::Result;

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Options {
    pub(super) targets: Vec<String>,
    pub(super) length: Length,
    /// How many targets run at one time; as many as there are cores if not told.
    pub(super) jobs: Option<usize>,
    /// With AddressSanitizer, which slows down by half and finds what only `unsafe` code can do wrong.
    pub(super) address: bool,
    /// The page that the counts are written to.
    pub(super) record: Option<String>,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Length {
    /// For all targets together.
    Minutes(usize),
    /// Of each target.
    Runs(u64),
}

impl Options {
    pub(super) fn parse(args: &[&str], all: &[String]) -> Result<Self> {
        let mut options = Self {
            targets: Vec::new(),
            length: Length::Minutes(5),
            jobs: None,
            address: false,
            record: None,
        };
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            let mut value = || args.next().ok_or_else(|| format!("{arg} needs a value"));
            let number = |text: &str| text.parse::<u64>().ok().filter(|number| *number > 0);
            let wrong = || format!("{arg} takes a whole number from 1");
            let small = |text: &str| number(text).and_then(|number| usize::try_from(number).ok());
            match *arg {
                "--minutes" => {
                    options.length = Length::Minutes(small(value()?).ok_or_else(wrong)?);
                }
                "--runs" => options.length = Length::Runs(number(value()?).ok_or_else(wrong)?),
                "--jobs" => options.jobs = Some(small(value()?).ok_or_else(wrong)?),
                "--record" => options.record = Some((*value()?).to_owned()),
                "--sanitizer" => match *value()? {
                    "address" => options.address = true,
                    other => {
                        return Err(format!("there is no sanitizer `{other}` here: `address`"));
                    }
                },
                name if all.iter().any(|known| known == name) => {
                    options.targets.push(name.to_owned());
                }
                name => {
                    let known = all.join(", ");
                    return Err(format!("there is no target `{name}`; there are {known}"));
                }
            }
        }
        if options.targets.is_empty() {
            options.targets = all.to_vec();
        }
        Ok(options)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &[&str]) -> Result<Options> {
        Options::parse(args, &["name".to_owned(), "toml".to_owned()])
    }

    #[test]
    fn five_minutes_over_all_targets_if_nothing_is_told() {
        let options = parse(&[]).unwrap();
        assert_eq!(options.targets, ["name", "toml"]);
        assert_eq!(options.length, Length::Minutes(5));
        assert!(!options.address);
    }

    #[test]
    fn a_target_and_a_number_of_runs() {
        let options = parse(&["toml", "--runs", "2000000", "--jobs", "1"]).unwrap();
        assert_eq!(options.targets, ["toml"]);
        assert_eq!(options.length, Length::Runs(2_000_000));
        assert_eq!(options.jobs, Some(1));
    }

    #[test]
    fn what_is_no_option_is_refused() {
        for args in [
            &["tom"][..],
            &["--runs"],
            &["--runs", "0"],
            &["--minutes", "-1"],
            &["--jobs", "many"],
            &["--sanitizer", "thread"],
        ] {
            assert!(parse(args).is_err(), "{args:?}");
        }
    }
}
