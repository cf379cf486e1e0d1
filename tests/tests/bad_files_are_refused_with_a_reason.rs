//! Files that are no components of Laterna's lie in the drop folder: each is refused with its reason, and everything else goes on.

use laterna_tests::{Data, component, laterna, online_retail_events, root};
use serde_json::Value;
use std::path::PathBuf;

/// Components of other worlds, invalid and malformed ones, and seeded damage.
fn bad_components() -> Vec<PathBuf> {
    let folder = root().join("tests/data/bad_components");
    let index = std::fs::read_to_string(folder.join("index.json")).expect("the index is part of the repository");
    let index: Value = serde_json::from_str(&index).expect("JSON");
    let files = index.as_array().expect("a list").iter();
    files.map(|entry| folder.join(entry["file"].as_str().expect("a name"))).collect()
}

fn stem(file: &std::path::Path) -> String {
    file.file_stem().expect("a name").to_string_lossy().into_owned()
}

#[test]
fn beside_a_good_one_that_serves() {
    let bad = bad_components();
    assert!(bad.len() > 20);
    let data = Data::new();
    data.drop_component(&component("retail"));
    bad.iter().for_each(|file| data.drop_component(file));
    let dropped = data.path().join("components");
    // And what people drop by mistake.
    std::fs::write(dropped.join("notes.wasm"), "this is no component").expect("the file is written");
    std::fs::write(dropped.join("empty.wasm"), "").expect("the file is written");
    std::fs::write(dropped.join("readme.txt"), "nobody looks at this").expect("the file is written");
    std::fs::copy(component("retail"), dropped.join("renamed.wasm")).expect("the file is copied");
    let half = std::fs::read(component("retail")).expect("a file");
    std::fs::write(dropped.join("half.wasm"), &half[..half.len() / 2]).expect("the file is written");

    let server = data.serve();
    server.import(&online_retail_events()).ok();
    assert_eq!(server.rows("retail", "customers").len(), 717);
    let mut names: Vec<String> = bad.iter().map(|file| stem(file)).collect();
    names.extend(["notes", "empty", "renamed", "half"].map(str::to_owned));
    for name in &names {
        let shown = server.get(&format!("/projections/{name}")).ok();
        let newest = &shown["releases"][0];
        assert_eq!((&shown["live"], &newest["state"]), (&Value::Null, &Value::from("rejected")), "{shown}");
        let (code, reason) = (newest["code"].as_str().expect("a code"), newest["reason"].as_str().expect("a reason"));
        assert!(!reason.is_empty() && !reason.contains('\n'), "{name}: {reason}");
        assert_eq!(server.get(&format!("/errors/{code}")).status, 200, "{name}: the page of {code}");
        let asked = server.get(&format!("/projections/{name}/tables/any"));
        assert_eq!((asked.status, asked.problem().as_str()), (503, "projection-not-live"));
    }
    let ready = server.get("/health/ready").ok();
    assert_eq!(ready["halted"], Value::Array(Vec::new()));
    let listed = server.get("/projections").ok();
    assert_eq!(listed["projections"].as_array().expect("a list").len(), names.len() + 1);
    server.stop();

    // After a restart nothing has changed: the same releases are refused, not new ones.
    let server = data.serve();
    let shown = server.get(&format!("/projections/{}", names[0])).ok();
    assert_eq!(shown["releases"].as_array().expect("a list").len(), 1, "{shown}");
}

#[test]
fn by_the_command_line_without_a_host() {
    for file in bad_components() {
        let checked = laterna(["check".as_ref(), file.as_os_str()]);
        let said = String::from_utf8_lossy(&checked.stdout).into_owned();
        assert_eq!(checked.status.code(), Some(1), "{said}");
        assert!(said.contains(": refused (") && said.trim().lines().count() == 1, "{said}");
    }
}

#[test]
fn a_release_that_serves_is_not_touched_by_a_bad_one() {
    let data = Data::new();
    data.drop_component(&component("retail"));
    let server = data.serve();
    server.import(&online_retail_events()).ok();
    assert_eq!(server.rows("retail", "customers").len(), 717);
    server.stop();

    // Its file is overwritten with something else while the host is down,
    let dropped = data.path().join("components/retail.wasm");
    std::fs::write(&dropped, "not what it was").expect("the file is written");
    let server = data.serve();
    server.wait_for_release("retail", 2, "rejected");
    assert_eq!(server.projection("retail")["live"]["release"], 1);
    assert_eq!(server.rows("retail", "customers").len(), 717);
    let status = laterna(["status", "--url", &server.url]);
    let status = String::from_utf8_lossy(&status.stdout).into_owned();
    assert!(status.contains("release 2 was refused") && status.contains("release 1 goes on serving"), "{status}");
    server.stop();

    // or deleted.
    std::fs::remove_file(&dropped).expect("it is there");
    let server = data.serve();
    assert_eq!(server.rows("retail", "customers").len(), 717);
    server.stop();

    // Put back, it is the release that it was.
    data.drop_component(&component("retail"));
    let server = data.serve();
    assert_eq!(server.get("/projections/retail").ok()["live"]["release"], 1);
}
