//! Every case must be able to fail: providers that break one rule each, and the case that sees it.

use super::*;
use crate::Memory;

mod liar;

use liar::{Liar, Lie};

struct Lying(Lie);

#[async_trait]
impl Harness for Lying {
    async fn open(&self, held: &[(SecretName, Secret)]) -> Result<Arc<dyn SecretProvider>> {
        let memory = Memory::new();
        fill(&memory, held).await?;
        Ok(Arc::new(Liar::new(memory, self.0)))
    }

    async fn write_document(
        &self,
        provider: &dyn SecretProvider,
        path: &SecretName,
        keys: &[(&str, &str)],
    ) -> Result<()> {
        let object: serde_json::Map<_, _> = keys
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).into()))
            .collect();
        let document = Secret::from_text(serde_json::Value::from(object).to_string());
        fill(provider, &[(path.clone(), document)]).await
    }

    fn credentials(&self) -> Vec<String> {
        vec![liar::CREDENTIAL.to_owned()]
    }
}

#[tokio::test(start_paused = true)]
async fn an_honest_provider_passes_every_case() {
    let outcome = run(&Lying(Lie::None)).await;
    assert!(outcome.is_conforming(), "{outcome}");
    let read_only = "a read-only backend refuses writes as Unsupported";
    let skipped: Vec<_> = outcome.skipped.iter().map(|(case, _)| *case).collect();
    assert_eq!(skipped, [read_only]);
}

/// Runs the suite on a liar and demands that these cases, at least, fail.
async fn catches(lie: Lie, wanted: &[&str]) {
    let outcome = run(&Lying(lie)).await;
    for case in wanted {
        assert!(
            cases().any(|known| known.name == *case),
            "no case is called {case:?}"
        );
        let found = outcome.failed.iter().any(|(name, _)| name == case);
        assert!(found, "{lie:?} passes {case:?}: {outcome}");
    }
}

#[tokio::test(start_paused = true)]
async fn lies_about_reading_are_caught() {
    catches(
        Lie::AnswersTheEmptyBatch,
        &["an empty batch gets no answers"],
    )
    .await;
    catches(Lie::SwapsAnswers, &["answers come in the order asked"]).await;
    let absent = "an absent secret is Absent and fails alone";
    catches(Lie::AbsentIsTransient, &[absent]).await;
    catches(Lie::OneAbsentFailsAll, &[absent]).await;
    catches(
        Lie::AnswersOnce,
        &["a repeated request is answered each time"],
    )
    .await;
    catches(Lie::AtMostFifty, &["a hundred names fit in one batch"]).await;
    catches(Lie::OneReadAtATime, &["many reads at one time all succeed"]).await;
    catches(Lie::Nameless, &["a value carries the name it was asked by"]).await;
    let unchanged = "Unchanged answers only a request that knows the current version";
    catches(Lie::AlwaysUnchanged, &[unchanged]).await;
    catches(Lie::NeverUnchanged, &[unchanged]).await;
    catches(
        Lie::IgnoresStage,
        &["a read of another stage doesn't answer with the current value"],
    )
    .await;
    catches(Lie::ShortNames, &["names at the limits are found"]).await;
    catches(
        Lie::IgnoresCase,
        &["names that differ in spelling alone are different secrets"],
    )
    .await;
    catches(
        Lie::IgnoresFields,
        &["a name with a field is a secret of its own"],
    )
    .await;
    catches(
        Lie::ReadsOneByOne,
        &["fields of one document come from one version of it"],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn lies_about_values_are_caught() {
    let both = [
        "text is read as it is, byte for byte",
        "text is written as it is, byte for byte",
        "a final newline is kept, or exactly one is taken off",
    ];
    catches(Lie::Trims, &both).await;
    catches(
        Lie::StripsNewline,
        &["a final newline is kept, or exactly one is taken off"],
    )
    .await;
    catches(
        Lie::OnlyText,
        &["bytes that are no text are kept or refused"],
    )
    .await;
    catches(
        Lie::EmptyIsAbsent,
        &["an empty value is a value or is refused"],
    )
    .await;
    catches(Lie::Truncates, &["a value of 64 KiB is whole"]).await;
    catches(
        Lie::TakesAnySize,
        &["a value of more than 64 KiB is refused"],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn lies_about_writing_are_caught() {
    let says_truly = "the description says truly whether it can be written";
    let read_only = "a read-only backend refuses writes as Unsupported";
    catches(Lie::SaysReadOnly, &[read_only, says_truly]).await;
    catches(Lie::SaysWritable, &[says_truly]).await;
    let creates = "a write that expects nothing creates only";
    let compares = "a write that expects a version replaces only that one";
    let one_creates = "of several writers that expect nothing, one creates";
    let one_replaces = "of several writers that expect one version, one replaces it";
    catches(
        Lie::IgnoresExpect,
        &[creates, compares, one_creates, one_replaces],
    )
    .await;
    catches(Lie::WritesInSpiteOfConflict, &[creates, compares]).await;
    catches(Lie::LooksThenWrites, &[one_creates, one_replaces]).await;
    catches(
        Lie::KeepsTheFirst,
        &["a write replaces the value, and no other"],
    )
    .await;
    catches(
        Lie::KeepsDeleted,
        &["a deleted secret is Absent, and the others stay"],
    )
    .await;
    catches(
        Lie::DeletesNothingGladly,
        &["deleting what is not there is Absent"],
    )
    .await;
    catches(
        Lie::DeletesWhatever,
        &["a deletion that expects another state is a Conflict"],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn lies_about_versions_are_caught() {
    let new = "each write gives another version, whatever the value";
    let again = "a deleted secret can be made again, as another version";
    catches(Lie::VersionOfTheValue, &[new, again]).await;
    catches(Lie::PutInventsVersions, &[new]).await;
    catches(Lie::IgnoresStage, &["the previous value is the former one"]).await;
    let history = "the history begins with the current version, and can be read";
    catches(Lie::OldestFirst, &[history]).await;
    catches(
        Lie::PromotesNothing,
        &["a pending value waits until it is promoted"],
    )
    .await;
    catches(Lie::DiscardsNothing, &["a pending value can be discarded"]).await;
    catches(Lie::DiscardsWhatever, &["a pending value can be discarded"]).await;
    catches(
        Lie::PendingIsCurrent,
        &["a pending value waits until it is promoted"],
    )
    .await;
    catches(
        Lie::RefusesPendingLate,
        &["pending values are read and written, or neither"],
    )
    .await;
    catches(Lie::IgnoresOverlap, &["an overlap is kept or refused"]).await;
    catches(
        Lie::RestoresNothing,
        &["a deleted secret is restored whole"],
    )
    .await;
    catches(
        Lie::FindsHistoryAnywhere,
        &["optional methods find nothing where nothing is"],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn lies_about_names_are_caught() {
    let sorted = "a list is sorted, complete and without repetition";
    catches(Lie::Unsorted, &[sorted]).await;
    catches(Lie::Repeats, &[sorted]).await;
    let prefixed = "a list keeps to its prefix, which is plain text";
    catches(Lie::IgnoresPrefix, &[prefixed]).await;
    catches(Lie::PrefixOfSegments, &[prefixed]).await;
    catches(Lie::KeepsDeleted, &["a list follows writes and deletions"]).await;
    catches(Lie::ListsItself, &["an empty store lists nothing"]).await;
}

#[tokio::test(start_paused = true)]
async fn lies_about_a_providers_life_are_caught() {
    let closes = "a closed provider answers Closed";
    catches(Lie::ForgetsClose, &[closes]).await;
    catches(Lie::ClosesOnce, &[closes]).await;
    catches(Lie::Sick, &["an open provider is healthy"]).await;
    catches(Lie::NeverHealthy, &["an open provider is healthy"]).await;
    catches(
        Lie::BreaksWhenDropped,
        &["a dropped call leaves the provider usable"],
    )
    .await;
    catches(
        Lie::WritesInParts,
        &["a dropped write happened as a whole or not at all"],
    )
    .await;
    let address = "the description is an address, and stays the same";
    catches(Lie::DescribesCredential, &[address]).await;
    catches(Lie::DescribesChange, &[address]).await;
    catches(
        Lie::OneStoreForAll,
        &["two providers share no secrets that one was not given"],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn leaks_are_caught() {
    let values = "no value shows in errors, descriptions, Debug output or logs";
    for lie in [
        Lie::ErrorQuotesValue,
        Lie::DebugShowsValues,
        Lie::DebugShowsCredential,
        Lie::LogsValues,
        Lie::LogsBytes,
        Lie::DescribesCredential,
    ] {
        catches(lie, &[values]).await;
    }
    catches(Lie::QuotesDocument, &["a broken document is not quoted"]).await;
}

#[tokio::test(start_paused = true)]
async fn a_panic_fails_its_case_and_the_others_still_run() {
    let outcome = run(&Lying(Lie::Panics)).await;
    let panicked = outcome
        .failed
        .iter()
        .filter(|(_, problem)| problem == "the provider panicked");
    assert_eq!(panicked.count(), 1, "{outcome}");
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "answers come in the order asked: the answer at its place")]
async fn the_assertion_names_the_case_and_the_problem() {
    assert_conforms(&Lying(Lie::SwapsAnswers)).await;
}
