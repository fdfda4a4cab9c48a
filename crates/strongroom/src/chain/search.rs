//! Finding the member that answers for each document.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::{Chain, Member, no_answer};
use crate::error::{Error, ErrorKind, Result};
use crate::provider::{Reply, Request, Stage, Target};

impl Chain {
    /// Looks for the documents that no member is fixed for, member by member, and fixes who answers.
    ///
    /// What was answered on the way is returned. What is left without an answer is of a document for
    /// which a member is fixed now, and is for that one to answer.
    pub(super) async fn search(&self, wanted: &[Request]) -> Vec<Option<Result<Reply>>> {
        let mut answers: Vec<_> = wanted.iter().map(|_| None).collect();
        let mut sought = self.sought(wanted);
        for member in &self.members {
            if sought.is_empty() {
                break;
            }
            sought = self.look(member, sought, &mut answers).await;
        }
        for sought in sought {
            let nowhere = sought.nowhere();
            sought.answer(&mut answers, Err(nowhere));
        }
        answers
    }

    /// What is wanted of documents that no member is fixed for, and what else is declared of them.
    fn sought(&self, wanted: &[Request]) -> Vec<Sought> {
        let open = wanted.iter().enumerate();
        let open = open.filter(|(_, request)| self.fixed(&request.target).is_none());
        let mut sought: Vec<_> = open
            .map(|(at, request)| Sought {
                target: request.target.clone(),
                place: Some(at),
                is_current: request.stage == Stage::Current,
                absences: Vec::new(),
            })
            .collect();
        let documents: BTreeSet<_> = sought.iter().map(|s| s.target.document()).collect();
        let is_beside = |target: &&Target| {
            documents.contains(target.document()) && !sought.iter().any(|s| s.target == **target)
        };
        let beside = self.declared.iter().filter(is_beside).cloned();
        let beside: Vec<_> = beside
            .map(|target| Sought {
                target,
                place: None,
                is_current: true,
                absences: Vec::new(),
            })
            .collect();
        sought.extend(beside);
        sought
    }

    /// Asks one member for all that is sought; returns what is for the next one to answer.
    async fn look(
        &self,
        member: &Arc<Member>,
        sought: Vec<Sought>,
        answers: &mut [Option<Result<Reply>>],
    ) -> Vec<Sought> {
        // Current values, and no known version: another stage may be absent where the document is,
        // and two backends may give one version to two values.
        let requests: Vec<_> = sought
            .iter()
            .map(|s| Request::new(s.target.clone()))
            .collect();
        let mut replies = member.provider.fetch(&requests).await.into_iter();
        let replies: Vec<_> = sought
            .iter()
            .map(|s| replies.next().unwrap_or_else(|| Err(no_answer(&s.target))))
            .collect();

        let mut standings: HashMap<String, Standing> = HashMap::new();
        for (sought, reply) in sought.iter().zip(&replies) {
            let document = sought.target.document().to_owned();
            let standing = standings.entry(document).or_insert(Standing::Absent);
            match reply {
                Ok(_) => *standing = Standing::Answered,
                Err(error) if error.kind() == ErrorKind::Absent => {}
                Err(error) if *standing == Standing::Absent => {
                    *standing = Standing::Failed(error.kind());
                }
                Err(_) => {}
            }
        }

        let mut next = Vec::new();
        for (mut sought, reply) in sought.into_iter().zip(replies) {
            let document = sought.target.document();
            match (standings.get(document), reply) {
                (Some(Standing::Answered), reply) => {
                    // Somebody else may have found it elsewhere meanwhile; then that one answers.
                    if self.fix(document, member) && sought.is_current {
                        let reply = member.own(reply, &sought.target);
                        sought.answer(answers, reply);
                    }
                }
                (Some(Standing::Failed(kind)), Err(error)) if error.kind() == ErrorKind::Absent => {
                    let undecided = sought.undecided(member, *kind);
                    sought.answer(answers, Err(undecided));
                }
                (_, Err(error)) if error.kind() == ErrorKind::Absent => {
                    sought.absences.push(sought.absence(member, &error));
                    next.push(sought);
                }
                (_, reply) => sought.answer(answers, reply),
            }
        }
        next
    }
}

/// How a document stands with one member.
#[derive(PartialEq)]
enum Standing {
    /// Nothing of it is there.
    Absent,
    /// Something of it is there.
    Answered,
    /// Nobody knows: something of it could not be read.
    Failed(ErrorKind),
}

/// One secret that is looked for.
struct Sought {
    target: Target,
    /// Where its answer belongs; nowhere for what nobody asked for.
    place: Option<usize>,
    is_current: bool,
    /// What the members said that don't have it.
    absences: Vec<String>,
}

impl Sought {
    fn answer(&self, answers: &mut [Option<Result<Reply>>], reply: Result<Reply>) {
        if let Some(answer) = self.place.and_then(|at| answers.get_mut(at)) {
            *answer = Some(reply);
        }
    }

    fn absence(&self, member: &Member, error: &Error) -> String {
        let text = error.to_string();
        let prefix = format!("secret `{}`: ", self.target.name);
        format!(
            "{}: {}",
            member.name,
            text.strip_prefix(&prefix).unwrap_or(&text)
        )
    }

    fn nowhere(&self) -> Error {
        let absences = self.absences.join("; ");
        let message = format!("no provider of the chain holds it: {absences}");
        Error::new(ErrorKind::Absent, message)
            .with_help("put it into one of them")
            .with_name(&self.target.name)
    }

    /// The error of what is absent from a document of which another part could not be read: to go
    /// on to the next member might answer for one document from two.
    fn undecided(&self, member: &Member, kind: ErrorKind) -> Error {
        let document = self.target.document();
        let message = format!(
            "`{}` could not read another part of `{document}`, so the next provider of the chain \
             is not asked",
            member.name
        );
        Error::new(kind, message)
            .with_help("the error of that part says what to do")
            .with_name(&self.target.name)
    }
}
