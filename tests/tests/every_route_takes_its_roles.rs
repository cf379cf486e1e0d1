//! Who may do what: each route says which roles it takes, and takes no others; tokens are made, shown once, and revoked.

use laterna_tests::{Answer, Client, Data, binary, laterna};
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output, Stdio};

/// Every route, with the roles that it takes; none: whoever asks. The host's own list must be this one.
const ROUTES: &[(&str, &str, &[&str])] = &[
    ("GET", "/", &["append", "read", "deploy", "admin"]),
    ("GET", "/openapi.json", &["append", "read", "deploy", "admin"]),
    ("POST", "/streams/{stream}/events", &["append"]),
    ("GET", "/streams/{stream}/events", &["read"]),
    ("DELETE", "/streams/{stream}", &["append"]),
    ("POST", "/events", &["append"]),
    ("GET", "/events", &["read"]),
    ("GET", "/schemas", &["read"]),
    ("GET", "/projections", &["read", "deploy"]),
    ("GET", "/projections/{name}", &["read", "deploy"]),
    ("GET", "/projections/{name}/tables/{table}", &["read"]),
    ("GET", "/projections/{name}/queries/{query}", &["read"]),
    ("POST", "/projections/{name}/sql", &["read"]),
    ("GET", "/projections/{name}/live", &["read"]),
    ("GET", "/projections/{name}/snapshot", &["read"]),
    ("GET", "/projections/{name}/parked", &["read", "deploy"]),
    ("POST", "/projections/{name}/parked/{sequence}/retry", &["deploy"]),
    ("POST", "/projections/{name}/parked/{sequence}/discard", &["deploy"]),
    ("POST", "/components", &["deploy"]),
    ("GET", "/projections/{name}/releases", &["read", "deploy"]),
    ("GET", "/projections/{name}/diff", &["read", "deploy"]),
    ("POST", "/projections/{name}/diff", &["deploy"]),
    ("GET", "/projections/{name}/verify", &["read", "deploy"]),
    ("POST", "/projections/{name}/verify", &["deploy"]),
    ("POST", "/projections/{name}/promote", &["deploy"]),
    ("POST", "/projections/{name}/abort", &["deploy"]),
    ("POST", "/projections/{name}/rebuild", &["deploy"]),
    ("POST", "/projections/{name}/rollback", &["deploy"]),
    ("POST", "/projections/{name}/pause", &["deploy"]),
    ("POST", "/projections/{name}/resume", &["deploy"]),
    ("POST", "/projections/{name}/remove", &["deploy"]),
    ("GET", "/processes", &["read", "deploy"]),
    ("GET", "/processes/{name}", &["read", "deploy"]),
    ("GET", "/processes/{name}/instances", &["read"]),
    ("GET", "/processes/{name}/instances/{key}", &["read"]),
    ("GET", "/processes/{name}/timers", &["read"]),
    ("POST", "/processes/{name}/timers/fire-overdue", &["deploy"]),
    ("GET", "/clock", &["read", "deploy"]),
    ("POST", "/clock/advance", &["deploy"]),
    ("GET", "/tokens", &["admin"]),
    ("POST", "/tokens", &["admin"]),
    ("DELETE", "/tokens/{id}", &["admin"]),
    ("GET", "/health/live", &[]),
    ("GET", "/health/ready", &[]),
    ("GET", "/errors/{code}", &[]),
];

const ROLES: [&str; 4] = ["append", "read", "deploy", "admin"];

/// Asks a route for something that is not there.
fn ask(client: &Client, method: &str, path: &str) -> Answer {
    let names = ["stream", "name", "table", "query", "sequence", "key", "id", "code"];
    let path = names.iter().fold(path.to_owned(), |path, name| path.replace(&format!("{{{name}}}"), "nothing"));
    match method {
        "GET" => client.get(&path),
        "POST" => client.post(&path, &Value::Null),
        "DELETE" => client.delete(&path),
        other => panic!("{other} {path}"),
    }
}

#[test]
fn all_routes_with_all_roles() {
    let data = Data::new();
    let made = laterna(["token", "create", "--role", "admin", "--json", "--data", &data.path().display().to_string()]);
    let made: Value = serde_json::from_slice(&made.stdout).expect("JSON");
    let server = data.serve_with(&["--require-tokens"]);
    let admin = server.showing(made["token"].as_str().expect("a token"));

    // The host serves the routes that are listed here, each for the roles that stand here, and no others.
    let index = admin.get("/").ok();
    let served = index["routes"].as_array().expect("a list");
    let listed: Vec<Value> =
        ROUTES.iter().map(|(method, path, roles)| json!({ "method": method, "path": path, "roles": roles })).collect();
    let served: Vec<Value> = served
        .iter()
        .map(|route| json!({ "method": route["method"], "path": route["path"], "roles": route["roles"] }))
        .collect();
    assert_eq!(served, listed);

    let callers = ROLES.map(|role| (role, admin.with_token(&[role], None)));
    let revoked = admin.with_token(&["admin"], None);
    let newest = admin.get("/tokens").ok()["tokens"].as_array().expect("a list").last().cloned().expect("a token");
    assert_eq!(revoked.get("/tokens").status, 200);
    admin.delete(&format!("/tokens/{}", newest["id"].as_str().expect("an id"))).ok();
    for (method, path, roles) in ROUTES {
        let what = format!("{method} {path}");
        let strangers = [
            ("nobody", (*server).clone()),
            ("a revoked token", revoked.clone()),
            ("no token of this host", server.showing("laterna_0123456789abcdef_c2VjcmV0")),
            ("nonsense", server.showing("please")),
        ];
        for (who, stranger) in strangers {
            let answer = ask(&stranger, method, path);
            if roles.is_empty() {
                assert!(![401, 403].contains(&answer.status), "{what} by {who}: {answer:?}");
            } else {
                answer.refused(401, "token-needed");
                assert_eq!(answer.header("www-authenticate"), Some("Bearer realm=\"laterna\""), "{what} by {who}");
            }
        }
        for (role, caller) in &callers {
            let answer = ask(caller, method, path);
            let may = roles.is_empty() || roles.contains(role) || *role == "admin";
            if may {
                assert!(![401, 403].contains(&answer.status), "{what} by {role}: {answer:?}");
            } else {
                let body = answer.refused(403, "not-allowed");
                assert_eq!(body["roles"], roles.join(", "), "{what} by {role}");
            }
        }
    }
    // Several roles together are good for what each of them is.
    let both = admin.with_token(&["append", "read"], None);
    both.post("/streams/order-1/events", &json!({ "events": [{ "type": "OrderPlaced" }] })).ok();
    assert_eq!(both.get("/streams/order-1/events").status, 200);
    both.get("/tokens").refused(403, "not-allowed");
}

#[test]
fn a_token_is_shown_once_and_kept_as_a_digest() {
    let data = Data::new();
    let folder = data.path().display().to_string();
    let cli = |arguments: &[&str]| laterna(arguments.iter().copied().chain(["--data", &folder]));
    // Before there is a host.
    let made =
        cli(&["token", "create", "--role", "read", "--role", "append", "--module", "sales", "--note", "the till"]);
    let token = String::from_utf8(made.stdout).expect("text").trim().to_owned();
    assert!(made.status.success() && token.starts_with("laterna_"), "{token}");
    let secret = token.rsplit('_').next().expect("a secret");
    assert!(secret.len() > 20);

    let server = data.serve();
    let caller = server.showing(&token);
    let appended = caller.post("/streams/till-1/events", &json!({ "events": [{ "type": "TillOpened" }] }));
    assert_eq!(appended.status, 201);
    let event = caller.get("/streams/till-1/events").ok()["events"][0].clone();
    assert_eq!(event["module"], "sales", "what it appends belongs to its module: {event}");
    let listed = String::from_utf8(cli(&["token", "list"]).stdout).expect("text");
    for word in ["append, read", "sales", "the till"] {
        assert!(listed.contains(word), "no {word} in {listed}");
    }
    assert!(!listed.contains(secret));
    for entry in std::fs::read_dir(data.path()).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_file() {
            let bytes = std::fs::read(&path).expect("a file");
            let found = bytes.windows(secret.len()).any(|piece| piece == secret.as_bytes());
            assert!(!found, "the secret stands in {}", path.display());
        }
    }
    // A token of a module makes none for another one, and sees none of others.
    let admin = server.with_token(&["admin"], Some("sales"));
    let stock = server.with_token(&["read"], Some("stock"));
    assert_eq!(stock.get("/events").status, 200);
    let modules = admin.get("/tokens").ok()["tokens"].clone();
    assert!(modules.as_array().expect("a list").iter().all(|token| token["module"] == "sales"), "{modules}");
    admin.post("/tokens", &json!({ "roles": ["read"], "module": "stock" })).refused(403, "not-allowed");
    admin.post("/tokens", &json!({ "roles": ["read"] })).refused(403, "not-allowed");
    assert_eq!(admin.post("/tokens", &json!({ "roles": ["read"], "module": "sales" })).status, 201);
    for (body, word) in [
        (json!({ "roles": [] }), "`roles` is empty"),
        (json!({ "roles": ["king"] }), "unknown variant `king`"),
        (json!({ "roles": ["read"], "module": "../x" }), "the name of a folder"),
        (json!({ "roles": ["read"], "note": "two\nlines" }), "a line"),
    ] {
        let refused = server.post("/tokens", &body).refused(400, "bad-request");
        assert!(refused["detail"].as_str().expect("text").contains(word), "{refused}");
    }

    let id = token.split('_').nth(1).expect("an id");
    let revoked = cli(&["token", "revoke", id]);
    assert!(revoked.status.success());
    // At once, and although this host would let in who shows nothing.
    caller.get("/events").refused(401, "token-needed");
    assert_eq!(server.get("/events").status, 200);
    assert!(!cli(&["token", "revoke", id]).status.success());
    server.stop();
    let server = data.serve();
    server.showing(&token).get("/events").refused(401, "token-needed");
}

/// Tries to serve beyond this machine; answers what it says where it does not.
fn serve_everywhere(data: &Data, flags: &[&str]) -> Result<(Client, std::process::Child), Output> {
    let mut command = Command::new(binary());
    command.args(["serve", "--listen", "0.0.0.0:0", "--data"]).arg(data.path()).args(flags);
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
    let mut line = String::new();
    let mut out = std::io::BufReader::new(child.stdout.take().expect("piped"));
    std::io::BufRead::read_line(&mut out, &mut line).expect("text");
    match line.trim().rsplit_once(':') {
        Some((_, port)) => Ok((Client::at(&format!("http://127.0.0.1:{port}")), child)),
        None => Err(child.wait_with_output().expect("it ends")),
    }
}

#[test]
fn beyond_this_machine_there_are_tokens_or_it_is_said_to_be_insecure() {
    let data = Data::new();
    let refused = serve_everywhere(&data, &[]).err().expect("nobody could show a token");
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(
        !refused.status.success() && said.contains("laterna token create") && said.contains("--insecure"),
        "{said}"
    );

    let (client, mut child) = serve_everywhere(&data, &["--insecure"]).expect("it was said so");
    assert_eq!(client.get("/events").status, 200);
    child.kill().expect("it is ours");
    child.wait().expect("it is ours");

    let folder = data.path().display().to_string();
    let made = laterna(["token", "create", "--role", "read", "--data", &folder]);
    let token = String::from_utf8(made.stdout).expect("text");
    let (client, mut child) = serve_everywhere(&data, &[]).expect("there is a token");
    client.get("/events").refused(401, "token-needed");
    assert_eq!(client.showing(token.trim()).get("/events").status, 200);
    // Who can read the data directory is let in; nobody else can read what that takes.
    let status = laterna(["status", "--data", &folder]);
    assert!(status.status.success(), "{}", String::from_utf8_lossy(&status.stderr));
    let mode = std::fs::metadata(data.path().join("laterna.lock")).expect("a file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    // A token of another host, in the environment, is for those that are named by their address.
    let status = Command::new(binary()).args(["status", "--data", &folder]).env("LATERNA_TOKEN", "another").output();
    assert!(status.expect("it runs").status.success());
    let status =
        Command::new(binary()).args(["status", "--url", &client.url]).env("LATERNA_TOKEN", token.trim()).output();
    assert!(status.expect("it runs").status.success());
    // Who is refused hears why, whatever they were sending.
    for _ in 0..30 {
        let append = laterna(["append", "s", "T", "{}", "--url", &client.url]);
        let said = String::from_utf8_lossy(&append.stderr).into_owned();
        assert!(said.contains("asks for a token"), "{said}");
    }
    let ready = client.get("/health/ready");
    assert_eq!((ready.status, &ready.json()["halted"]), (200, &json!([])));
    let status = laterna(["status", "--url", &client.url]);
    assert!(!status.status.success() && String::from_utf8_lossy(&status.stderr).contains("asks for a token"));
    let tail = laterna(["query", "nothing", "nothing", "--url", &client.url, "--token", token.trim()]);
    assert!(String::from_utf8_lossy(&tail.stderr).contains("there is no projection"), "{tail:?}");
    child.kill().expect("it is ours");
    child.wait().expect("it is ours");
}

#[test]
fn a_page_of_somebody_else_in_this_machines_browser_is_kept_out() {
    let data = Data::new();
    let server = data.serve();
    let host = server.url.trim_start_matches("http://").to_owned();
    let asked = |headers: &[(&str, &str)]| server.get_with("/events", headers).expect("an answer");
    // A name that leads here is not this machine's own.
    asked(&[("host", "evil.example")]).refused(403, "not-allowed");
    asked(&[("host", "evil.example:80")]).refused(403, "not-allowed");
    for own in ["localhost", "localhost:7070", "workshop", "127.0.0.1", "[::1]:7070", &host] {
        assert_eq!(asked(&[("host", own)]).status, 200, "{own}");
    }
    // What a page sends from elsewhere is not taken; what it would read, its browser keeps from it.
    let body = json!({ "events": [{ "type": "T" }] }).to_string();
    let sent = |origin: &str| {
        server.send("/streams/a/events", &[("origin", origin), ("content-type", "text/plain")], body.as_bytes()).status
    };
    assert_eq!(sent("https://evil.example"), 403);
    assert_eq!(sent("null"), 403);
    assert_eq!(sent(&server.url), 201);
    assert_eq!(server.get("/events").position(), 1);
}
