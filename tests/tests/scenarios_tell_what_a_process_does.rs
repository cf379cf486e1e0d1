//! `laterna test` of process managers: time goes on, effects come to the log or are refused, the host dies, and what comes of it is told.

use laterna_tests::guests::obedient;
use laterna_tests::scenarios::{Beside, story};

fn obedient_one() -> Beside {
    Beside::new("obedient", &obedient())
}

/// An event that tells an instance to do something.
fn told(to: &str, does: &str) -> String {
    format!("{{type: Told, stream: order-{to}, data: {{to: {to}, does: [{does}]}}}}")
}

/// The one scenario of the component passes.
#[track_caller]
fn passes(given: &[&str], then: &str) {
    obedient_one().tell("a.yaml", &story("", given, then)).passes(&[]);
}

#[test]
fn timers_fire_in_the_order_of_time_each_at_its_moment() {
    // given: the later one is set first, another comes again and again, and one is called off by what comes on the way
    let waits = told("ann", "{waits: {timer: b, seconds: 1200}}, {waits: {timer: a, seconds: 600}}");
    let again = told("bob", "{waits: {timer: daily, seconds: 600, every: 600}}");
    passes(
        &[&waits, &again, "advance: 25m"],
        "  effects:
    - {stream: timer-a, type: Done, instance: ann, data: {what: a}}
    - {stream: timer-daily, type: Done, instance: bob}
    - {stream: timer-b, type: Done, instance: ann}
    - {stream: timer-daily, type: Done, instance: bob}
  timers: [{instance: bob, timer: daily, due_at: 2026-01-01T00:30:01Z}]
  instances:
    - {key: ann, state: {told: [told, 'a at 2026-01-01T00:10:00Z, 0 missed', 'b at 2026-01-01T00:20:00Z, 0 missed']}}
    - {key: bob, state: {told: [told, 'daily at 2026-01-01T00:10:01Z, 0 missed', 'daily at 2026-01-01T00:20:01Z, 0 missed']}}",
    );
}

#[test]
fn an_event_that_says_when_it_was_recorded_comes_after_the_timers_before_it() {
    let waits = told("ann", "{waits: {timer: a, seconds: 600}}");
    let at = |minute: u32| {
        format!(
            "{{type: Told, stream: s, recorded_at: '2026-01-01T00:{minute}:00Z', data: {{to: ann, does: [{{cancels: a}}]}}}}"
        )
    };
    passes(&[&waits, &at(11)], "  effects: [{type: Done, stream: timer-a}]\n  timers: []");
    // One that comes before it is due calls it off.
    let before = at(10).replace("00:10:00", "00:09:59");
    passes(&[&waits, &before, "advance: 1h"], "  effects: []\n  timers: []");
}

#[test]
fn what_is_refused_comes_back_and_the_next_one_goes_through() {
    // given: an effect in another stream, then three in this one, of which the second is there already
    let does = |stream: &str| told("ann", &format!("{{does: {{stream: {stream}, what: 7}}}}"));
    let first = told("ann", "{does: {stream: a, first: true}}");
    passes(
        &[
            "refuse: {type: Done, stream: a, code: stream-closed, reason: gone}",
            &does("b"),
            &does("a"),
            &does("a"),
            &first,
        ],
        "  effects:
    - {type: Done, stream: b, data: {what: 7}}
    - {type: Done, stream: a, data: {what: 7}, refused: stream-closed}
    - {type: Done, stream: a}
    - {type: Done, stream: a, refused: wrong-expected-revision}
  instances:
    - key: ann
      state: {told: [told, told, told, told, 'a stream-closed: gone',
        'a wrong-expected-revision: stream `a` was expected at no-stream, and is at revision 0']}",
    );
}

#[test]
fn whether_an_effect_is_refused_must_be_as_expected() {
    let does = told("ann", "{does: {stream: a}}");
    let given = ["refuse: {type: Done, code: event-too-large}", does.as_str()];
    let expects = |refused: &str| story("", &given, &format!("  effects: [{{type: Done, stream: a{refused}}}]"));
    let obedient = obedient_one();
    obedient.tell("a.yaml", &expects(", refused: event-too-large")).passes(&[]);
    let came = &["Done a by ann refused: event-too-large"];
    obedient.fails_so(&expects(""), came);
    obedient.fails_so(&expects(", refused: stream-closed"), came);
}

#[test]
fn what_is_to_be_refused_must_come() {
    let does = told("ann", "{does: {stream: a}}");
    let given = [does.as_str(), "refuse: {type: Done, stream: a, code: stream-closed}"];
    let then = "  effects: [{type: Done, stream: a}]";
    obedient_one().fails_so(&story("", &given, then), &["no Done in `a` came that could be refused"]);
}

#[test]
fn nothing_happens_twice_where_the_host_dies() {
    // given: effects of two instances, one of them refused, and timers, with a death wherever there can be one
    let does = |to: &str| told(to, "{does: {stream: a}}, {does: {stream: b}}, {waits: {timer: t, seconds: 60}}");
    let given = [
        "kill: true",
        "refuse: {type: Done, stream: b, code: schema-violation}",
        &does("ann"),
        &does("bob"),
        "kill: true",
        "kill: true",
        "advance: 1m",
        "kill: true",
        "advance: 1m",
    ];
    let then = "  effects:
    - {type: Done, stream: a, instance: ann}
    - {type: Done, stream: b, instance: ann, refused: schema-violation}
    - {type: Done, stream: a, instance: bob}
    - {type: Done, stream: b, instance: bob}
    - {type: Done, stream: timer-t, instance: ann}
    - {type: Done, stream: timer-t, instance: bob}
  timers: []";
    passes(&given, then);
    // The same comes of it where nobody dies.
    let alive: Vec<&str> = given.into_iter().filter(|item| *item != "kill: true").collect();
    passes(&alive, then);
}

#[test]
fn who_goes_round_in_a_circle_is_cut_as_in_a_host() {
    let echoes = "    - {type: Echoed, stream: echo-ann}\n".repeat(50);
    let cut = "    - {type: Echoed, refused: causation-too-deep}";
    passes(&[&told("ann", "echoes")], &format!("  effects:\n{echoes}{cut}"));
    // A timer that sets itself anew is due a second later at the earliest, so that nothing goes round by it alone.
    let again = told("ann", "{waits: {timer: again, seconds: 0}}");
    passes(&[&again], "  timers: [{instance: ann, timer: again, due_at: 2026-01-01T00:00:01Z}]");
}

#[test]
fn each_step_has_its_own_effects() {
    let given = told("ann", "{does: {stream: a, internal: true}}");
    let step = |visibility: &str| {
        format!("  - given: [{given}]\n    then: {{effects: [{{type: Done, visibility: {visibility}}}]}}\n")
    };
    let obedient = obedient_one();
    obedient.tell("a.yaml", &format!("scenario: s\nsteps:\n{}{}", step("internal"), step("internal"))).passes(&[]);
    let wrong = format!("scenario: s\nsteps:\n{}{}", step("internal"), step("public"));
    obedient.fails_so(&wrong, &["step 2: the effects are not as expected: 1 expected, 1 came"]);
}

#[test]
fn events_that_are_given_together_come_before_what_follows_from_them() {
    // given: an effect that the component consumes itself, and an event beside it
    let (told, echoed) = (told("ann", "echoes"), "{type: Told, stream: s, data: {to: ann, note: beside}}");
    let remembers = |told: &str| format!("  tables: {{}}\n  instances: [{{key: ann, state: {{told: {told}}}}}]");
    let (together, apart) =
        (story("", &[&told, echoed], &remembers("[]")), story("", &[&told, "advance: 0s", echoed], &remembers("[]")));
    let obedient = obedient_one();
    // then: only where something stands between them, what follows comes first
    obedient.fails_so(&together, &[r#"state.told is ["told","beside","echoed","#]);
    obedient.fails_so(&apart, &[r#"state.told is ["told","echoed","#, r#","beside"]"#]);
}

#[test]
fn what_is_otherwise_is_told_by_effects_timers_and_states() {
    let given =
        told("ann", "{does: {stream: a, what: 1}}, {does: {stream: c, what: 3}}, {waits: {timer: t, seconds: 60}}");
    let then = "  effects:
    - {type: Done, stream: a, data: {what: 1}}
    - {type: Done, stream: b}
    - {type: Done, stream: c, data: {what: 4}}
  timers: [{instance: ann, timer: t, due_at: 2026-01-01T00:02:00Z}, {instance: ann, timer: u}]
  instances: [{key: ann, state: {told: [], more: 1}}, {key: bob}]";
    let text = obedient_one().fails_so(
        &story("", &[&given], then),
        &[
            "the effects are not as expected: 3 expected, 2 came",
            "timer `t` of `ann` is due at 2026-01-01T00:01:00Z, expected 2026-01-01T00:02:00Z",
            "timer `u` of `ann` does not wait, expected it to",
            "instance `ann`: state.told is [\"told\"], expected []",
            "instance `ann`: state.more is not there, expected 1",
            "there is no instance `bob`, expected it",
        ],
    );
    let line = |mark: bool, left: &str, right: &str| {
        text.lines().any(|line| line.contains('≠') == mark && line.contains(left) && line.contains(right))
    };
    assert!(line(false, "Done a {\"what\":1} ", "Done a by ann {\"what\":1}"), "{text}");
    assert!(line(true, "Done b", "") && !line(true, "Done b", "by ann"), "{text}");
    assert!(line(true, "Done c {\"what\":4}", "Done c by ann {\"what\":3}"), "{text}");
    obedient_one().fails_so(
        &story("", &[&given], "  timers: []\n  instances: []"),
        &[
            "timer `t` of `ann` waits, due at 2026-01-01T00:01:00Z, which is not expected",
            "not expected: `ann` {\"told\"",
        ],
    );
}

#[test]
fn orders_are_compared_by_what_was_done_and_is_known() {
    let obedient = obedient_one();
    let (ann, bob) =
        (told("ann", "{does: {stream: a, what: 1}}"), told("bob", "{does: {stream: b, what: 2}}, {answers: x}"));
    // given: two that have nothing to do with each other, which come to the same at other places and times
    let head = "order: any\nduplicates: false";
    let then = "  effects: [{type: Done, stream: b}, {type: Done, stream: a}]\n  instances: [{key: ann}, {key: bob}]";
    let passed = obedient.tell("a.yaml", &story(head, &[&ann, "advance: 1h", &bob], then)).passes(&[]);
    assert!(passed.contains("(3 batch sizes, 2 orders)"), "{passed}");
    // when: one of them is done twice
    let text = obedient.fails_so(
        &story("order: any", &[&ann, "advance: 1h", &bob], "  {}"),
        &["what comes a second time", "Told order-ann", "advance: 1h", "(again)", "once", "2 times"],
    );
    assert!(text.contains("effect Done a by ann {\"what\":1}") || text.contains("effect Done b by bob"), "{text}");
    // when: an instance remembers what came first
    let note = |note: &str| format!("{{type: Told, stream: s, data: {{to: ann, note: {note}}}}}");
    obedient.fails_so(
        &story(head, &[&note("one"), "kill: true", &note("two")], "  {}"),
        &[
            "depends on the order",
            "2     kill",
            "instances key \"ann\": state.told",
            "[\"one\",\"two\"]",
            "[\"two\",\"one\"]",
        ],
    );
    // when: a timer is left in one order and not in another
    let (sets, cancels) = (told("ann", "{waits: {timer: t, seconds: 60}}"), told("ann", "{cancels: t}"));
    obedient
        .fails_so(&story(head, &[&sets, &cancels], "  {}"), &["timers instance \"ann\", name \"t\"", "no such row"]);
}

#[test]
fn only_events_change_their_places() {
    // given: a timer that is set at any of two places, and due at the last one
    let (sets, other) = (told("ann", "{waits: {timer: t, seconds: 60}}"), told("bob", ""));
    let then = "  effects: [{type: Done, stream: timer-t}]\n  timers: []";
    let obedient = obedient_one();
    let head = "order: any\nduplicates: false\nignore: {instances: [state]}";
    obedient.tell("a.yaml", &story(head, &[&sets, "advance: 30s", &other, "advance: 60s"], then)).passes(&[]);
    // In one of the orders that is not enough.
    obedient.fails_so(
        &story(head, &[&sets, "advance: 30s", &other, "advance: 59s"], then),
        &["the outcome depends on the order", "effect Done timer-t by ann", "never"],
    );
}

#[test]
fn who_goes_by_the_batch_is_found_out() {
    let counted = "{type: Counted, stream: s, data: {to: ann}}";
    let obedient = obedient_one();
    let scenario = story("", &[counted, counted], "  instances: [{key: ann}]");
    obedient.fails_so(
        &scenario,
        &["depends on the size of the batches: 1 and 7", "state.told", "[\"0\",\"0\"]", "[\"0\",\"1\"]"],
    );
}

#[test]
fn who_would_be_rebuilt_otherwise_is_found_out() {
    // given: events that come one by one, so that no batch holds two of them
    let counted = "{type: Counted, stream: s, data: {to: ann}}";
    let scenario = story("", &[counted, "advance: 0s", counted], "  instances: [{key: ann}]");
    obedient_one().fails_so(
        &scenario,
        &[
            "a rebuild of the same history in batches of 7",
            "as it happened",
            "rebuilt",
            "[\"0\",\"0\"]",
            "[\"0\",\"1\"]",
        ],
    );
}

#[test]
fn what_is_for_processes_alone_is_refused_to_projections() {
    let cars = Beside::of_example("cars");
    for (given, then, word) in [
        ("advance: 30m", "  {tables: {cars: []}}", "advance"),
        ("refuse: {type: A, code: stream-closed}", "  {tables: {cars: []}}", "refuse"),
        ("kill: true", "  {tables: {cars: []}}", "kill"),
        ("{type: A, stream: a}", "  {effects: []}", "effects"),
        ("{type: A, stream: a}", "  {timers: []}", "timers"),
        ("{type: A, stream: a}", "  {instances: []}", "instances"),
    ] {
        let words = format!("`{word}` is for process managers, and `cars` is a projection");
        cars.fails_so(&story("", &[given], then), &[words.as_str()]);
    }
}

#[test]
fn a_mistake_is_told_with_what_is_allowed() {
    let obedient = obedient_one();
    let then = "  {effects: []}";
    for (given, words) in [
        ("advance: soon", &["item 1 of `given`: `advance` is `soon`", "`1h 30m`"][..]),
        ("advance: -1h", &["`advance` is `-1h`"]),
        ("advance: 3000000d", &["`advance: 3000000d`", "9999"]),
        ("kill: false", &["`kill` is false"]),
        ("{kill: true, type: A}", &["`type`", "kill"]),
        ("refuse: {type: Done, code: closed}", &["only.yaml:4:", "`closed`", "stream-closed"]),
        ("refuse: {type: Don, code: stream-closed}", &["`obedient` has no effect `Don`; it produces: Done, Echoed"]),
        ("{type: Told, strem: a}", &["only.yaml:4:", "`strem`", "stream, data"]),
        ("{tpe: Told, stream: a}", &["`tpe`", "one of type, stream"]),
    ] {
        obedient.fails_so(&story("", &[given], then), words);
    }
    let expects = |then: &str| format!("scenario: s\ngiven: []\nthen: {{{then}}}");
    obedient.fails_so(&expects("effects: [{type: Dne}]"), &["no effect `Dne`"]);
    obedient.fails_so(&expects("timers: [{instance: a, timer: t, due_at: noon}]"), &["`due_at` is `noon`"]);
}
