//! Which name a key of another tool's file becomes.

use strongroom::{Declared, Error, ErrorKind, Result, SecretName};

use super::kubernetes;

/// How keys become names.
pub(crate) struct Mapping<'a> {
    pub(crate) declared: Vec<&'a Declared>,
    /// Keys whose names were given.
    pub(crate) given: Vec<(&'a str, SecretName)>,
    /// A beginning that keys have, and names don't.
    pub(crate) strip: &'a str,
    /// Whether keys are variables, which spell less than a name.
    pub(crate) variables: bool,
}

impl Mapping<'_> {
    /// Returns the name of a key: the given one; that of the declared secret whose variable, name or
    /// flat spelling it is; otherwise its own text, a variable's in small letters.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] if it spells two declared names, or none that is possible.
    pub(crate) fn name(&self, key: &str) -> Result<SecretName> {
        if let Some((_, name)) = self.given.iter().find(|(given, _)| *given == key) {
            return Ok(name.clone());
        }
        let stripped = key.strip_prefix(self.strip).unwrap_or(key);
        let own = |known: &&&Declared| {
            let variable = known.variable.as_deref();
            variable == Some(key) || variable == Some(stripped) || known.name.as_str() == stripped
        };
        if let Some(known) = self.declared.iter().find(own) {
            return Ok(known.name.clone());
        }
        let spelled = |known: &&&Declared| {
            let name = &known.name;
            known.variable.is_none() && name.to_variable() == stripped
                || kubernetes::key(name.as_str()) == stripped
                || name.as_str().replace(['/', '#'], "_") == stripped
        };
        let mut spelled = self.declared.iter().filter(spelled);
        match (spelled.next(), spelled.next()) {
            (Some(known), None) => Ok(known.name.clone()),
            (Some(one), Some(other)) => {
                let message = format!("one key spells both `{}` and `{}`", one.name, other.name);
                Err(Error::new(ErrorKind::Config, message)
                    .with_help("say which it is by --map KEY=NAME"))
            }
            (None, _) if self.variables && is_variable(stripped) => {
                SecretName::parse(stripped.to_ascii_lowercase())
            }
            (None, _) => SecretName::parse(stripped),
        }
    }
}

fn is_variable(key: &str) -> bool {
    key.chars()
        .all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;
    use strongroom::Kind;

    fn declared(name: &'static str) -> Declared {
        Declared::new(SecretName::from_static(name), Kind::Opaque)
    }

    #[test]
    fn declared_variables_come_first_then_spellings_then_the_text() {
        let all = [
            declared("database#password").with_variable("PGPASSWORD"),
            declared("api/token"),
        ];
        let mapping = |strip, variables| Mapping {
            declared: all.iter().collect(),
            given: vec![("ODD", SecretName::from_static("quite/other"))],
            strip,
            variables,
        };
        for (strip, variables, key, name) in [
            ("", true, "PGPASSWORD", "database#password"),
            ("", true, "API_TOKEN", "api/token"),
            ("APP_", true, "APP_API_TOKEN", "api/token"),
            ("APP_", true, "APP_PGPASSWORD", "database#password"),
            ("", false, "api.token", "api/token"),
            ("", false, "api/token", "api/token"),
            ("", true, "ODD", "quite/other"),
            ("", true, "STRIPE_KEY", "stripe_key"),
            ("", true, "stripeKey", "stripeKey"),
            ("", false, "STRIPE_KEY", "STRIPE_KEY"),
            ("", false, "a/b#c", "a/b#c"),
        ] {
            assert_eq!(
                mapping(strip, variables).name(key).unwrap().as_str(),
                name,
                "{key}"
            );
        }
        assert!(mapping("", false).name("a b").is_err());
    }

    #[test]
    fn a_key_that_spells_two_names_is_refused() {
        let all = [declared("a/b"), declared("a#b")];
        let mapping = Mapping {
            declared: all.iter().collect(),
            given: Vec::new(),
            strip: "",
            variables: true,
        };
        assert_eq!(mapping.name("A_B").unwrap_err().kind(), ErrorKind::Config);
        assert_eq!(mapping.name("a#b").unwrap().as_str(), "a#b");
    }
}
