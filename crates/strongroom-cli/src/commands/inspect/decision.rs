//! The choice of a provider as a tree: what was looked for in each class, and what became of it.

use strongroom::{Candidate, Class, Detection, Verdict};

use crate::paint::{BAD, FAINT, GOOD, Marks, PLAIN, STRONG, Span};
use crate::tree::Node;

/// Draws what led to the choice.
pub(super) fn tree(detection: &Detection, marks: &Marks) -> Node {
    let label = |text: &str| Span::new(FAINT, text);
    let deployment = &detection.deployment;
    let deployment = format!("{} ({})", deployment.deployment, deployment.because);
    let manifest = detection.manifest.as_deref().unwrap_or("none");
    let manifest = format!("{manifest}, profile {}", detection.profile);
    let classes = Class::ALL.iter().map(|class| {
        let lines = of_class(detection, *class);
        let lines = lines.into_iter().map(|line| line.node(marks));
        Node::new(Span::new(PLAIN, class.as_str()), "".into()).with(lines)
    });
    Node::new(Span::new(STRONG, "a boot here"), "".into()).with([
        Node::new(label("deployment  "), deployment.into()),
        Node::new(label("manifest    "), manifest.into()),
        provider(detection).with(members(detection)).with(classes),
    ])
}

fn provider(detection: &Detection) -> Node {
    let label = Span::new(FAINT, "provider    ");
    match detection.chosen() {
        Ok(chosen) => Node::new(label, Span::new(GOOD.bold(), &chosen.address)),
        Err(error) => Node::new(label, Span::new(BAD, &format!("none: {error}"))),
    }
}

/// The providers of a chain, in their order.
fn members(detection: &Detection) -> Option<Node> {
    let chosen = detection.chosen().ok()?;
    let members = chosen.members.iter().zip(1_usize..).map(|(member, place)| {
        let text = format!("{} {}", member.name, member.address);
        Node::new(format!("{place}. ").into(), text.into())
    });
    let chain = Node::new("asked in this order".into(), "".into());
    (!chosen.members.is_empty()).then(|| chain.with(members))
}

/// What became of one or more candidates.
pub(super) struct Line {
    pub(super) verdict: Verdict,
    /// What was looked for.
    pub(super) subject: String,
    /// Where it leads, or why it leads nowhere.
    pub(super) why: String,
}

/// The candidates of a class; those that are missing for one reason are one line.
pub(super) fn of_class(detection: &Detection, class: Class) -> Vec<Line> {
    let candidates = detection.candidates.iter();
    let mut lines: Vec<Line> = Vec::new();
    for candidate in candidates.filter(|candidate| candidate.class == class) {
        let line = Line::of(candidate);
        let same = lines
            .iter_mut()
            .find(|known| line.verdict == Verdict::Missing && known.is_like(&line));
        match same {
            Some(known) => known.subject = format!("{}, {}", known.subject, line.subject),
            None => lines.push(line),
        }
    }
    // What is there comes first.
    lines.sort_by_key(|line| line.verdict == Verdict::Missing);
    lines
}

impl Line {
    fn of(candidate: &Candidate) -> Self {
        let detail = candidate.detail.as_str();
        let detailed = |text: &str| match detail {
            "" => text.to_owned(),
            detail => format!("{text} ({detail})"),
        };
        let address = candidate.address.as_deref().unwrap_or_default();
        let why = match candidate.verdict {
            Verdict::Chosen => detailed(address),
            Verdict::Outranked => format!("{}, outranked", detailed(address)),
            Verdict::Ambiguous => {
                format!("{}, as strong as another one", detailed(address))
            }
            _ if detail.is_empty() => "not there".to_owned(),
            _ => detail.to_owned(),
        };
        Self {
            verdict: candidate.verdict,
            subject: candidate.looked_for.clone(),
            why,
        }
    }

    fn is_like(&self, other: &Self) -> bool {
        self.verdict == other.verdict && self.why == other.why
    }

    fn node(&self, marks: &Marks) -> Node {
        let Self { subject, why, .. } = self;
        let (mark, style, text) = match self.verdict {
            Verdict::Chosen => (
                marks.ok,
                GOOD.bold(),
                format!("{subject} {} {why}", marks.to),
            ),
            Verdict::Outranked => (marks.bad, PLAIN, format!("{subject} {} {why}", marks.to)),
            Verdict::Ambiguous => (marks.bad, BAD, format!("{subject} {} {why}", marks.to)),
            _ => (marks.none, FAINT, format!("{why}: {subject}")),
        };
        Node::new(
            Span::new(style, &format!("{mark} ")),
            Span::new(style, &text),
        )
    }
}
