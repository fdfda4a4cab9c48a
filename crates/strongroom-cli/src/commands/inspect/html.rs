//! The picture as one page for people who review: no script, nothing that is loaded, no value.

use std::borrow::Cow;
use std::fmt::Write as _;

use strongroom::{Class, Detection, Error, Finding, Severity, Verdict};

use super::Seen;
use super::decision::{self, Line};
use super::secrets::{self, Rank, Shown};
use crate::report::{causes, printable};

/// What tells our pages, which are written anew, from the files of others.
pub(super) const GENERATOR: &str = r#"<meta name="generator" content="strongroom inspect">"#;

const STYLE: &str = include_str!("page.css");

/// Makes the page. `at` is when, in words.
pub(super) fn page(detection: &Detection, seen: &Result<Option<Seen>, Error>, at: &str) -> String {
    let there = seen.as_ref().ok().and_then(Option::as_ref);
    let shown = there.map(|seen| secrets::shown(&seen.secrets, &seen.provider));
    let findings = there.map_or(detection.warnings.as_slice(), |seen| &seen.findings);
    let provider = match detection.chosen() {
        Ok(chosen) => chosen.address.as_str(),
        Err(_) => "no provider",
    };
    let error = seen.as_ref().err().map(failure).unwrap_or_default();
    let secrets = shown.as_deref().map(secrets_table).unwrap_or_default();
    let tiles = tiles(shown.as_deref().unwrap_or_default(), findings);
    let version = env!("CARGO_PKG_VERSION");
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n{GENERATOR}\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src \
         'unsafe-inline'; base-uri 'none'; form-action 'none'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"referrer\" content=\"no-referrer\">\n\
         <title>Secrets from {provider}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n\
         <header>\n<p class=\"over\">What a boot here would read its secrets from</p>\n\
         <h1>{provider}</h1>\n{facts}{tiles}</header>\n<main>\n\
         {error}{secrets}{findings}{decision}{settings}</main>\n\
         <footer>Written by strongroom {version} at {at}. No value of a secret is on this page.</footer>\n\
         </body>\n</html>\n",
        provider = escaped(provider),
        facts = facts(detection),
        findings = findings_list(findings),
        decision = decision_tree(detection),
        settings = settings_table(detection),
        at = escaped(at),
    )
}

fn facts(detection: &Detection) -> String {
    let deployment = &detection.deployment;
    let deployment = format!("{} ({})", deployment.deployment, deployment.because);
    let chosen = detection.chosen().ok();
    let because = chosen.map(|chosen| format!("{} ({} class)", chosen.because, chosen.class));
    let facts = [
        ("Deployment", Some(deployment)),
        (
            "Manifest",
            Some(
                detection
                    .manifest
                    .clone()
                    .unwrap_or_else(|| "none".to_owned()),
            ),
        ),
        ("Profile", Some(detection.profile.clone())),
        ("Chosen by", because),
    ];
    let mut out = String::from("<dl class=\"facts\">\n");
    for (name, fact) in facts {
        if let Some(fact) = fact {
            put(
                &mut out,
                format_args!(
                    "<div><dt>{name}</dt><dd class=\"text\">{}</dd></div>\n",
                    prose(&fact)
                ),
            );
        }
    }
    out + "</dl>\n"
}

/// The states of the secrets and the findings, counted.
fn tiles(secrets: &[Shown<'_>], findings: &[Finding]) -> String {
    let mut counts: Vec<(&str, &str, usize)> = Vec::new();
    let mut count = |class, word| match counts.iter_mut().find(|(_, known, _)| *known == word) {
        Some((_, _, count)) => *count = count.saturating_add(1),
        None => counts.push((class, word, 1)),
    };
    for shown in secrets {
        count(class(shown.rank), shown.word);
    }
    for finding in findings {
        match finding.severity {
            Severity::Violation => count("bad", "violations"),
            Severity::Warning => count("warn", "warnings"),
        }
    }
    if counts.is_empty() {
        return String::new();
    }
    let mut out = String::from("<ul class=\"tiles\" aria-label=\"Summary\">\n");
    for (class, word, count) in counts {
        put(
            &mut out,
            format_args!("<li class=\"tile {class}\"><b>{count}</b> {word}</li>\n"),
        );
    }
    out + "</ul>\n"
}

fn failure(error: &Error) -> String {
    let mut what = vec![error.to_string()];
    what.extend(causes(error));
    let help = help(error.help().unwrap_or_default());
    let what = prose(&what.join(": "));
    section(
        "error",
        "Why there is no more to show",
        &format!("<p class=\"text\">{what}</p>\n{help}"),
    )
}

fn secrets_table(secrets: &[Shown<'_>]) -> String {
    if secrets.is_empty() {
        return section("", "Secrets", "<p>No secret is declared.</p>\n");
    }
    let mut rows = String::new();
    for shown in secrets {
        put(&mut rows, format_args!("{}", secret_row(shown)));
    }
    let heads = ["Secret", "State", "Age", "Kind", "Version", "Grade"];
    let summary = secrets::summary(secrets);
    section(
        "",
        "Secrets",
        &table(
            &format!("{summary}. What a boot would fail on comes first."),
            &heads,
            &rows,
        ),
    )
}

fn secret_row(shown: &Shown<'_>) -> String {
    let Shown { state, word, .. } = shown;
    let mut notes = String::new();
    let mut note = |text: &str| {
        put(
            &mut notes,
            format_args!("<span class=\"note text\">{}</span>", prose(text)),
        );
    };
    if let Some(description) = &state.description {
        note(description);
    }
    if let Some(provider) = shown.elsewhere {
        note(&format!("from {provider}"));
    }
    if !state.required {
        note("optional");
    }
    let cells = [
        cell("Age", "age", shown.age.as_deref().unwrap_or_default()),
        cell("Kind", "", &state.kind.to_string()),
        cell(
            "Version",
            "version",
            shown.version.as_deref().unwrap_or_default(),
        ),
        cell("Grade", "text", &shown.grade),
    ];
    format!(
        "<tr role=\"row\"><th role=\"rowheader\" scope=\"row\"><code>{}</code>{notes}</th>\
         <td role=\"cell\" data-head=\"State\"><span><span class=\"chip {}\">{} {word}</span></span></td>{}</tr>\n",
        escaped(state.name.as_str()),
        class(shown.rank),
        mark(shown.rank),
        cells.concat(),
    )
}

fn findings_list(findings: &[Finding]) -> String {
    if findings.is_empty() {
        return String::new();
    }
    let mut sorted: Vec<&Finding> = findings.iter().collect();
    sorted.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    let mut out = String::from("<ul class=\"findings\">\n");
    for finding in sorted {
        let (class, word) = match finding.severity {
            Severity::Violation => ("bad", "✗ violation"),
            Severity::Warning => ("warn", "! warning"),
        };
        let name = finding.name.as_ref().map_or_else(String::new, |name| {
            format!("<code>{}</code>: ", escaped(name.as_str()))
        });
        put(
            &mut out,
            format_args!(
                "<li><span class=\"chip {class}\">{word}</span> <code>{}</code>\
             <p class=\"what text\">{name}{}</p>{}</li>\n",
                escaped(finding.rule),
                prose(&finding.message),
                help(&finding.help),
            ),
        );
    }
    section("", "Findings", &(out + "</ul>\n"))
}

fn decision_tree(detection: &Detection) -> String {
    let mut out = String::from("<ul class=\"tree\">\n");
    if let Ok(chosen) = detection.chosen()
        && !chosen.members.is_empty()
    {
        out.push_str("<li><span class=\"class\">Chain, asked in this order</span>\n<ol>\n");
        for member in &chosen.members {
            let member = format!("{} {}", member.name, member.address);
            put(
                &mut out,
                format_args!("<li class=\"text\">{}</li>\n", escaped(&member)),
            );
        }
        out.push_str("</ol></li>\n");
    }
    for class in Class::ALL {
        let lines = decision::of_class(detection, *class);
        let lines: String = lines.iter().map(candidate).collect();
        put(
            &mut out,
            format_args!(
                "<li><span class=\"class\">{}</span>\n<ul>\n{lines}</ul></li>\n",
                escaped(class.as_str()),
            ),
        );
    }
    section(
        "",
        "How it was chosen",
        &format!(
            "<p class=\"over\">The strongest class in which something is there decides.</p>\n{out}</ul>\n"
        ),
    )
}

fn candidate(line: &Line) -> String {
    let (item, class, word) = match line.verdict {
        Verdict::Chosen => ("chosen", "good", "✓ chosen"),
        Verdict::Outranked => ("", "", "✗ outranked"),
        Verdict::Ambiguous => ("", "bad", "✗ ambiguous"),
        _ => ("gone", "", "· not there"),
    };
    format!(
        "<li class=\"{item}\"><span class=\"line\"><span class=\"chip {class}\">{word}</span> \
         <span class=\"text\">{}: {}</span></span></li>\n",
        prose(&line.subject),
        prose(&line.why),
    )
}

fn settings_table(detection: &Detection) -> String {
    if detection.settings.is_empty() {
        return String::new();
    }
    let mut rows = String::new();
    for setting in &detection.settings {
        put(
            &mut rows,
            format_args!(
                "<tr role=\"row\"><th role=\"rowheader\" scope=\"row\"><code>{}</code></th>{}{}</tr>\n",
                escaped(&setting.key),
                cell("Value", "text", &setting.value),
                cell("From", "text", &setting.origin),
            ),
        );
    }
    let caption =
        "Each setting in force, and the file and line, or the variable, that it comes from.";
    section(
        "",
        "Settings",
        &table(caption, &["Setting", "Value", "From"], &rows),
    )
}

fn section(class: &str, title: &str, body: &str) -> String {
    format!("<section class=\"card {class}\">\n<h2>{title}</h2>\n{body}</section>\n")
}

/// A table whose roles are told, since a narrow screen lays its cells out as blocks.
fn table(caption: &str, heads: &[&str], rows: &str) -> String {
    let heads: String = heads
        .iter()
        .map(|head| format!("<th role=\"columnheader\" scope=\"col\">{head}</th>"))
        .collect();
    format!(
        "<table role=\"table\">\n<caption>{caption}</caption>\n<thead role=\"rowgroup\">\
         <tr role=\"row\">{heads}</tr></thead>\n<tbody role=\"rowgroup\">\n{rows}</tbody>\n</table>\n"
    )
}

fn cell(head: &str, class: &str, text: &str) -> String {
    let class = match text {
        "" => "empty",
        _ => class,
    };
    format!(
        "<td role=\"cell\" class=\"{class}\" data-head=\"{head}\"><span>{}</span></td>",
        prose(text)
    )
}

fn help(text: &str) -> String {
    match text {
        "" => String::new(),
        text => format!("<p class=\"help text\">What to do: {}</p>", prose(text)),
    }
}

fn class(rank: Rank) -> &'static str {
    match rank {
        Rank::Bad => "bad",
        Rank::Warning => "warn",
        Rank::Fine => "good",
        Rank::None => "",
    }
}

fn mark(rank: Rank) -> &'static str {
    match rank {
        Rank::Bad => "✗",
        Rank::Warning => "!",
        Rank::Fine => "✓",
        Rank::None => "·",
    }
}

/// Escapes a text, and shows what stands between backticks as code.
fn prose(text: &str) -> String {
    let escaped = escaped(text);
    let mut parts = escaped.split(BACKTICK);
    let mut out = parts.next().unwrap_or_default().to_owned();
    while let Some(code) = parts.next() {
        let behind = parts.next();
        match behind {
            Some(behind) => put(&mut out, format_args!("<code>{code}</code>{behind}")),
            // What opens is not closed.
            None => put(&mut out, format_args!("{BACKTICK}{code}")),
        }
    }
    out
}

/// Writes to memory, which has no error.
fn put(out: &mut String, text: std::fmt::Arguments<'_>) {
    let _ = out.write_fmt(text);
}

const BACKTICK: &str = "&#96;";

/// Makes a text of others mean nothing to a browser, and turn no text around.
fn escaped(text: &str) -> Cow<'_, str> {
    let special = |c: char| matches!(c, '&' | '<' | '>' | '"' | '\'' | '`');
    let text = printable(text);
    if !text.contains(special) {
        return text;
    }
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // Old browsers took it for a quotation mark.
            '`' => out.push_str(BACKTICK),
            c => out.push(c),
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn an_escaped_text_opens_and_closes_nothing(text in "[<>\"'&`;#a-z\u{202e}\u{1b} ]{0,40}") {
            let escaped = escaped(&text).into_owned();
            let special = ['<', '>', '"', '\'', '`', '\u{202e}', '\u{1b}'];
            proptest::prop_assert!(!escaped.contains(special));
            let mut read = escaped;
            for (written, c) in [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"), ("&#96;", "`")] {
                read = read.replace(written, c);
            }
            let read = read.replace("&amp;", "&");
            proptest::prop_assert_eq!(read, text.replace(['\u{202e}', '\u{1b}'], "\u{fffd}"));
        }
    }
}
