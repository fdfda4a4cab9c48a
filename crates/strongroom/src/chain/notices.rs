//! The change notices of all members, as one.

use std::fmt;
use std::future::{pending, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::sync::Mutex;

use super::Member;
use crate::error::Result;

/// The change notices of all members, as one.
///
/// What a member is waiting for is kept between two calls: a notice that comes while nobody asks, or
/// beside another member's, is there for the next call.
pub(super) struct Notices(Mutex<Vec<Waiting>>);

/// A member whose notices have not ended, and the one that it waits for.
struct Waiting {
    member: Arc<Member>,
    notice: Notice,
}

type Notice = Pin<Box<dyn Future<Output = Result<()>> + Send>>;

impl Notices {
    pub(super) fn of(members: &[Arc<Member>]) -> Self {
        let waiting = members.iter().map(|member| Waiting {
            member: Arc::clone(member),
            notice: notice(member),
        });
        Self(Mutex::new(waiting.collect()))
    }

    /// Returns when a member gave notice. A member whose notices ended gives none any more.
    ///
    /// # Errors
    /// What ended the notices of the last member that gave any.
    pub(super) async fn next(&self) -> Result<()> {
        let mut waiting = self.0.lock().await;
        if waiting.is_empty() {
            return pending().await;
        }
        poll_fn(|context| poll(&mut waiting, context)).await
    }
}

fn poll(waiting: &mut Vec<Waiting>, context: &mut Context<'_>) -> Poll<Result<()>> {
    let (mut noticed, mut ended) = (false, None);
    waiting.retain_mut(
        |Waiting { member, notice: it }| match it.as_mut().poll(context) {
            Poll::Pending => true,
            Poll::Ready(Ok(())) => {
                *it = notice(member);
                noticed = true;
                true
            }
            Poll::Ready(Err(error)) => {
                tracing::warn!(
                    member = member.name, kind = %error.kind(), %error,
                    "a chain's member gives no more notice of changes"
                );
                ended = Some(error);
                false
            }
        },
    );
    match ended {
        _ if noticed => Poll::Ready(Ok(())),
        Some(error) if waiting.is_empty() => Poll::Ready(Err(error)),
        _ => Poll::Pending,
    }
}

fn notice(member: &Arc<Member>) -> Notice {
    let member = Arc::clone(member);
    Box::pin(async move { member.provider.changed().await })
}

impl fmt::Debug for Notices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Notices").finish_non_exhaustive()
    }
}
