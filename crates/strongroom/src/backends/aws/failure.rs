//! What AWS answers to a call that failed, by its error code.

use std::error::Error as StdError;
use std::io;
use std::time::Duration;

use aws_sdk_secretsmanager::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

use super::http::Unfit;
use crate::error::{Error, ErrorKind};

/// A failed call: AWS's code for it, where AWS answered, and the error for people.
#[derive(Debug)]
pub(super) struct Failure {
    code: Option<String>,
    pub(super) error: Error,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self { code: None, error }
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        failure.error
    }
}

impl Failure {
    /// Makes one of what the SDK says of a call. No text of AWS's is kept: it may quote the request.
    pub(super) fn of<E: ProvideErrorMetadata>(
        what: &str,
        error: &SdkError<E, HttpResponse>,
    ) -> Self {
        let response = match error {
            SdkError::ServiceError(error) => error.raw(),
            SdkError::ResponseError(error) => {
                let status = error.raw().status().as_u16();
                let message = format!("{what}: the answer ({status}) did not come whole");
                return Self::from(Error::new(ErrorKind::Transient, message));
            }
            SdkError::TimeoutError(_) => {
                let message = format!("{what}: no answer in time");
                return Self::from(Error::new(ErrorKind::Transient, message));
            }
            SdkError::DispatchFailure(failure) => {
                let cause = failure.as_connector_error();
                return Self::from(not_sent(
                    what,
                    cause.map(|error| error as &(dyn StdError + 'static)),
                ));
            }
            _ => {
                let message = format!("{what}: the request can't be built");
                return Self::from(Error::new(ErrorKind::Config, message));
            }
        };
        let status = response.status().as_u16();
        let wait = response.headers().get("retry-after");
        let wait = wait.and_then(|seconds| seconds.parse().ok());
        Self::answered(what, error.code(), status, wait.map(Duration::from_secs))
    }

    /// Makes one of a code.
    pub(super) fn answered(
        what: &str,
        code: Option<&str>,
        status: u16,
        wait: Option<Duration>,
    ) -> Self {
        // `Type:http://…` and `namespace#Type` are ways to write one code.
        let bare = |code: &str| {
            let code = code.split(':').next().unwrap_or_default();
            code.rsplit('#').next().unwrap_or_default().to_owned()
        };
        let is_code = |code: &String| {
            let fits = (1..=64).contains(&code.len());
            fits && code.chars().all(|c| c.is_ascii_alphanumeric() || c == '.')
        };
        let code = code.map(bare).filter(is_code);
        let error = match code.as_deref() {
            Some(code) => by_code(what, code, status),
            None => without_code(what, status),
        };
        let error = match wait {
            Some(wait) if error.is_retryable() => error.with_retry_after(wait),
            _ => error,
        };
        Self { code, error }
    }

    /// Reports whether AWS answered with this code.
    pub(super) fn is(&self, code: &str) -> bool {
        self.code.as_deref() == Some(code)
    }

    /// Reports whether the call may have happened, and lost only its answer.
    pub(super) fn may_have_happened(&self) -> bool {
        self.error.is_retryable() && !self.error.had_no_effect()
    }

    /// Reports whether AWS refused the credentials themselves.
    pub(super) fn refuses_credentials(&self) -> bool {
        self.error.kind() == ErrorKind::Auth
    }

    /// Takes the failure for one of a login: whatever can't succeed later means that our own
    /// credential is refused.
    pub(super) fn of_login(self) -> Error {
        match self.error.kind() {
            ErrorKind::Transient | ErrorKind::Config | ErrorKind::Auth => self.error,
            _ => Error::new(ErrorKind::Auth, self.error.to_string()).with_help(
                "look at the role's trust policy, and at the token or the credentials that ask for it",
            ),
        }
    }
}

pub(super) const NOT_FOUND: &str = "ResourceNotFoundException";
pub(super) const EXISTS: &str = "ResourceExistsException";
pub(super) const ACCESS_DENIED: &str = "AccessDeniedException";
/// The state of the secret doesn't allow the call: most of all, it is scheduled for deletion.
pub(super) const INVALID_REQUEST: &str = "InvalidRequestException";
pub(super) const INVALID_PARAMETER: &str = "InvalidParameterException";

const DENIED_HELP: &str = "the identity needs the IAM action, and where the secret is encrypted by a key \
    of your own, `kms:Decrypt` on that key; `strongroom doctor --policy` writes the policy";
const KMS_HELP: &str = "look at the KMS key of the secret: it may be disabled, scheduled for deletion, or \
    not allow this identity `kms:Decrypt` (to write, `kms:GenerateDataKey`)";
const CREDENTIAL_HELP: &str = "`aws sts get-caller-identity` with the same environment tells whether \
    the credentials work; `strongroom doctor` tells where they come from";
const CLOCK_HELP: &str = "the secret key does not belong to the access key id, or this machine's clock \
    is wrong by more than 5 minutes";

const CERTIFICATE_HELP: &str = "for a private authority, or a proxy that opens TLS, name its certificate \
    in AWS_CA_BUNDLE; if it expired, look at this machine's clock too";
const QUOTA_HELP: &str = "a quota of the AWS account is used up, which waiting does not change: look at \
    Service Quotas; AWS forgets versions without a label only when they are a day old";

fn by_code(what: &str, code: &str, status: u16) -> Error {
    use ErrorKind::{Absent, Auth, Conflict, Denied, Malformed, Transient};
    let (kind, help) = match code {
        NOT_FOUND => (Absent, None),
        EXISTS => (Conflict, Some("read it again, then decide")),
        ACCESS_DENIED | "AccessDenied" | "UnauthorizedOperation" => (Denied, Some(DENIED_HELP)),
        "LimitExceededException" | "ServiceQuotaExceededException" => (Denied, Some(QUOTA_HELP)),
        "DecryptionFailure" | "EncryptionFailure" => (Denied, Some(KMS_HELP)),
        "ExpiredTokenException" | "ExpiredToken" | "RequestExpired" => (
            Auth,
            Some("the session is over: log in again, or look at what should have renewed it"),
        ),
        "UnrecognizedClientException"
        | "InvalidClientTokenId"
        | "InvalidAccessKeyId"
        | "AuthFailure"
        | "MissingAuthenticationToken"
        | "MissingAuthenticationTokenException"
        | "IncompleteSignature"
        | "OptInRequired"
        | "InvalidIdentityToken" => (Auth, Some(CREDENTIAL_HELP)),
        "InvalidSignatureException" | "SignatureDoesNotMatch" | "RequestTimeTooSkewed" => {
            (Auth, Some(CLOCK_HELP))
        }
        "ThrottlingException"
        | "Throttling"
        | "ThrottledException"
        | "RequestThrottled"
        | "RequestThrottledException"
        | "TooManyRequestsException"
        | "RequestLimitExceeded"
        | "BandwidthLimitExceeded"
        | "PriorRequestNotComplete"
        | "SlowDown" => {
            let message = format!("{what}: AWS answered {code}");
            return Error::new(Transient, message).with_no_effect();
        }
        "InternalServiceError"
        | "InternalServiceErrorException"
        | "InternalFailure"
        | "InternalServerError"
        | "ServiceUnavailable"
        | "ServiceUnavailableException"
        | "RequestTimeout"
        | "RequestTimeoutException"
        | "IDPCommunicationError" => (Transient, None),
        INVALID_REQUEST | INVALID_PARAMETER => (Malformed, None),
        // Codes are many. Of those that are not known, the status says whose fault it is.
        _ if status >= 500 => (Transient, None),
        _ => (Malformed, None),
    };
    let error = Error::new(kind, format!("{what}: AWS answered {code}"));
    match help {
        Some(help) => error.with_help(help),
        None => error,
    }
}

/// An answer without a code is not AWS's own, but of something on the way there.
fn without_code(what: &str, status: u16) -> Error {
    let message = format!("{what}: an answer ({status}) that is not AWS's");
    match status {
        429 => Error::new(ErrorKind::Transient, message).with_no_effect(),
        408 | 500.. => Error::new(ErrorKind::Transient, message),
        _ => Error::new(ErrorKind::Malformed, message)
            .with_help("look at the endpoint, and at proxies on the way to it"),
    }
}

/// A request whose answer never began. Where nothing listened, it was surely not sent.
pub(super) fn not_sent(what: &str, cause: Option<&(dyn StdError + 'static)>) -> Error {
    let causes = || std::iter::successors(cause, |cause| beneath(*cause));
    match causes().find_map(|cause| cause.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::InvalidCertificate(problem)) => {
            let message = format!("{what}: the server's certificate is refused: {problem}");
            return Error::new(ErrorKind::Config, message).with_help(CERTIFICATE_HELP);
        }
        Some(error) => {
            let message = format!("{what}: TLS failed: {error}");
            return Error::new(ErrorKind::Config, message)
                .with_help("look at the endpoint: it may not speak TLS");
        }
        None => {}
    }
    match causes().find_map(|cause| cause.downcast_ref::<Unfit>()) {
        Some(unfit @ Unfit::TooLarge) => {
            return Error::new(ErrorKind::Malformed, format!("{what}: {unfit}"));
        }
        Some(unfit @ Unfit::Cut) => {
            return Error::new(ErrorKind::Transient, format!("{what}: {unfit}"));
        }
        None => {}
    }
    let kind = causes().find_map(|cause| Some(cause.downcast_ref::<io::Error>()?.kind()));
    let refused = matches!(
        kind,
        Some(
            io::ErrorKind::ConnectionRefused
                | io::ErrorKind::HostUnreachable
                | io::ErrorKind::NetworkUnreachable
        )
    );
    let why = kind.map_or_else(String::new, |kind| format!(": {kind}"));
    let message = format!("{what}: the connection failed{why}");
    let error = Error::new(ErrorKind::Transient, message);
    match refused {
        true => error.with_no_effect(),
        false => error,
    }
}

fn beneath<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a (dyn StdError + 'static)> {
    // The source of an I/O error is that of the error which it holds, and not that error itself.
    match error
        .downcast_ref::<io::Error>()
        .and_then(io::Error::get_ref)
    {
        Some(held) => Some(held),
        None => error.source(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_decide_and_not_the_status() {
        use ErrorKind::{Absent, Auth, Conflict, Denied, Malformed, Transient};
        for (code, status, kind) in [
            ("ResourceNotFoundException", 400, Absent),
            ("AccessDeniedException", 400, Denied),
            ("DecryptionFailure", 400, Denied),
            ("ExpiredTokenException", 400, Auth),
            ("UnrecognizedClientException", 400, Auth),
            ("InvalidSignatureException", 403, Auth),
            ("ThrottlingException", 400, Transient),
            ("InternalServiceError", 500, Transient),
            ("ResourceExistsException", 400, Conflict),
            ("InvalidParameterException", 500, Malformed),
            ("LimitExceededException", 400, Denied),
            ("RequestThrottledException", 400, Transient),
            ("NeverHeardOfException", 400, Malformed),
            ("NeverHeardOfException", 503, Transient),
            (
                "com.amazonaws.secretsmanager#AccessDeniedException",
                400,
                Denied,
            ),
            (
                "AccessDeniedException:http://internal.amazon.com/",
                400,
                Denied,
            ),
        ] {
            let failure = Failure::answered("a call", Some(code), status, None);
            assert_eq!(failure.error.kind(), kind, "{code}");
        }
    }

    #[test]
    fn only_a_quota_surely_had_no_effect() {
        let of = |code| Failure::answered("a call", Some(code), 400, None);
        assert!(!of("ThrottlingException").may_have_happened());
        assert!(of("InternalServiceError").may_have_happened());
        assert!(!of("AccessDeniedException").may_have_happened());
    }

    #[test]
    fn what_is_no_code_is_not_shown() {
        for code in ["", "<html>canary", "a canary with blanks", &"x".repeat(65)] {
            let failure = Failure::answered("a call", Some(code), 502, None);
            assert_eq!(failure.error.kind(), ErrorKind::Transient);
            assert!(!format!("{:?}", failure.error).contains("canary"));
        }
        let not_theirs = Failure::answered("a call", None, 403, None);
        assert_eq!(not_theirs.error.kind(), ErrorKind::Malformed);
    }
}
