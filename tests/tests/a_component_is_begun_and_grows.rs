//! `laterna new` and `laterna build --watch`: from a name to a component that is built whenever a file of it is saved.

use laterna_tests::{Data, PATIENCE, binary, laterna};
use serde_json::json;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};

fn new(folder: &Path, name: &str) -> Output {
    new_of("projection", folder, name)
}

fn new_of(kind: &str, folder: &Path, name: &str) -> Output {
    laterna(["new".as_ref(), kind.as_ref(), name.as_ref(), "--path".as_ref(), folder.as_os_str()])
}

/// Where crates of authors are built.
fn authors_target() -> PathBuf {
    std::env::current_exe().expect("a file").with_file_name("authors")
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn a_name_that_will_not_do_is_refused_and_nothing_is_made() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (name, why) in [
        ("1st", "`1st` is no component's name"),
        ("my orders", "`my orders` is no component's name"),
        ("../orders", "`../orders` is no component's name"),
        ("type", "`type` is a word of Rust, or a crate that yours needs"),
        ("laterna-sdk", "`laterna-sdk` is a word of Rust, or a crate that yours needs"),
    ] {
        let refused = new(folder.path(), name);
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(refused.status.code() == Some(1) && said.contains(why), "{name}: {said}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).expect("it is there").count(), 0);
}

#[test]
fn what_is_there_is_not_written_over() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    assert!(new(folder.path(), "orders").status.success());
    let code = folder.path().join("orders/src/lib.rs");
    std::fs::write(&code, "mine").expect("it can be written");
    let again = new(folder.path(), "orders");
    assert_eq!(again.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&again.stderr).contains("is there already"), "{again:?}");
    assert_eq!(read(&code), "mine");

    // Neither is the SDK, which the second crate shares with the first.
    let sdk = folder.path().join("laterna-sdk/src/lib.rs");
    std::fs::write(&sdk, "mended").expect("it can be written");
    let shared = new(folder.path(), "stock");
    assert!(shared.status.success());
    assert_eq!(read(&sdk), "mended");
    let said = String::from_utf8_lossy(&shared.stderr).into_owned();
    assert!(said.contains("is not the one of this binary; it is kept"), "{said}");
}

/// A component whose name is a word of the SDK, or of the template, is a component all the same.
#[test]
fn names_of_the_template_are_kept_apart() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (name, type_name) in
        [("customer", "CustomerProjection"), ("error", "ErrorProjection"), ("my_best-2", "MyBest2")]
    {
        assert!(new(folder.path(), name).status.success(), "{name}");
        let code = read(&folder.path().join(name).join("src/lib.rs"));
        assert!(code.contains(&format!("impl Projection for {type_name} {{")), "{code}");
        assert!(!code.contains("{{") && code.contains(&format!("Manifest::new(\"{name}\"")), "{code}");
    }
}

#[test]
fn a_process_manager_is_begun_passes_its_tests_and_is_a_component() {
    // given
    let folder = tempfile::tempdir().expect("a temporary folder");
    let made = new_of("process-manager", folder.path(), "timer");
    let said = String::from_utf8_lossy(&made.stdout).into_owned();
    assert!(said.contains("made the process manager `timer`") && said.contains("  laterna test "), "{said}");
    let crate_ = folder.path().join("timer");
    let code = read(&crate_.join("src/lib.rs"));
    assert!(code.contains("impl ProcessManager for TimerManager {") && !code.contains("{{"), "{code}");
    std::fs::copy(laterna_tests::root().join("Cargo.lock"), crate_.join("Cargo.lock")).expect("a file");
    // when
    let tested = Command::new("cargo")
        .args(["test", "--release", "--quiet"])
        .current_dir(&crate_)
        // One of its own, so that it holds up nobody who builds for another test.
        .env("CARGO_TARGET_DIR", authors_target().with_file_name("authors-natively"))
        .output()
        .expect("cargo runs");
    let told = Command::new(binary())
        .arg("test")
        .current_dir(&crate_)
        .env("CARGO_TARGET_DIR", authors_target())
        .output()
        .expect("laterna runs");
    let out = folder.path().join("out");
    let built = Command::new(binary())
        .args(["build".as_ref(), crate_.as_os_str(), "--out".as_ref(), out.as_os_str()])
        .env("CARGO_TARGET_DIR", authors_target())
        .output()
        .expect("laterna runs");
    // then
    let said = String::from_utf8_lossy(&tested.stdout).into_owned();
    assert!(tested.status.success() && said.contains("2 passed"), "{said}{}", String::from_utf8_lossy(&tested.stderr));
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let said = String::from_utf8_lossy(&told.stdout).into_owned();
    assert!(told.status.success() && said.contains("3 scenarios"), "{said}{}", String::from_utf8_lossy(&told.stderr));
    let checked = laterna(["check".as_ref(), out.join("timer.wasm").as_os_str()]);
    let said = String::from_utf8_lossy(&checked.stdout).into_owned();
    assert!(checked.status.success() && said.contains("consumes  OrderPlaced, OrderPaid"), "{checked:?}");
}

/// `laterna build --watch` in another terminal, and what it says.
struct Watching {
    child: Child,
    says: Receiver<String>,
}

impl Drop for Watching {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Watching {
    fn start(crate_: &Path, out: &Path) -> Self {
        let mut child = Command::new(binary())
            .args(["build".as_ref(), "--watch".as_ref(), crate_.as_os_str(), "--out".as_ref(), out.as_os_str()])
            .env("CARGO_TARGET_DIR", authors_target())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("laterna runs");
        let lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
        let (sender, says) = channel();
        std::thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Self { child, says }
    }

    fn expect(&self, what: &str) {
        let line = self.says.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("nothing was said of `{what}`"));
        assert!(line.contains(what), "expected `{what}`, found `{line}`");
    }
}

#[test]
fn a_save_is_a_release_and_a_mistake_is_waited_out() {
    let (folder, data) = (tempfile::tempdir().expect("a temporary folder"), Data::new());
    assert!(new(folder.path(), "orders").status.success());
    let crate_ = folder.path().join("orders");
    std::fs::copy(laterna_tests::root().join("Cargo.lock"), crate_.join("Cargo.lock")).expect("a file");
    let code = crate_.join("src/lib.rs");
    let save = |old: &str, new: &str| {
        let content = read(&code);
        assert!(content.contains(old), "{content}");
        std::fs::write(&code, content.replace(old, new)).expect("it can be written");
    };

    let server = data.serve();
    let watching = Watching::start(&crate_, &data.path().join("components"));
    watching.expect("built ");
    watching.expect("release 1 of `orders` serves");
    watching.expect("watching");
    server.wait_for_release("orders", 1, "live");
    server.post(
        "/streams/order-1/events",
        &json!({ "events": [{ "type": "OrderPlaced", "data": { "customer_id": "ann", "total_cents": 990 } }] }),
    );
    assert_eq!(server.rows("orders", "customers")[0]["orders"], 1);

    save("customer.orders += 1;", "customer.orders += 10;");
    watching.expect("built ");
    watching.expect("release 2 of `orders` serves");
    assert_eq!(server.rows("orders", "customers")[0]["orders"], 10);

    // What a host would refuse is told at once.
    save("SELECT * FROM customers", "SELECT * FROM costumers");
    watching.expect("built ");
    watching.expect("it is refused (bad-schema): query `best`: no such table: costumers");
    save("SELECT * FROM costumers", "SELECT * FROM customers");
    watching.expect("built ");
    watching.expect("release 2 of `orders` serves");

    save("customer.orders += 10;", "customer.orders += ten;");
    watching.expect("orders does not build; cargo says why above; waiting for the next save");
    assert_eq!(server.rows("orders", "customers")[0]["orders"], 10);

    // A file of its own counts as much, and so does one that was not there before.
    save("use serde::Deserialize;", "use serde::Deserialize;\n\nmod ten;");
    watching.expect("orders does not build");
    std::fs::write(crate_.join("src/ten.rs"), "pub const TEN: i64 = 100;\n").expect("it can be written");
    watching.expect("orders does not build");
    save("customer.orders += ten;", "customer.orders += ten::TEN;");
    watching.expect("built ");
    watching.expect("release 4 of `orders` serves");
    assert_eq!(server.rows("orders", "customers")[0]["orders"], 100);
    std::fs::write(crate_.join("src/ten.rs"), "pub const TEN: i64 = 1000;\n").expect("it can be written");
    watching.expect("built ");
    watching.expect("release 5 of `orders` serves");
    assert_eq!(server.rows("orders", "customers")[0]["orders"], 1000);
}
