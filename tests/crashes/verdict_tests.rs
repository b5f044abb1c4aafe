//! That the verdict finds what is wrong: an innocent story, and the same one with something in it that
//! must not be.

use crate::ledger::Ledgers;
use crate::verdict::{Documents, Stage, complaints};

/// Server 1 serves Ann, who buys gold, a hat, and a gift for Ben; it dies. Server 2 takes her over and
/// asks again for the gift. Two notes are sent to Ben, and a third without an operation id.
const LEDGER: &str = "\
owns ann 1.1 9.9 10.0
asks ann 1.1 1
saved 1.1 1
asks ann 1.1 2
saved 1.1 2
asks ann 1.1 3
buys p1 1 ann ann
granted p1
buys p2 2 ann ann
granted p2
buys p3 3 ann ben
still 1.1 10.5
owns ben 1.2 9.9 10.0
left 1.2
owns ann 2.1 11.9 12.0
asks ann 2.1 1
unsaved 2.1 1
lost 2.1
buys p3 3 ann ben
granted p3
sends n1-1 ben named
sent n1-1 1
sends n1-2 ben nameless
sent n1-2 1
sends n1-3 ben nameless
sent n1-3 4
sends n1-4 ben nameless
still 2.1 13.0
";

const ANN: &str = r#"ann {"Purchases":[[1,"p1",5],[2,"p2",5],[3,"p3",5]],"ProductCredit":[[4,7]],"#;
const ANN_OWN: &str =
    r#""Changes":{"1.1":[1,2,3]},"Bought":["p1"],"Hat":true,"Spent":3,"Credits":7}"#;
const BEN: &str = r#"ben {"Purchases":[],"Gifts":[["p3",5,3,"ann"]],"Presents":["p3"],"Spent":0,"#;
const BEN_OWN: &str = r#""Credits":0,"Notes":["n1-1","n1-2","n1-4"]}"#;

fn documents() -> String {
    format!("{ANN}{ANN_OWN}\n{BEN}{BEN_OWN}\n")
}

fn found(ledger: &str, documents: &str, stage: Stage) -> Vec<String> {
    let mut ledgers = Ledgers::default();
    ledgers.take(ledger);
    complaints(&ledgers, &Documents::read(documents), stage)
}

/// What is complained of when a part of the ledger is another, and a part of the documents.
fn found_with(ledger: (&str, &str), document: (&str, &str), stage: Stage) -> Vec<String> {
    let documents = documents();
    assert!(LEDGER.contains(ledger.0) && documents.contains(document.0));
    let ledger = LEDGER.replacen(ledger.0, ledger.1, 1);
    found(
        &ledger,
        &documents.replacen(document.0, document.1, 1),
        stage,
    )
}

/// Looks at every way to spoil the documents: each must be complained of in these words.
fn all_are_found(stage: Stage, spoiled: &[(&str, &str, &str)]) {
    for (right, wrong, words) in spoiled {
        let found = found_with(("", ""), (right, wrong), stage);
        let is_found = found.iter().any(|complaint| complaint.contains(words));
        assert!(
            is_found,
            "{right} became {wrong}, but not {words:?}: {found:?}"
        );
    }
}

#[test]
fn what_is_as_it_should_be_is_not_complained_of() {
    for stage in [Stage::AfterTheKills, Stage::Settled] {
        assert_eq!(found(LEDGER, &documents(), stage), Vec::<String>::new());
    }
}

#[test]
fn a_change_that_is_lost_doubled_or_resurrected_is_found() {
    let change_3_was_not_saved = ("asks ann 1.1 3\n", "asks ann 1.1 3\nunsaved 1.1 3\n");
    let found = found_with(change_3_was_not_saved, ("", ""), Stage::AfterTheKills);
    assert_eq!(
        found,
        ["ann has change 3 of 1.1, which was reported not saved"]
    );
    all_are_found(
        Stage::AfterTheKills,
        &[
            (
                "[1,2,3]",
                "[1]",
                "lost changes of 1.1: 2 were saved, 1 are there",
            ),
            ("[1,2,3]", "[]", "lost changes"),
            ("[1,2,3]", "[1,2,2]", "not once each"),
            ("[1,2,3]", "[1,3]", "not once each"),
            ("[1,2,3]", "[1,2,3,4]", "which made 3"),
            (
                r#""1.1":[1,2,3]"#,
                r#""1.1":[1,2,3],"2.1":[1]"#,
                "reported not saved",
            ),
            (
                r#""1.1":[1,2,3]"#,
                r#""1.1":[1,2,3],"1.2":[]"#,
                "never had that key",
            ),
        ],
    );
}

#[test]
fn a_whole_document_that_is_lost_is_found() {
    let without_ann = format!("{BEN}{BEN_OWN}\n");
    let found = found(LEDGER, &without_ann, Stage::AfterTheKills);
    assert!(
        found
            .iter()
            .any(|complaint| complaint.contains("lost changes")),
        "{found:?}"
    );
    assert!(
        found
            .iter()
            .any(|complaint| complaint.contains("not given")),
        "{found:?}"
    );
}

#[test]
fn a_purchase_that_is_lost_doubled_or_elsewhere_is_found() {
    all_are_found(
        Stage::AfterTheKills,
        &[
            (
                r#""Bought":["p1"]"#,
                r#""Bought":[]"#,
                "p1 was granted and not given",
            ),
            (
                r#""Bought":["p1"]"#,
                r#""Bought":["p1","p1"]"#,
                "p1 was given 2 times",
            ),
            (
                r#""Bought":["p1"]"#,
                r#""Bought":["p1","p9"]"#,
                "not for that key",
            ),
            (
                r#""Presents":["p3"]"#,
                r#""Presents":[]"#,
                "p3 was granted and not given",
            ),
            (
                r#""Presents":["p3"]"#,
                r#""Presents":["p3","p3"]"#,
                "p3 was given 2 times",
            ),
            (
                r#""Presents":["p3"]"#,
                r#""Presents":["p3","p1"]"#,
                "not for that key",
            ),
            (r#"[["p3",5,3,"ann"]]"#, "[]", "noted 0 times"),
            (r#"[1,"p1",5],"#, "", "noted 0 times"),
            (r#"[2,"p2",5],"#, "", "p2 was granted and not given"),
            (
                r#""Hat":true"#,
                r#""Hat":false"#,
                "0 hats, or credit for them, which should be 1",
            ),
            (
                "[[4,7]]",
                "[[4,7],[2,1]]",
                "2 hats, or credit for them, which should be 1",
            ),
            (
                "[[4,7]]",
                "[[4,6]]",
                "6 credit given by hand, which should be 7",
            ),
            (
                r#""Spent":3"#,
                r#""Spent":4"#,
                "4 recorded purchases, which should be 3",
            ),
        ],
    );
}

#[test]
fn a_remote_change_that_is_lost_doubled_or_too_late_is_found() {
    all_are_found(
        Stage::AfterTheKills,
        &[
            (r#"["n1-1","#, "[", "n1-1 was sent and is not there"),
            (r#""n1-2","#, "", "n1-2 was sent and is not there"),
            (r#""n1-2","#, r#""n1-2","n1-2","#, "n1-2 is there 2 times"),
            (
                r#""n1-2","#,
                r#""n1-2","n1-3","#,
                "n1-3 was reported not sent",
            ),
            (r#""n1-2","n1-4""#, r#""n1-4","n1-2""#, "had n1-2 too late"),
            (
                r#""Notes""#,
                r#""RemoteChanges":[{"Note":"n1-1"}],"Notes""#,
                "n1-1 is there 2 times",
            ),
            (
                r#""Bought""#,
                r#""Notes":["n1-1"],"Bought""#,
                "which was not sent there",
            ),
        ],
    );
}

#[test]
fn what_is_left_over_when_all_is_settled_is_found() {
    all_are_found(
        Stage::Settled,
        &[
            (
                r#""Bought""#,
                r#""Session":{},"Bought""#,
                "ann still has an owner",
            ),
            (
                r#"[3,"p3",5]"#,
                r#"[3,"p3",5,"ben"]"#,
                "a gift that has not arrived",
            ),
            (
                r#""n1-4"]"#,
                r#""n1-4"],"RemoteChanges":[{"Note":"n1-3"}]"#,
                "still has 1 changes",
            ),
        ],
    );
    let never_answered = ("sent n1-1 1\n", "");
    let found = found_with(never_answered, (r#"["n1-1","#, "["), Stage::Settled);
    assert!(
        found[0].starts_with("n1-1 was sent and is not there"),
        "{found:?}"
    );
}

#[test]
fn two_owners_at_once_are_found() {
    let too_early = ("owns ann 2.1 11.9 12.0", "owns ann 2.1 9.8 10.4");
    let found = found_with(too_early, ("", ""), Stage::AfterTheKills);
    assert_eq!(
        found,
        ["ann was owned by 1.1 until 10.5, and by 2.1 from 10.4"]
    );
    let within = (
        "owns ben 1.2 9.9 10.0",
        "owns ann 3.1 9.8 10.1\nstill 3.1 10.2\nowns ben 1.2 9.9 10.0",
    );
    assert_eq!(found_with(within, ("", ""), Stage::AfterTheKills).len(), 1);
    // Who was seen once is known to have owned it at one moment.
    for (seen_once, complaints) in [
        ("owns ann 3.1 10.1 10.2\nowns ben 1.2 9.9 10.0", 1),
        ("owns ann 3.1 9.8 10.2\nowns ben 1.2 9.9 10.0", 0),
        ("owns ann 3.1 10.1 10.6\nowns ben 1.2 9.9 10.0", 0),
    ] {
        let found = found_with((within.0, seen_once), ("", ""), Stage::AfterTheKills);
        assert_eq!(found.len(), complaints, "{found:?}");
    }
}

#[test]
fn of_errors_those_of_broken_connections_are_counted() {
    let mut ledgers = Ledgers::default();
    ledgers.take(
        "\
error player/01: no answer from the storage within 0.1 s
error player/02: PostgreSQL: the connection to 127.0.0.1:5432 broke: connection closed; nothing was read
error player/03: Redis: the connection to 127.0.0.1:6379 broke: broken pipe; it may have been written
error player/04: Redis: OOM command not allowed
",
    );
    assert_eq!((ledgers.errors, ledgers.broken), (4, 2));
}

#[test]
fn half_a_line_at_the_end_of_a_ledger_is_nothing() {
    let ledger = format!("{LEDGER}saved 1.1");
    assert_eq!(
        found(&ledger, &documents(), Stage::AfterTheKills),
        Vec::<String>::new()
    );
    let ledger = format!("{LEDGER}saved 2.1 1");
    assert_eq!(
        found(&ledger, &documents(), Stage::AfterTheKills),
        Vec::<String>::new()
    );
}
