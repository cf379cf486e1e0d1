//! A file that is dropped is taken: however it comes there, once it is complete, and once only.

use laterna_tests::releases::{cars_events, cars_v1, cars_v2, variant};
use laterna_tests::{Data, Server, component};
use serde_json::{Value, json};
use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;
use tempfile::TempDir;

/// Files settle at once, and the folder is looked at often, so that nothing has to be waited for long.
const QUICK: &[&str] = &["--settle-ms", "20", "--rescan-ms", "50"];

fn dropped(data: &Data, file: &str) -> PathBuf {
    data.path().join("components").join(file)
}

/// The number of the release that serves, and of all releases that there ever were.
fn releases(server: &Server, name: &str) -> (u64, usize) {
    let shown = server.projection(name);
    (shown["live"]["release"].as_u64().unwrap_or(0), shown["releases"].as_array().expect("a list").len())
}

/// Waits until whatever was dropped before has been looked at: a file that is dropped after it serves.
fn wait_until_looked_at(data: &Data, server: &Server, mark: u64) {
    let retail = fs::read(component("retail")).expect("it was built");
    fs::write(dropped(data, "retail.wasm"), variant(&retail, mark)).expect("the file is written");
    server.wait_for("/projections/retail", |answer| {
        answer.status == 200 && answer.json()["live"]["release"].as_u64() == Some(mark)
    });
}

#[test]
fn a_file_is_taken_that_is_copied_or_moved_there() {
    let data = Data::new();
    let server = data.serve_with(QUICK);
    server.import(&cars_events().join("\n")).ok();
    // Given nothing, when a file is copied into the folder, then it serves.
    fs::write(dropped(&data, "cars.wasm"), cars_v1()).expect("the file is written");
    server.wait_for_release("cars", 1, "live");
    // When another one is moved over it, it takes its place.
    let aside = data.path().join("aside.wasm");
    fs::write(&aside, cars_v2()).expect("the file is written");
    fs::rename(&aside, dropped(&data, "cars.wasm")).expect("the file is moved");
    server.wait_for_release("cars", 2, "live");
    // When it is written there under a hidden name, as editors do, it is taken when it gets its own.
    fs::write(dropped(&data, ".cars.wasm.tmp"), variant(cars_v2(), 3)).expect("the file is written");
    wait_until_looked_at(&data, &server, 1);
    assert_eq!(releases(&server, "cars"), (2, 2));
    fs::rename(dropped(&data, ".cars.wasm.tmp"), dropped(&data, "cars.wasm")).expect("the file is moved");
    server.wait_for_release("cars", 3, "live");
    // A link to a file elsewhere is a file, too.
    let elsewhere = TempDir::new_in(if std::path::Path::new("/dev/shm").is_dir() { "/dev/shm" } else { "/tmp" });
    let elsewhere = elsewhere.expect("a folder, on another file system where there is one");
    fs::write(elsewhere.path().join("fourth.wasm"), variant(cars_v2(), 4)).expect("the file is written");
    fs::remove_file(dropped(&data, "cars.wasm")).expect("it is there");
    std::os::unix::fs::symlink(elsewhere.path().join("fourth.wasm"), dropped(&data, "cars.wasm")).expect("a link");
    server.wait_for_release("cars", 4, "live");
    // And what changes there is taken, though nobody tells of it.
    fs::write(elsewhere.path().join("fourth.wasm"), variant(cars_v2(), 5)).expect("the file is written");
    server.wait_for_release("cars", 5, "live");
    assert_eq!(releases(&server, "cars"), (5, 5));
}

#[test]
fn a_file_that_is_half_written_is_waited_for() {
    let data = Data::new();
    let server = data.serve_with(QUICK);
    fs::write(dropped(&data, "cars.wasm"), cars_v1()).expect("the file is written");
    server.wait_for_release("cars", 1, "live");
    // Given a file that comes in pieces, however long it takes from one to the next,
    let whole = variant(cars_v2(), 1);
    let mut file = File::create(dropped(&data, "cars.wasm")).expect("a file");
    for (mark, piece) in (1..).zip(whole.chunks(whole.len() / 3)) {
        assert_eq!(releases(&server, "cars"), (1, 1), "nothing is refused, and nothing is taken");
        file.write_all(piece).expect("it is written");
        file.sync_all().expect("it is written");
        if mark < 3 {
            wait_until_looked_at(&data, &server, mark);
        }
    }
    // then it is one release, and nothing was refused.
    server.wait_for_release("cars", 2, "live");
    assert_eq!(releases(&server, "cars"), (2, 2));
    server.stop();

    // What never comes to its end is refused after all, with its reason.
    let server = data.serve_with(&[QUICK, &["--incomplete-ms", "200"]].concat());
    fs::write(dropped(&data, "cars.wasm"), &whole[..whole.len() / 2]).expect("the file is written");
    let refused = server.wait_for_release("cars", 3, "rejected");
    assert_eq!(refused["code"], "not-a-component");
    assert_eq!(releases(&server, "cars"), (2, 3));
}

#[test]
fn several_files_at_once_each_in_its_module() {
    let data = Data::new();
    let server = data.serve_with(QUICK);
    server.import(&cars_events().join("\n")).ok();
    fs::create_dir_all(dropped(&data, "trade")).expect("a folder");
    fs::create_dir_all(dropped(&data, "sales")).expect("a folder");
    fs::write(dropped(&data, "trade/cars.wasm"), cars_v1()).expect("the file is written");
    fs::copy(component("retail"), dropped(&data, "sales/retail.wasm")).expect("the file is copied");
    fs::copy(component("orders"), dropped(&data, "orders.wasm")).expect("the file is copied");
    for (name, module) in [("cars", "trade"), ("retail", "sales"), ("orders", "")] {
        server.wait_for_release(name, 1, "live");
        assert_eq!(server.projection(name)["module"], module);
    }
    // A name is used once: the same file in another module's folder is refused, and touches nothing.
    fs::write(dropped(&data, "sales/cars.wasm"), cars_v2()).expect("the file is written");
    let refused = server.wait_for_release("cars", 2, "rejected");
    assert_eq!(refused["code"], "wrong-name");
    assert_eq!(server.projection("cars")["module"], "trade");
    fs::remove_file(dropped(&data, "sales/cars.wasm")).expect("it is there");
    // A file that moves to another module takes its component along, as a release that is built there.
    fs::rename(dropped(&data, "trade/cars.wasm"), dropped(&data, "sales/cars.wasm")).expect("the file is moved");
    server.wait_for_release("cars", 3, "live");
    assert_eq!(server.projection("cars")["module"], "sales");
}

#[test]
fn nothing_is_taken_twice_and_nothing_comes_back_by_itself() {
    let data = Data::new();
    let server = data.serve_with(QUICK);
    server.import(&cars_events().join("\n")).ok();
    fs::write(dropped(&data, "cars.wasm"), cars_v1()).expect("the file is written");
    server.wait_for_release("cars", 1, "live");
    fs::write(dropped(&data, "cars.wasm"), cars_v2()).expect("the file is written");
    server.wait_for_release("cars", 2, "live");

    // Given a release that was rolled back, while its file lies there as it lay,
    assert_eq!(server.order("cars", "rollback").ok()["live"]["release"], 1);
    // when the same bytes are written once more, then nothing changes,
    fs::write(dropped(&data, "cars.wasm"), cars_v2()).expect("the file is written");
    wait_until_looked_at(&data, &server, 1);
    assert_eq!(releases(&server, "cars"), (1, 2));
    // nor after a restart, clean or not.
    server.stop();
    let server = data.serve_with(QUICK);
    assert_eq!(releases(&server, "cars"), (1, 2));
    server.kill();
    let server = data.serve_with(QUICK);
    wait_until_looked_at(&data, &server, 2);
    assert_eq!(releases(&server, "cars"), (1, 2));
    // The bytes that serve, dropped again, change nothing; those before, dropped again, serve again, and nothing is built.
    fs::write(dropped(&data, "cars.wasm"), cars_v1()).expect("the file is written");
    wait_until_looked_at(&data, &server, 3);
    assert_eq!(releases(&server, "cars"), (1, 2));
    fs::write(dropped(&data, "cars.wasm"), cars_v2()).expect("the file is written");
    server.wait_for_release("cars", 2, "live");
    assert_eq!(releases(&server, "cars"), (2, 2));
    let steps = server.projection("cars")["releases"][0]["steps"].clone();
    let states: Vec<&Value> = steps.as_array().expect("a list").iter().map(|step| &step["state"]).collect();
    let expected =
        ["received", "checked", "building", "verifying", "live", "warm", "returning", "live"].map(|state| json!(state));
    assert_eq!(states, expected.iter().collect::<Vec<_>>());
}

#[test]
fn a_file_or_the_whole_folder_may_go_and_come_back() {
    let data = Data::new();
    let server = data.serve_with(QUICK);
    server.import(&cars_events().join("\n")).ok();
    fs::create_dir_all(dropped(&data, "trade")).expect("a folder");
    fs::write(dropped(&data, "trade/cars.wasm"), cars_v1()).expect("the file is written");
    server.wait_for_release("cars", 1, "live");
    let file_is_gone = |gone: bool| {
        server.wait_for("/projections/cars", |answer| answer.json()["file_gone"] == gone);
        assert_eq!(releases(&server, "cars"), (1, 1));
        assert_eq!(server.rows("cars", "cars").len(), 2);
    };
    // When its file is deleted, a component goes on serving, and its operator is told.
    fs::remove_file(dropped(&data, "trade/cars.wasm")).expect("it is there");
    file_is_gone(true);
    fs::write(dropped(&data, "trade/cars.wasm"), cars_v1()).expect("the file is written");
    file_is_gone(false);
    // So it does when the folder goes, and when it is made again it is watched again.
    fs::remove_dir_all(data.path().join("components")).expect("it is there");
    file_is_gone(true);
    fs::create_dir_all(dropped(&data, "trade")).expect("a folder");
    fs::write(dropped(&data, "trade/cars.wasm"), cars_v1()).expect("the file is written");
    file_is_gone(false);
    fs::write(dropped(&data, "trade/cars.wasm"), cars_v2()).expect("the file is written");
    server.wait_for_release("cars", 2, "live");
    // Once it was removed by its operator, its file, deleted and dropped anew, is meant.
    server.order("cars", "remove").ok();
    server.get("/projections/cars").refused(404, "projection-not-found");
    fs::remove_file(dropped(&data, "trade/cars.wasm")).expect("it is there");
    wait_until_looked_at(&data, &server, 1);
    fs::write(dropped(&data, "trade/cars.wasm"), cars_v2()).expect("the file is written");
    server.wait_for_release("cars", 2, "live");
    assert_eq!(server.rows("cars", "cars").len(), 2);
}

#[test]
fn a_component_belongs_where_its_file_lies() {
    let data = Data::new();
    let server = data.serve_with(QUICK);
    server.import(&cars_events().join("\n")).ok();
    for module in ["trade", "sales", "garage"] {
        fs::create_dir_all(dropped(&data, module)).expect("a folder");
    }
    let belongs = |module: &str, release: u64| {
        server.wait_for("/projections/cars", |answer| {
            let shown = answer.json();
            (&shown["module"], &shown["live"]["release"], &shown["file_gone"])
                == (&json!(module), &json!(release), &json!(false))
        });
    };
    fs::write(dropped(&data, "trade/cars.wasm"), cars_v1()).expect("the file is written");
    belongs("trade", 1);
    // A name is used once: an upload for another module is refused, as often as it is tried.
    for _ in 0..2 {
        let path = "/components?name=cars&module=sales";
        let upload = server.try_post(path, "application/wasm", cars_v2()).expect("the host answers");
        assert_eq!(upload.refused(422, "component-refused")["release"], 2);
    }
    // Given a file that was refused beside another one, when that one is gone, then it is meant.
    fs::write(dropped(&data, "sales/cars.wasm"), cars_v2()).expect("the file is written");
    server.wait_for_release("cars", 2, "rejected");
    fs::remove_file(dropped(&data, "trade/cars.wasm")).expect("it is there");
    belongs("sales", 3);
    // What is no component does not take it along.
    fs::remove_file(dropped(&data, "sales/cars.wasm")).expect("it is there");
    fs::write(dropped(&data, "garage/cars.wasm"), "no component").expect("the file is written");
    server.wait_for_release("cars", 4, "rejected");
    assert_eq!(server.projection("cars")["module"], "sales");
    fs::remove_file(dropped(&data, "garage/cars.wasm")).expect("it is there");
    fs::write(dropped(&data, "sales/cars.wasm"), cars_v2()).expect("the file is written");
    belongs("sales", 3);
    // A file may move, and move back.
    fs::rename(dropped(&data, "sales/cars.wasm"), dropped(&data, "trade/cars.wasm")).expect("the file is moved");
    belongs("trade", 5);
    fs::rename(dropped(&data, "trade/cars.wasm"), dropped(&data, "sales/cars.wasm")).expect("the file is moved");
    belongs("sales", 3);
    assert_eq!(releases(&server, "cars"), (3, 5), "nothing is built that is kept");
}

#[test]
fn what_is_uploaded_lies_in_the_folder_then() {
    let data = Data::new();
    let server = data.serve_with(QUICK);
    server.import(&cars_events().join("\n")).ok();
    let file = dropped(&data, "cars.wasm");
    for (release, bytes) in [(1, cars_v1()), (2, cars_v2())] {
        assert_eq!(server.deploy("cars", bytes).status, 202);
        server.wait_for_release("cars", release, "live");
        assert_eq!(fs::read(&file).expect("it was put there"), bytes);
    }
    // Also where nothing has to be built, since the release is kept or serves.
    server.deploy("cars", cars_v1()).ok();
    server.wait_for_release("cars", 1, "live");
    assert_eq!(fs::read(&file).expect("it was put there"), cars_v1());
    fs::remove_file(&file).expect("it is there");
    assert_eq!(server.deploy("cars", cars_v1()).ok()["unchanged"], true);
    assert_eq!(fs::read(&file).expect("it was put there"), cars_v1());
    // So a file that is dropped then is another one.
    fs::write(&file, cars_v2()).expect("the file is written");
    server.wait_for_release("cars", 2, "live");
    // Refused names are not kept for ever.
    for number in 1..=20 {
        server.deploy(&format!("nobody{number}"), b"no component").refused(422, "component-refused");
    }
    let shown = server.get("/projections").ok();
    assert!(shown["projections"].as_array().expect("a list").len() <= 2, "{shown}");
    // Said twice, a rollback to a release happens once.
    for unchanged in [false, true] {
        let answer = server.order("cars", "rollback?release=1").ok();
        assert_eq!((&answer["live"]["release"], &answer["unchanged"]), (&json!(1), &json!(unchanged)));
    }
    server.order("cars", "rollback?release=7").refused(409, "release-unfit");
}
