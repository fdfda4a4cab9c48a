//! SARIF: what its schema demands of what we write.

use serde_json::Value;

use super::{declared, literal, silent};
use crate::harness::TOKEN;

#[test]
fn the_document_has_what_the_schema_demands_and_no_value() {
    let room = declared()
        .file("a b/ä.txt", format!("x\n  {TOKEN}\n  {TOKEN}\n"))
        .file("c.rs", literal())
        .file(".env", format!("X_PASSWORD={}", literal()));
    let ran = room.run(&["scan", "--sarif", "-"]).ends(1);
    silent(&ran);
    let sarif: Value = serde_json::from_str(&ran.stdout()).unwrap();
    assert_eq!(sarif["version"], "2.1.0");
    assert!(
        sarif["$schema"]
            .as_str()
            .unwrap()
            .ends_with("sarif-2.1.0.json")
    );
    let runs = sarif["runs"].as_array().unwrap();
    assert_eq!(runs.len(), 1);
    let driver = &runs[0]["tool"]["driver"];
    assert_eq!(driver["name"], "strongroom");
    let rules = driver["rules"].as_array().unwrap();
    let results = runs[0]["results"].as_array().unwrap();
    assert_eq!(results.len(), 4);
    let mut fingerprints = std::collections::BTreeSet::new();
    for result in results {
        let rule = &rules[usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap()];
        assert_eq!(rule["id"], result["ruleId"]);
        for text in [
            &rule["shortDescription"]["text"],
            &rule["help"]["text"],
            &result["message"]["text"],
        ] {
            assert!(!text.as_str().unwrap().is_empty());
        }
        assert!(["none", "note", "warning", "error"].contains(&result["level"].as_str().unwrap()));
        let place = &result["locations"][0]["physicalLocation"];
        let uri = place["artifactLocation"]["uri"].as_str().unwrap();
        assert!(uri.bytes().all(|byte| byte.is_ascii_graphic()), "{uri}");
        let base = place["artifactLocation"]["uriBaseId"].as_str().unwrap();
        assert!(runs[0]["originalUriBaseIds"].get(base).is_some());
        if let Some(region) = place.get("region") {
            assert!(
                region["startLine"].as_u64() >= Some(1)
                    && region["startColumn"].as_u64() >= Some(1)
            );
            assert!(region.get("snippet").is_none());
        }
        let prints = result["partialFingerprints"].as_object().unwrap();
        assert!(prints.values().all(Value::is_string));
        assert!(fingerprints.insert(prints["strongroom/v1"].as_str().unwrap().to_owned()));
    }
    assert!(
        ran.stdout().contains("a%20b/%C3%A4.txt"),
        "{}",
        ran.stdout()
    );
}

#[test]
fn it_is_written_beside_the_report_and_replaced() {
    let room = declared().file("c.rs", literal());
    for _ in 0..2 {
        let ran = room.run(&["scan", "--sarif", "r.sarif", "c.rs"]).ends(1);
        assert!(ran.stdout().contains("[github-token]"), "{}", ran.stdout());
    }
    let text = std::fs::read_to_string(room.path("r.sarif")).unwrap();
    assert!(serde_json::from_str::<Value>(&text).is_ok());
    room.run(&["scan", "--sarif", "-", "--format", "json"])
        .ends(2);
}
