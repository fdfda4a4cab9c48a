use rustix::process::Signal;

use crate::client::Client;
use crate::program::example;
use crate::service::Service;

#[test]
fn it_serves_one_word_of_health_and_stops_when_told() {
    for signal in [Signal::TERM, Signal::INT] {
        let dir = tempfile::tempdir().unwrap();
        let mut command = example("boot", dir.path());
        let service = Service::start(command.args(["--serve", "--port", "0"]));
        assert!(service.address.starts_with("127.0.0.1:"));
        let mut client = Client::new(&service.address);
        let (status, body) = client.get("/health", None).unwrap();
        assert_eq!(status, 200, "{body}");
        // Files on a disk are no way to run for long, and development says so.
        let words = [r#"{"status":"ready"}"#, r#"{"status":"degraded"}"#];
        assert!(words.contains(&&*body), "{body}");
        assert_eq!(client.get("/", None).unwrap().0, 404);
        assert_eq!(service.stop(signal), ["stopped"]);
    }
}
