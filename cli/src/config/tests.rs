use super::*;

fn errors(text: &str) -> Vec<(u32, &'static str, String)> {
    let found = read(text).expect_err("wrong settings");
    found.into_iter().map(|d| (d.place.line, d.code, d.path)).collect()
}

#[test]
fn an_empty_file_is_all_defaults() {
    assert_eq!(read("").expect("fine").config, Config::default());
    assert_eq!(read("# nothing\n").expect("fine").config, Config::default());
}

#[test]
fn settings_are_read() {
    let text =
        "connections:\n  shop: {kind: files, path: data}\nworker: {slots: 3, lease: 10s}\nengine:\n  memory_mb: 64\n";
    let read = read(text).expect("fine");
    assert_eq!(read.config.worker.slots, Some(3));
    assert_eq!(read.config.worker.lease, tidemill_dag::time::Span::seconds(10));
    assert_eq!(read.config.engine.memory_bytes(), 64 << 20);
    assert_eq!(read.connections["shop"].kind(), "files");
}

#[test]
fn every_error_is_reported_with_its_place() {
    let text = "worker:\n  slot: 3\n  lease: soon\nengine:\n  memory_mb: lots\n  partitions: 0\nconections: {}\n";
    let found = errors(text);
    assert_eq!(
        found,
        vec![
            (2, "TM0904", "worker.slot".to_owned()),
            (3, "TM0903", "worker.lease".to_owned()),
            (5, "TM0903", "engine.memory_mb".to_owned()),
            (6, "TM0903", "engine.partitions".to_owned()),
            (7, "TM0904", "conections".to_owned()),
        ]
    );
}

#[test]
fn a_wrong_key_is_answered_with_the_right_one() {
    let found = read("worker: {slot: 3}").expect_err("wrong");
    assert_eq!(found[0].help.as_deref(), Some("did you mean `slots`?"));
}

#[test]
fn a_connection_of_an_unknown_kind_is_refused() {
    assert_eq!(errors("connections:\n  a: {kind: oracle}\n")[0].1, "TM0903");
    assert_eq!(errors("connections:\n  A-b: {kind: files, path: x}\n")[0].1, "TM0903");
}

#[test]
fn the_reference_names_every_setting_and_reads_back() {
    let text = reference();
    for key in ["connections", "dir", "url", "slots", "lease", "python", "memory_mb", "partitions", "retries"] {
        assert!(text.contains(&format!("{key}:")), "{key} in\n{text}");
    }
    assert_eq!(read(&text).expect("the reference is a valid file").config, Config::default());
}

#[test]
fn an_address_with_a_password_is_refused_and_not_repeated() {
    let text = "database: {url: 'postgres://u:hunter2@h/d'}\nqueue:\n  url: redis://:hunter2@h\n";
    let found = read(text).expect_err("passwords stand there");
    assert_eq!(found.iter().map(|d| d.path.as_str()).collect::<Vec<_>>(), ["database.url", "queue.url"]);
    assert!(!format!("{found:?}").contains("hunter2"));
    assert!(read("database: {url: '${env:DB}'}\nqueue: {url: 'redis://:${file:/run/pw}@h'}\n").is_ok());
}
