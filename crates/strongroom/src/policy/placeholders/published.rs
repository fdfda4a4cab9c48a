//! Secrets that everybody has.

/// Secrets that documentation, default configurations and test vectors have made public.
pub(super) const PUBLISHED: &[&str] = &[
    // AWS
    "AKIAIOSFODNN7EXAMPLE",
    "AKIAI44QH8DHBEXAMPLE",
    "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    "je7MtGbClwBF/2Zp9Utk/h3yCo8nvbEXAMPLEKEY",
    // JSON Web Tokens: jwt.io, RFC 7515
    "your-256-bit-secret",
    "your-384-bit-secret",
    "your-512-bit-secret",
    "a-string-secret-at-least-256-bits-long",
    "a-valid-string-secret-that-is-at-least-512-bits-long-which-is-very-long",
    "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow",
    "super-secret-jwt-token-with-at-least-32-characters-long",
    "qwertyuiopasdfghjklzxcvbnm123456",
    "SecretKey012345678901234567890123456789012345678901234567890123456789",
    // OAuth and HTTP authentication: RFC 6749, 6750, 7617
    "gX1fBat3bV",
    "7Fjfp0ZBr1KtDRbnfVdmIw",
    "2YotnFZFEjr1zCsicMWpAA",
    "tGzv3JOkF0XG5Qx2TlKWIA",
    "mF_9.B5f-4.1JqM",
    "Aladdin:open sesame",
    "open sesame",
    // One-time passwords: RFC 6238, Google Authenticator
    "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ",
    "JBSWY3DPEHPK3PXP",
    // Stripe, GitHub, Slack, Google
    "sk_test_4eC39HqLyjWDarjtT1zdp7dc",
    "sk_test_BQokikJOvBiI2HlWgH4olfQ2",
    "pk_test_TYooMQauvdEDq54NiTphI7jx",
    "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
    "gho_16C7e42F292c6912E7710c838347Ae178B4a",
    "ghu_16C7e42F292c6912E7710c838347Ae178B4a",
    "ghs_16C7e42F292c6912E7710c838347Ae178B4a",
    "ghr_1B4a2e77838347a7E420ce178F2E7c6912E169246c34E1ccbF66C46812d16D5B1A9Dc86A1498",
    "xoxb-17653672481-19874698323-pdFZKVeTuE8sk7oOcHrzqqgy",
    "xoxb-not-a-real-token-this-will-not-work",
    "AIzaSyDaGmWKa4JsXZ-HjGw7ISLn_3namBGewQe",
    // Vault, Consul
    "hvs.6j4cuewowBGit65rheNoceI7",
    "s.iyNUhq8Ov4hIAx6snw5mB2nL",
    "pUqJrVyVRj5jsiYEkM/tFQYfWyJIv4s3XkvDwy7Cu5s=",
    "cg8StVXbQJ0gPvMd9o7yrg==",
    // Kubernetes and container images
    "1f2d1e2e67df",
    "MWYyZDFlMmU2N2Rm",
    "39528$vdg7Jb",
    "mysecretpassword",
    "my-secret-pw",
    "yourStrong(!)Password",
    // Azure's emulators
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==",
    "C2y6yDjf5/R+ob0N8A7Cgv30VRDJIWEHLM+4QDU5DE2nQ9nDuVTqobD4b8mGGyPMbIZnqyMsEcaGQy67XIw/Jw==",
    // Frameworks: Flask, FastAPI, Express, Laravel, Superset, Airflow, Grafana, Shiro, Hasura, WordPress
    "192b9bdd22ab9ed4d12e236c78afcb9a393ec15f71bbf5dc987d54727823bcbf",
    "_5#y2L\"F4Q8z\\n\\xec]/",
    "09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7",
    "keyboard cat",
    "correct horse battery staple",
    "SomeRandomStringWith32Characters",
    "thisISaSECRET_1234",
    "46BKJoQYlPPOexq0OhDZnIlNepKFf87WFwLbfzqDDho=",
    "SW2YcwTIb9zpOOhoPsMm",
    "kPH+bIxk5D2deZiIxcaaaA==",
    "myadminsecretkey",
    "put your unique phrase here",
    // The services whose reviews this policy is drawn from
    "test-secret",
    "dGVzdC1zZWNyZXQ=",
    "test-service-token",
    // Identifiers that stand for nothing
    "00000000-0000-0000-0000-000000000000",
    "ffffffff-ffff-ffff-ffff-ffffffffffff",
    "12345678-1234-1234-1234-123456789abc",
    "12345678-1234-1234-1234-123456789012",
    "123e4567-e89b-12d3-a456-426614174000",
    "550e8400-e29b-41d4-a716-446655440000",
];

/// Parts that only published examples have: the claims of jwt.io's token, and of RFC 7519's.
pub(super) const FRAGMENTS: &[&str] = &[
    "eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4gRG9lIi",
    "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAs",
];

/// Keys of published test vectors, in hexadecimal. Counting and constant ones need no row.
pub(super) const TEST_VECTORS: &[&str] = &[
    // AES: FIPS 197, NIST SP 800-38A
    "2b7e151628aed2a6abf7158809cf4f3c",
    "8e73b0f7da0e6452c810f32b809079e562f8ead2522c6b7b",
    "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4",
    // GCM's test cases
    "feffe9928665731c6d6a8f9467308308",
    "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308",
    // ChaCha20-Poly1305: RFC 8439, appendix A
    "1c9240a5eb55d38af333888604f6b5f0473917c1402b80099dca5cbc207075c0",
    // Ed25519: RFC 8032
    "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
    "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
    // The first account of Ethereum's development nodes
    "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80",
];
