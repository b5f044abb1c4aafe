//! Seeds that have found a mistake in the library.

/// Seeds that have found something once, each with its steps and what it was. What a seed does changes with
/// the simulation and the library; each of these bugs has a test of its own, which does not: in `lost.rs`,
/// `turns.rs` and `availability.rs`.
pub const KEPT: [(u64, u64, &str); 5] = [
    (
        185,
        2000,
        "a server that was stopped before an update stamped its save with a time long past",
    ),
    (
        5265,
        2000,
        "a record was made anew that another had taken behind a release, and that was then erased",
    ),
    (
        103_661,
        2000,
        "lockers updated late in a frame never had a request of its budget",
    ),
    (
        114_053,
        2000,
        "lockers updated late in a frame never had a request of its budget",
    ),
    (
        116_394,
        2000,
        "a change was called unsaved whose save nobody remembered, for eight others had had the key since",
    ),
];
